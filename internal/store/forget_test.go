package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestFinishedLinksAndDecisionsAreKeptForTheRetention(t *testing.T) {
	r := newRig(t)
	open, finished := pending("open", "P1"), pending("finished")
	finished.State, finished.Finished = access.Denied, noon
	finished.Incidents = []access.LinkedIncident{{ID: "Q1"}}
	for _, l := range []access.Link{open, finished} {
		d := no(l.Request, "", noon)
		r.record(access.Outcome{Link: &l, Decision: &d})
	}
	stray := no("stray", "", noon) // a decision without a link
	r.record(access.Outcome{Decision: &stray})

	r.pass(month)
	r.forgetAll()
	if got := must[[]access.Decision](t)(r.Decisions(t.Context(), 9)); len(got) != 3 {
		t.Errorf("at the end of the retention: got %d decisions, want 3", len(got))
	}
	r.pass(time.Second)
	r.forgetAll()
	r.reopen()

	if _, err := r.Link(t.Context(), "finished"); err == nil {
		t.Error("finished link is still there")
	}
	wantSame(t, "requests of its incident", must[[]access.RequestID](t)(r.RequestsOfIncident(t.Context(), "Q1")), []access.RequestID(nil))
	wantSame(t, "open link", must[access.Link](t)(r.Link(t.Context(), "open")), open)
	got := must[[]access.Decision](t)(r.Decisions(t.Context(), 9))
	if len(got) != 1 || got[0].Request != "open" {
		t.Errorf("decisions: got %v, want the one of the open link", got)
	}
}

func TestRunForgetsAtItsStartInManySteps(t *testing.T) {
	r := newRig(t)
	const many = 1000 // several portions
	done := make(chan error)
	for i := range many {
		go func() {
			id := access.EventID(fmt.Sprintf("e%04d", i))
			_, err := r.Accept(t.Context(), event(id))
			if err == nil {
				err = r.Concern(t.Context(), id, nil, "ignored")
			}
			done <- err
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if got := must[[]Delivery](t)(r.Deliveries(t.Context(), 2*many)); len(got) != many {
		t.Fatalf("got %d deliveries, want %d", len(got), many)
	}
	r.pass(Remembered + time.Second)
	r.reopen()
	waitUntil(t, "all is forgotten", func() bool { return len(r.deliveries()) == 0 })
}

func TestForgettingWorksBelowTheReserve(t *testing.T) {
	r := newRig(t)
	r.accept(event("e1"))
	r.concern("e1", "ignored")
	r.pass(Remembered + time.Second)
	r.setRoom(room{free: 18 << 20, used: 2 << 20}) // 16 + 2 sharp
	r.forgetAll()
	if got := r.deliveries(); len(got) != 1 {
		t.Errorf("got %d deliveries where nothing may be written, want 1", len(got))
	}
	r.setRoom(room{free: 18<<20 + 1, used: 2 << 20})
	r.forgetAll()
	if got := r.deliveries(); len(got) != 0 {
		t.Errorf("got %d deliveries, want none", len(got))
	}
}
