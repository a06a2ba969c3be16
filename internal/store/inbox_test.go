package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestAcceptedEventIsReadBackAfterReopen(t *testing.T) {
	r := newRig(t)
	late, early := event("e1"), event("e2")
	late.Received = noon.Add(time.Minute)
	if !r.accept(late) || !r.accept(early) {
		t.Error("new events are not fresh")
	}
	r.reopen()

	wantSame(t, "event", must[access.Event](t)(r.Event(t.Context(), "e1")), late)
	bare := []access.Event{early, late}
	bare[0].Body, bare[1].Body = nil, nil
	wantSame(t, "undispatched, oldest first", must[[]access.Event](t)(r.Undispatched(t.Context())), bare)
	got := r.deliveries()
	if len(got) != 2 || got[0].ID != "e1" || got[1].ID != "e2" {
		t.Errorf("deliveries, newest first: got %v, want e1 and e2", got)
	}
	wantSame(t, "delivery", got[0], Delivery{ID: "e1", Type: late.Type, Occurred: late.Occurred, Received: late.Received})
	if got := must[[]Delivery](t)(r.Deliveries(t.Context(), 1)); len(got) != 1 || got[0].ID != "e1" {
		t.Errorf("one delivery: got %v, want e1", got)
	}
}

func TestEventIsFreshAgainOnlyAfter72Hours(t *testing.T) {
	for _, row := range []struct {
		name     string
		finished bool
		after    time.Duration
		want     bool
	}{
		{"at once", true, 0, false},
		{"just within 72 h", true, 72 * time.Hour, false},
		{"after 72 h", true, 72*time.Hour + time.Second, true},
		{"after 72 h, but not finished yet", false, 73 * time.Hour, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			r.accept(event("e1"))
			if row.finished {
				r.concern("e1", "ignored")
			}
			r.pass(row.after)
			again := event("e1")
			again.Received = noon.Add(row.after)
			if got := r.accept(again); got != row.want {
				t.Errorf("fresh: got %v, want %v", got, row.want)
			}
			if got := r.deliveries(); len(got) != 1 {
				t.Errorf("got %d deliveries, want 1", len(got))
			}
		})
	}
}

func TestSeenEventsAreForgottenAfter72HoursUnlessUnfinished(t *testing.T) {
	r := newRig(t)
	for _, id := range []access.EventID{"done", "waiting", "new"} {
		r.accept(event(id))
	}
	r.concern("done", "no pending request")
	r.concern("waiting", "", "r1")
	r.pass(Remembered)
	r.reopen()
	if got := r.deliveries(); len(got) != 3 {
		t.Fatalf("after 72 h sharp: got %d deliveries, want 3", len(got))
	}
	r.pass(time.Second)
	r.forgetAll()
	r.reopen()

	got := r.deliveries()
	if len(got) != 2 || got[0].ID != "waiting" || got[1].ID != "new" {
		t.Errorf("got %v, want the events waiting and new", got)
	}
	if _, err := r.Event(t.Context(), "done"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("forgotten event: got error %v, want not found", err)
	}
	if !r.accept(event("done")) {
		t.Error("forgotten event is not fresh again")
	}
}

func TestEventThatConcernsNobodyIsFinishedAtOnce(t *testing.T) {
	r := newRig(t)
	r.accept(event("e1"))
	r.pass(time.Second)
	r.concern("e1", "no pending request")
	r.concern("e1", "a second call changes nothing", "r1")
	r.reopen()

	e := event("e1")
	wantSame(t, "deliveries", r.deliveries(), []Delivery{{
		ID: "e1", Type: e.Type, Occurred: e.Occurred, Received: e.Received,
		Finished: noon.Add(time.Second), Outcome: "no pending request",
	}})
	wantSame(t, "event without body and target", must[access.Event](t)(r.Event(t.Context(), "e1")),
		access.Event{ID: "e1", Type: e.Type, Occurred: e.Occurred, Received: e.Received})
	wantNothingWaits(t, r)
}

func TestEventIsFinishedWhenItsLastRequestIsRecorded(t *testing.T) {
	r := newRig(t)
	r.accept(event("e1"))
	r.accept(event("e2"))
	r.concern("e1", "looked at again", "r1", "r2", "r1")
	r.concern("e2", "", "r1")
	r.reopen()
	wantSame(t, "waiting", must[[]access.RequestID](t)(r.Waiting(t.Context())), []access.RequestID{"r1", "r2"})
	wantSame(t, "events for r1", must[[]access.EventID](t)(r.EventsFor(t.Context(), "r1")), []access.EventID{"e1", "e2"})

	link := pending("r1")
	r.record(access.Outcome{Link: &link, Finished: []access.EventID{"e1", "e1", "unknown"}})
	r.reopen()
	wantSame(t, "events for r1", must[[]access.EventID](t)(r.EventsFor(t.Context(), "r1")), []access.EventID{"e2"})
	wantSame(t, "events for r2", must[[]access.EventID](t)(r.EventsFor(t.Context(), "r2")), []access.EventID{"e1"})
	if got := must[access.Event](t)(r.Event(t.Context(), "e1")); len(got.Body) == 0 {
		t.Error("body is gone although r2 still waits")
	}

	r.pass(time.Minute)
	r.record(access.Outcome{Request: "r2", Finished: []access.EventID{"e1"}})
	r.record(access.Outcome{Request: "r1", Finished: []access.EventID{"e2"}})
	r.reopen()
	wantNothingWaits(t, r)
	for _, d := range r.deliveries() {
		if !d.Finished.Equal(noon.Add(time.Minute)) {
			t.Errorf("%s finished at %v, want a minute past noon", d.ID, d.Finished)
		}
		if got := must[access.Event](t)(r.Event(t.Context(), d.ID)); got.Body != nil || got.Incidents != nil {
			t.Errorf("%s still has %+v", d.ID, got)
		}
	}
}

func wantNothingWaits(t *testing.T, r *rig) {
	t.Helper()
	if got := must[[]access.Event](t)(r.Undispatched(t.Context())); len(got) != 0 {
		t.Errorf("undispatched: got %v, want none", got)
	}
	if got := must[[]access.RequestID](t)(r.Waiting(t.Context())); len(got) != 0 {
		t.Errorf("waiting: got %v, want none", got)
	}
}

func TestConcernOfUnknownEventIsNotFound(t *testing.T) {
	r := newRig(t)
	if err := r.Concern(t.Context(), "e1", nil, ""); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

func TestOddEventsHarmNobody(t *testing.T) {
	r := newRig(t)
	for name, id := range map[string]access.EventID{"no ID": "", "endless ID": access.EventID(strings.Repeat("x", 2000))} {
		if _, err := r.Accept(t.Context(), access.Event{ID: id}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	huge := event("huge")
	huge.ServiceName = strings.Repeat("x", 2<<20)
	if _, err := r.Accept(t.Context(), huge); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("event of 2 MiB: got error %v, want too large", err)
	}
	largest := event("a/b\x00\xff…") // nothing in an ID is special
	largest.Body = make([]byte, 512<<10)
	r.accept(largest)
	r.accept(access.Event{ID: "bare"})
	r.reopen()
	if got := must[access.Event](t)(r.Event(t.Context(), largest.ID)); len(got.Body) != 512<<10 {
		t.Errorf("got a body of %d bytes, want 512 KiB", len(got.Body))
	}
	if got := must[access.Event](t)(r.Event(t.Context(), "bare")); !got.Received.Equal(noon) {
		t.Errorf("received: got %v, want the store's now", got.Received)
	}
}

// forgetAll does what Run does at its start and hourly.
func (r *rig) forgetAll() {
	r.t.Helper()
	for pass, more := (round{}), true; more; {
		var err error
		if more, err = r.forget(pass); err != nil {
			r.t.Fatal(err)
		}
	}
}
