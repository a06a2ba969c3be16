package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	bufferedEvents = 1024             // more wait on the disk
	sweepEvery     = 30 * time.Second // finds events whose write took longer than the sender's patience
	firstRetry     = 100 * time.Millisecond
	slowestRetry   = 10 * time.Second
	maxReported    = 100 // texts
)

// Links knows which requests are tied to incidents and services, and what became of each event.
type Links interface {
	// RequestsOfIncident gives the requests linked to the incident, also as the survivor of a merge.
	RequestsOfIncident(context.Context, access.IncidentID) ([]access.RequestID, error)
	// PendingForService gives the pending requests that name the service, by its ID or its name.
	PendingForService(ctx context.Context, id access.ServiceID, name string) ([]access.RequestID, error)
	// Concern records which requests the event has to take effect on, and that it is dispatched. Doing it
	// again changes nothing.
	Concern(ctx context.Context, id access.EventID, requests []access.RequestID, outcome string) error
	// Undispatched gives the accepted events that Concern was not called for. Their bodies are not needed.
	Undispatched(context.Context) ([]access.Event, error)
	// Waiting gives the requests on which a dispatched event has not taken effect yet.
	Waiting(context.Context) ([]access.RequestID, error)
}

// Dispatcher finds the requests that accepted events concern, and wakes them. The disk is the queue; the
// memory holds a bounded part of it.
type Dispatcher struct {
	links    Links
	wake     func(id access.RequestID, cause string)
	log      *slog.Logger
	events   chan access.Event
	overflow chan struct{}   // holds a token when an event found no place in events
	nobody   []concern       // found to concern nobody, to be recorded soon
	complete bool            // Waiting has been read since Run began
	retrying bool            // something failed: the disk is read again soon
	retry    time.Duration   // how soon
	reported map[string]bool // texts of the errors that were logged and are not over
}

// NewDispatcher gives a Dispatcher; wake must not block.
func NewDispatcher(links Links, wake func(id access.RequestID, cause string), log *slog.Logger) *Dispatcher {
	return &Dispatcher{
		links:    links,
		wake:     wake,
		log:      log,
		events:   make(chan access.Event, bufferedEvents),
		overflow: make(chan struct{}, 1),
		reported: map[string]bool{},
	}
}

// Accepted takes an event that is on disk. It never blocks and never loses one: what finds no place in
// memory is read from the disk again.
func (d *Dispatcher) Accepted(e access.Event) {
	e.Body = nil // stays on the disk; up to 512 KiB
	select {
	case d.events <- e:
	default:
		select {
		case d.overflow <- struct{}{}:
		default: // a token is there already
		}
	}
}

// Run wakes the requests that events of an earlier run left waiting, handles what was accepted but not
// dispatched, and then each event as it comes, until ctx ends. Failures of the store are retried with
// back-off; it always returns nil.
func (d *Dispatcher) Run(ctx context.Context) error {
	d.complete, d.retrying, d.retry = false, false, firstRetry
	read := time.NewTimer(d.readDisk(ctx))
	defer read.Stop()
	var due <-chan time.Time // of nobody
	for {
		done := true
		select {
		case <-ctx.Done():
			return nil
		case e := <-d.events:
			done = d.dispatch(ctx, d.gather(e))
			if due == nil && len(d.nobody) > 0 {
				due = time.After(nobodyWaits)
			}
		case <-due:
			due = nil
			done = d.recordNobody(ctx)
		case <-d.overflow:
			if !d.retrying {
				read.Reset(0)
			}
		case <-read.C:
			read.Reset(d.readDisk(ctx))
		}
		if !done && !d.retrying {
			d.retrying = true
			read.Reset(d.retry)
		}
	}
}

// readDisk catches up, and says after how long to do it again.
func (d *Dispatcher) readDisk(ctx context.Context) time.Duration {
	if d.retrying = !d.catchUp(ctx); d.retrying {
		after := d.retry
		d.retry = min(2*d.retry, slowestRetry)
		return after
	}
	d.retry = firstRetry
	clear(d.reported)
	return sweepEvery
}

// catchUp reads from the disk what there is to do, and reports whether all of it is done.
func (d *Dispatcher) catchUp(ctx context.Context) bool {
	if !d.complete {
		waiting, err := d.links.Waiting(ctx)
		if err != nil {
			return d.failed(ctx, "", fmt.Errorf("reading the requests that events wait for: %w", err))
		}
		for _, id := range waiting {
			d.wake(id, "webhook")
		}
		d.complete = true
	}
	d.nobody = nil // they are on the disk, too
	events, err := d.links.Undispatched(ctx)
	if err != nil {
		return d.failed(ctx, "", fmt.Errorf("reading the events not dispatched: %w", err))
	}
	done := true
	for some := range slices.Chunk(events, together) {
		done = d.dispatch(ctx, some) && done
	}
	return d.recordNobody(ctx) && done
}

// requests gives the requests in scope, each once, sorted.
func (d *Dispatcher) requests(ctx context.Context, scope Scope) ([]access.RequestID, error) {
	found := map[access.RequestID]bool{}
	add := func(ids []access.RequestID) {
		for _, id := range ids {
			found[id] = true
		}
	}
	if scope.Own != "" {
		found[scope.Own] = true
	}
	for _, incident := range scope.Incidents {
		linked, err := d.links.RequestsOfIncident(ctx, incident)
		if err != nil {
			return nil, fmt.Errorf("reading the requests of an incident: %w", err)
		}
		add(linked)
	}
	named := scope.Service != "" || scope.ServiceName != ""
	if named && !(scope.UnlessLinked && len(found) > 0) {
		pending, err := d.links.PendingForService(ctx, scope.Service, scope.ServiceName)
		if err != nil {
			return nil, fmt.Errorf("reading the pending requests of a service: %w", err)
		}
		add(pending)
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// failed logs err unless its text is known, too many are, or the run is over. It reports false, for "not
// done".
func (d *Dispatcher) failed(ctx context.Context, id access.EventID, err error) bool {
	if text := err.Error(); ctx.Err() == nil && !d.reported[text] && len(d.reported) < maxReported {
		d.reported[text] = true
		d.log.Error("webhooks wait for the store", "event_id", id, "error", err)
	}
	return false
}
