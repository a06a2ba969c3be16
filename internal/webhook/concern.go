package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	together = 256 // events that are recorded at once
	// nobodyWaits is how long an event that concerns nobody may stay unrecorded. Nobody waits for the record,
	// but each alone would be a sync of the disk that the next delivery has to wait for.
	nobodyWaits = 50 * time.Millisecond
	// mostNoted is how many requests are noted for one event. The store takes some thousand at once, and writes all of
	// them again whenever one was looked at.
	mostNoted = 1000
)

// concern is an event and the requests that it has to take effect on.
type concern struct {
	event    access.Event
	requests []access.RequestID
}

// noted gives the requests that the event waits for. Where they are too many, it waits for none: should the process end
// before it has looked at them, the next start looks at everything that is pending.
func (c concern) noted() []access.RequestID {
	if len(c.requests) > mostNoted {
		return nil
	}
	return c.requests
}

// gather gives the event and those that have come since.
func (d *Dispatcher) gather(first access.Event) []access.Event {
	events := []access.Event{first}
	for len(events) < together {
		select {
		case e := <-d.events:
			events = append(events, e)
		default:
			return events
		}
	}
	return events
}

// dispatch finds whom the events concern, records it and wakes them. It reports whether it could; what it
// could not do is still undispatched on the disk.
func (d *Dispatcher) dispatch(ctx context.Context, events []access.Event) bool {
	done := true
	var found []concern
	for _, e := range events {
		requests, err := d.requests(ctx, Concerns(e))
		switch {
		case err != nil:
			done = d.failed(ctx, e.ID, err)
		case len(requests) == 0:
			d.nobody = append(d.nobody, concern{event: e})
		default:
			found = append(found, concern{e, requests})
		}
	}
	if len(d.nobody) >= together {
		done = d.recordNobody(ctx) && done
	}
	return d.record(ctx, found) && done
}

func (d *Dispatcher) recordNobody(ctx context.Context) bool {
	all := d.nobody
	d.nobody = nil
	return d.record(ctx, all)
}

// record records whom events concern before it wakes them, so that a crash in between is found by Waiting.
// It does so side by side, for the store puts on disk together what comes together.
func (d *Dispatcher) record(ctx context.Context, all []concern) bool {
	failures := make([]error, len(all))
	var group sync.WaitGroup
	for i, c := range all {
		group.Go(func() { failures[i] = d.links.Concern(ctx, c.event.ID, c.noted(), c.outcome()) })
	}
	group.Wait()
	done := true
	for i, c := range all {
		if err := failures[i]; err != nil {
			done = d.failed(ctx, c.event.ID, fmt.Errorf("recording whom an event concerns: %w", err))
			continue
		}
		for _, id := range c.requests {
			d.wake(id, "webhook "+c.event.Type)
		}
		d.log.LogAttrs(ctx, c.level(), "webhook dispatched", c.attrs()...)
	}
	return done
}

// level keeps what concerns nobody out of the usual log: most webhooks of an account do not.
func (c concern) level() slog.Level {
	if len(c.requests) == 0 {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// told is how many requests a line names: whoever follows one of them finds it in there.
const told = 10

func (c concern) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("event_id", string(c.event.ID)), slog.String("event_type", c.event.Type), slog.String("outcome", c.outcome())}
	if len(c.event.Incidents) > 0 {
		attrs = append(attrs, slog.String("pd_incident_id", string(c.event.Incidents[0])))
	}
	if len(c.requests) == 0 {
		return attrs
	}
	named := make([]string, 0, told)
	for _, id := range c.requests[:min(told, len(c.requests))] {
		named = append(named, string(id))
	}
	return append(attrs, slog.String("request_id", strings.Join(named, ",")))
}

// outcome is what the list of deliveries shows for the event.
func (c concern) outcome() string {
	switch {
	case eventTypes[c.event.Type].shape == ping:
		return "ping"
	case !used(c.event.Type):
		return "ignored"
	case len(c.requests) == 0:
		return "no pending request"
	case len(c.requests) == 1:
		return "woke 1 request"
	}
	return fmt.Sprintf("woke %d requests", len(c.requests))
}
