package reconcile

import (
	"context"
	"errors"

	"github.com/pdhook/pdhook/internal/access"
)

// theStore is away while it takes nothing.
const theStore = "the store"

// disk is the store of a process: nothing is written once that is dead.
type disk struct {
	life *life
	links
}

func alive[T any](l *life, do func() (T, error)) (T, error) {
	l.run.w.mu.Lock()
	defer l.run.w.mu.Unlock()
	if l.dead {
		var none T
		return none, errDead
	}
	return do()
}

func (d disk) Link(ctx context.Context, id access.RequestID) (access.Link, error) {
	return alive(d.life, func() (access.Link, error) { return d.links.Link(ctx, id) })
}

func (d disk) RequestsOfIncident(ctx context.Context, id access.IncidentID) ([]access.RequestID, error) {
	return alive(d.life, func() ([]access.RequestID, error) { return d.links.RequestsOfIncident(ctx, id) })
}

func (d disk) Decision(ctx context.Context, id access.RequestID) (access.Decision, error) {
	return alive(d.life, func() (access.Decision, error) { return d.links.Decision(ctx, id) })
}

func (d disk) EventsFor(ctx context.Context, id access.RequestID) ([]access.EventID, error) {
	return alive(d.life, func() ([]access.EventID, error) { return d.links.EventsFor(ctx, id) })
}

func (d disk) Event(ctx context.Context, id access.EventID) (access.Event, error) {
	return alive(d.life, func() (access.Event, error) { return d.links.Event(ctx, id) })
}

func (d disk) Record(ctx context.Context, o access.Outcome) error {
	_, err := alive(d.life, func() (struct{}, error) {
		if d.life.run.away(theStore) {
			d.life.run.forgotten()
			return struct{}{}, errors.New("store is full")
		}
		return struct{}{}, d.links.Record(ctx, o)
	})
	return err
}
