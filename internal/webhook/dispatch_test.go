package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
)

// links is a store in memory, and notes who was woken.
type links struct {
	mu        sync.Mutex
	incidents map[access.IncidentID][]access.RequestID
	services  map[string][]access.RequestID // by ID and by name
	waiting   []access.RequestID
	accepted  []access.Event // not dispatched yet
	outcomes  map[access.EventID]string
	woken     []string // "request: cause"
	unsafe    []access.RequestID
	recorded  map[access.RequestID]bool
	failing   error
	poisoned  access.EventID // Concern fails for it
	hold      chan struct{}  // Concern waits for it
}

func (l *links) RequestsOfIncident(_ context.Context, id access.IncidentID) ([]access.RequestID, error) {
	return l.incidents[id], l.err()
}

func (l *links) PendingForService(_ context.Context, id access.ServiceID, name string) ([]access.RequestID, error) {
	return slices.Concat(l.services[string(id)], l.services[name]), l.err()
}

func (l *links) Concern(_ context.Context, id access.EventID, requests []access.RequestID, outcome string) error {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing != nil {
		return l.failing
	}
	if id == l.poisoned {
		return errors.New("poisoned")
	}
	if len(requests) > 4000 {
		return errors.New("too large to be stored") // as package store has it
	}
	l.accepted = slices.DeleteFunc(l.accepted, func(e access.Event) bool { return e.ID == id })
	l.outcomes[id] = outcome
	for _, request := range requests {
		l.recorded[request] = true
	}
	return nil
}

func (l *links) Undispatched(context.Context) ([]access.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.accepted), l.failing
}

func (l *links) Waiting(context.Context) ([]access.RequestID, error) { return l.waiting, l.err() }

func (l *links) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failing
}

func (l *links) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failing = err
}

func (l *links) wake(id access.RequestID, cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.recorded[id] {
		l.unsafe = append(l.unsafe, id)
	}
	l.woken = append(l.woken, string(id)+": "+cause)
}

func (l *links) took() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	woken := l.woken
	l.woken = nil
	return woken
}

func (l *links) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// accept puts the event on disk and hands it over, as the Handler does.
func (l *links) accept(d *webhook.Dispatcher, e access.Event) {
	l.mu.Lock()
	l.accepted = append(l.accepted, e)
	l.mu.Unlock()
	d.Accepted(e)
}

func newLinks() *links {
	return &links{
		incidents: map[access.IncidentID][]access.RequestID{"Q-own": {"r1"}, "Q-survivor": {"r1", "r2"}},
		services:  map[string][]access.RequestID{"S": {"r2", "r3"}, "payments": {"r3", "r4"}},
		outcomes:  map[access.EventID]string{},
		recorded:  map[access.RequestID]bool{},
	}
}

// run starts a Dispatcher inside a bubble; the bubble's end stops it.
func run(t *testing.T, l *links, log *slog.Logger) *webhook.Dispatcher {
	d := webhook.NewDispatcher(l, l.wake, log)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return d
}

// pass lets time go by on the bubble's clock.
func pass(d time.Duration) { <-time.After(d) }

func TestEventsWakeTheRequestsTheyConcern(t *testing.T) {
	incident := func(eventType, id, key string) access.Event {
		return access.Event{Type: eventType, Incidents: []access.IncidentID{access.IncidentID(id)}, IncidentKey: key, Service: "S", ServiceName: "payments"}
	}
	about := func(eventType, id string) access.Event {
		return access.Event{Type: eventType, Incidents: []access.IncidentID{access.IncidentID(id)}}
	}
	tests := []struct {
		name    string
		event   access.Event
		want    string
		outcome string
	}{
		{"own incident wakes only its request", incident("incident.acknowledged", "Q-own", "teleport-access-request/r1"), "r1", "woke 1 request"},
		{"own incident, second key", incident("incident.acknowledged", "Q-own", "teleport-access-request/r1/2"), "r1", "woke 1 request"},
		{"own incident not linked yet", incident("incident.acknowledged", "Q-new", "teleport-access-request/r9"), "r9", "woke 1 request"},
		{"own incident just opened", incident("incident.triggered", "Q-own", "teleport-access-request/r1"), "", "no pending request"},
		{"own incident into which another was merged", incident("incident.resolved", "Q-survivor", "teleport-access-request/r2"), "r1 r2", "woke 2 requests"},
		{"responder on a linked incident", about("incident.responder.added", "Q-own"), "r1", "woke 1 request"},
		{"responder on any other incident", about("incident.responder.added", "Q-else"), "", "no pending request"},
		{"stranger's incident on a named service", incident("incident.triggered", "Q-else", "nagios"), "r2 r3 r4", "woke 3 requests"},
		{"stranger's incident with a key like ours", incident("incident.triggered", "Q-else", "teleport-access-request/a/b"), "r2 r3 r4", "woke 3 requests"},
		{"stranger's incident without a key", incident("incident.priority_updated", "Q-else", ""), "r2 r3 r4", "woke 3 requests"},
		{"linked incident without a key", incident("incident.priority_updated", "Q-own", ""), "r1", "woke 1 request"},
		{"stranger's incident that survived a merge", incident("incident.resolved", "Q-survivor", "nagios"), "r1 r2 r3 r4", "woke 4 requests"},
		{"note on a linked incident", about("incident.annotated", "Q-own"), "", "ignored"},
		{"service renamed", access.Event{Type: "service.updated", Service: "S", ServiceName: "payments"}, "r2 r3 r4", "woke 3 requests"},
		{"service with the awaited name", access.Event{Type: "service.created", Service: "S-new", ServiceName: "payments"}, "r3 r4", "woke 2 requests"},
		{"service nobody names", access.Event{Type: "service.deleted", Service: "S-else"}, "", "no pending request"},
		{"field of a service", access.Event{Type: "service.custom_field_values.updated", Service: "S"}, "", "ignored"},
		{"type not known", incident("incident.teleported", "Q-own", "teleport-access-request/r1"), "", "ignored"},
		{"ping", access.Event{Type: "pagey.ping"}, "", "ping"},
		{"nothing could be read", access.Event{Type: "incident.resolved", Malformed: true}, "", "no pending request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLinks()
				d := run(t, l, slog.New(slog.DiscardHandler))
				tt.event.ID = "E"
				l.accept(d, tt.event)
				synctest.Wait()
				if tt.want == "" { // recorded soon, not at once
					pass(100 * time.Millisecond)
					synctest.Wait()
				}

				var want []string
				for _, id := range strings.Fields(tt.want) {
					want = append(want, id+": webhook "+tt.event.Type)
				}
				if got := l.took(); !slices.Equal(got, want) {
					t.Errorf("woken: got %q, want %q", got, want)
				}
				if got := l.outcomes["E"]; got != tt.outcome {
					t.Errorf("outcome: got %q, want %q", got, tt.outcome)
				}
				if len(l.unsafe) > 0 {
					t.Errorf("woken before it was recorded: %q", l.unsafe)
				}
			})
		})
	}
}

func TestConcernsOfAnEventThatIsNotUsedIsNothing(t *testing.T) {
	e := access.Event{Type: "incident.teleported", Incidents: []access.IncidentID{"Q"}, IncidentKey: "teleport-access-request/r1", Service: "S"}
	if got := webhook.Concerns(e); !reflect.DeepEqual(got, webhook.Scope{}) {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestRunFirstWakesWhatAnEarlierRunLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks()
		l.waiting = []access.RequestID{"r7"}
		l.accepted = []access.Event{{ID: "E", Type: "service.updated", Service: "S"}}
		run(t, l, slog.New(slog.DiscardHandler))
		want := []string{"r7: webhook", "r2: webhook service.updated", "r3: webhook service.updated"}
		if got := l.took(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAcceptedNeverBlocksAndNeverLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks()
		l.hold = make(chan struct{})
		d := run(t, l, slog.New(slog.DiscardHandler))
		for i := range 1500 {
			l.accept(d, access.Event{ID: access.EventID(fmt.Sprint(i)), Type: "service.updated", Service: "S"})
		}
		close(l.hold)
		synctest.Wait()
		if l.left() != 0 || len(l.outcomes) != 1500 {
			t.Errorf("got %d dispatched and %d left, want all 1500 dispatched at once", len(l.outcomes), l.left())
		}
	})
}

// Each record alone would be a sync of the disk that the next delivery has to wait for.
func TestEventsThatConcernNobodyAreRecordedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks()
		d := run(t, l, slog.New(slog.DiscardHandler))
		for i := range 3 {
			l.accept(d, access.Event{ID: access.EventID(fmt.Sprint(i)), Type: "service.updated", Service: "S-else"})
			pass(time.Millisecond)
		}
		synctest.Wait()
		if l.left() != 3 {
			t.Errorf("%d are not recorded yet, want all 3", l.left())
		}
		l.accept(d, access.Event{ID: "E", Type: "service.updated", Service: "S"})
		synctest.Wait()
		if got := l.took(); len(got) != 2 || l.left() != 3 {
			t.Errorf("woken: got %q; an event that concerns somebody waits for nothing", got)
		}
		pass(100 * time.Millisecond)
		synctest.Wait()
		if l.left() != 0 {
			t.Errorf("%d are not recorded, want none", l.left())
		}
	})
}

func TestStoreErrorsAreRetriedAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := newLinks()
		l.waiting = []access.RequestID{"r7"}
		l.fail(errors.New("disk gone"))
		d := run(t, l, slog.New(slog.NewTextHandler(&log, nil)))
		l.accept(d, access.Event{ID: "E", Type: "service.updated", Service: "S"})
		pass(time.Minute)
		if got := l.took(); len(got) > 0 {
			t.Errorf("woken while the store fails: %q", got)
		}
		l.fail(nil)
		pass(10 * time.Second)
		if got := l.took(); len(got) != 3 {
			t.Errorf("woken afterwards: got %q, want r7, r2 and r3", got)
		}
		synctest.Wait()
		// Reading who waits and reading who names the service fail with texts of their own.
		if n := strings.Count(log.String(), "disk gone"); n != 2 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}

func TestOneEventThatCannotBeDispatchedBlocksNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks()
		l.poisoned = "bad"
		d := run(t, l, slog.New(slog.DiscardHandler))
		for _, id := range []access.EventID{"bad", "good"} {
			l.accept(d, access.Event{ID: id, Type: "service.updated", Service: "S"})
		}
		synctest.Wait()
		if l.outcomes["good"] == "" {
			t.Error("the good event waits for the bad one")
		}
		pass(time.Minute)
		if l.left() != 1 {
			t.Errorf("got %d events left, want the bad one", l.left())
		}
	})
}

func TestAnEventThatConcernsThousandsOfRequestsWakesThemAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks()
		for n := range 10_000 {
			l.services["S"] = append(l.services["S"], access.RequestID(fmt.Sprintf("many-%d", n)))
		}
		d := run(t, l, slog.New(slog.DiscardHandler))
		l.accept(d, access.Event{ID: "E", Type: "service.updated", Service: "S"})
		synctest.Wait()
		if got, want := len(l.took()), len(l.services["S"]); got != want || l.left() != 0 {
			t.Errorf("%d of %d requests were woken, %d events wait", got, want, l.left())
		}
		if got, want := l.outcomes["E"], "woke 10002 requests"; got != want {
			t.Errorf("outcome %q, want %q", got, want)
		}
	})
}

func TestEventWrittenAfterTheSenderLostPatienceIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLinks()
		run(t, l, slog.New(slog.DiscardHandler))
		l.mu.Lock() // on disk, but nobody was told
		l.accepted = append(l.accepted, access.Event{ID: "late", Type: "service.updated", Service: "S"})
		l.mu.Unlock()
		pass(30 * time.Second)
		synctest.Wait()
		if got := len(l.took()); got != 2 {
			t.Errorf("woken: got %d, want 2", got)
		}
	})
}
