package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestStormOfEventsIsFinishedHoweverManyThereAre(t *testing.T) {
	for _, storm := range []struct {
		name             string
		events, requests int
	}{
		{"many events wait for one request", 3000, 1},
		{"many events wait for many requests", 500, 50},
	} {
		t.Run(storm.name, func(t *testing.T) {
			r := newRig(t)
			requests := make([]access.RequestID, storm.requests)
			for i := range requests {
				requests[i] = access.RequestID(fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", i))
			}
			var accepted sync.WaitGroup
			for i := range storm.events {
				accepted.Go(func() {
					id := access.EventID(fmt.Sprintf("01DFHOCFCI%016d", i))
					_, err := r.Accept(t.Context(), event(id))
					if err := errors.Join(err, r.Concern(t.Context(), id, requests, "")); err != nil {
						t.Error(err)
					}
				})
			}
			accepted.Wait()
			link := pending(requests[0], "P1")
			waiting := must[[]access.EventID](t)(r.EventsFor(t.Context(), requests[0]))
			r.record(access.Outcome{Link: &link, Finished: waiting})
			r.reopen()
			if got := must[[]access.EventID](t)(r.EventsFor(t.Context(), requests[0])); len(got) > 0 {
				t.Errorf("%d of %d events are not finished", len(got), storm.events)
			}
			got := must[[]access.RequestID](t)(r.Waiting(t.Context()))
			wantSame(t, "waiting", append([]access.RequestID{}, got...), requests[1:])
			wantSame(t, "link", must[access.Link](t)(r.Link(t.Context(), requests[0])), link)
		})
	}
}
