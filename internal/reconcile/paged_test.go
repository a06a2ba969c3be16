package reconcile

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// aliceIsOnShift puts alice on call for payments by a shift-based schedule, which shows this user as paged.
func (w *world) aliceIsOnShift(paged access.UserID) {
	w.aliceIsOnCall()
	w.onCalls = w.onCalls[:1]
	w.onCalls[0].Schedule, w.onCalls[0].ShiftBased = "SSHIFT", true
	w.schedules = []access.Schedule{{ID: "SSHIFT", Name: "shifts", Used: true,
		Shifts: []access.Shift{{User: paged, Start: time.Now().Add(-time.Hour), End: time.Now().Add(5 * time.Hour)}}}}
}

func TestWhoOnlyShadowsAShiftIsNotApproved(t *testing.T) {
	for paged, want := range map[access.UserID]access.State{"UALICE": access.Approved, "UBOB": access.Pending} {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnShift(paged)
			w.once(w.replica("a"), access.CauseCreated)
			w.wantQuestions("first look", "on-calls", "schedule", "service", "user")
			if got := w.requests[request].State; got != want {
				t.Errorf("%s is paged: alice's request is %s, want %s", paged, got, want)
			}
		})
	}
}

func TestWhomAShiftPagesIsAskedForUntilItIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnShift("UALICE")
		w.fail = func(call string, _ int) fault { return map[string]fault{"schedule": refusing}[call] }
		r := w.replica("a")
		if _, err, _ := w.look(r, access.CauseCreated); err == nil || lasting(err) || w.requests[request].State != access.Pending {
			t.Fatalf("got %v, the request is %s; want it pending and soon looked at again", err, w.requests[request].State)
		}
		w.fail = nil
		w.settle(r, nil)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("the request is %s, want approved", got)
		}
	})
}
