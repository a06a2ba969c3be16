package reconcile

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// A legitimate responder is never held up by what is not needed for the approval, and nobody is approved over
// somebody's no.

func TestADenialThatArrivesDuringTheLookRulesOutTheApproval(t *testing.T) {
	for _, during := range []string{"get plugin data", "user", "service", "on-calls", "swap"} {
		t.Run(during, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.hooks[during] = func() {
					req := w.requests[request] // a second denial would be needed: it stays pending
					req.Reviews = append(req.Reviews, access.Review{Author: "bob", State: access.Denied, Reason: "no!", Time: time.Now()})
					w.requests[request] = req
				}
				w.settle(w.replica("a"), nil)
				if slices.Contains(w.writes, "review") {
					t.Errorf("approved although bob had denied it: %v", w.requests[request].Reviews)
				}
			})
		})
	}
}

func TestIncidentsThatCannotBeReadDoNotHoldUpTheApproval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var refs []string
		for i := range 5 {
			name := fmt.Sprintf("n%d", i)
			w.services = append(w.services, access.Service{ID: access.ServiceID("SN" + name), Name: name, Policy: "PX"})
			refs = append(refs, name)
		}
		w.annotate("notify", refs...)
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.aliceIsOnCall()
		w.latency["get incident"] = 10 * time.Second // what one attempt may take
		var approved time.Time
		began := time.Now()
		w.hooks["review"] = func() { approved = time.Now() }
		_, _, _ = w.look(r, access.CauseShift)
		if approved.IsZero() || approved.Sub(began) > time.Second {
			t.Errorf("approved after %s, want at once", approved.Sub(began))
		}
	})
}

func TestPluginDataThatIsSlowDoesNotHoldUpTheApproval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.latency["swap"] = time.Minute
		_, _, _ = w.look(w.replica("a"), access.CauseCreated)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("the request is %s after one look, want it approved", got)
		}
	})
}

// namesake is Teleport for a pdhook whose identity belongs to another user.
type namesake struct{ teleport }

func (n namesake) User() string { return "pdhook-2" }

func (n namesake) SubmitReview(ctx context.Context, id access.RequestID, state access.State, reason string) (req access.Request, err error) {
	err = n.w.call(ctx, "review", "review", func() error { req, err = n.w.review(id, n.User(), state, reason); return err })
	return req, err
}

func TestPdhookReviewsOnceAlsoWhenItsIdentityIsReplaced(t *testing.T) {
	for _, replica := range []string{"a", "b"} { // the same store after a restart; another replica
		t.Run(replica, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.threshold = 2
				w.aliceIsOnCall()
				w.once(w.replica("a"), access.CauseCreated)
				r := w.replica(replica)
				r.Requests = namesake{teleport{w}}
				_, _, _ = w.look(r, access.CauseStart)
				if n := len(w.requests[request].Reviews); n != 1 {
					t.Errorf("pdhook reviewed %d times, two people's approvals were wanted", n)
				}
			})
		})
	}
}

func TestPdhookDeniesOnceAlsoWhenItsIdentityIsReplaced(t *testing.T) {
	for _, replica := range []string{"a", "b"} {
		t.Run(replica, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				deny(w)
				w.denials = 2
				r := w.replica("a")
				w.settle(r, nil)
				w.resolvedBy(w.incidents[0].ID, bobInPagerDuty)
				w.fail = func(call string, _ int) fault { return map[string]fault{"review": orphaned}[call] }
				if _, _, died := w.look(r, "webhook incident.resolved"); !died {
					t.Fatal("want it killed after its denial, before that is on record")
				}
				w.fail = nil
				r = w.replica(replica)
				r.Requests = namesake{teleport{w}}
				w.settle(r, nil)
				if req := w.requests[request]; len(req.Reviews) != 1 || req.State != access.Pending {
					t.Errorf("pdhook denied %d times, the request is %s; two people's denials were wanted", len(req.Reviews), req.State)
				}
			})
		})
	}
}

func TestARequestThatALaggingListHadLostIsNotifiedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		lost := w.requests[request]
		w.expire()
		w.settle(r, nil)
		w.requests[request], w.gone[request] = lost, false
		w.settle(r, nil)
		if n := len(w.incidents); n != 2 || !w.incidents[1].Open() {
			t.Errorf("want an open incident after the ended one:\n%s", w.end())
		}
	})
}
