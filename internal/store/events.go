package store

import (
	"context"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// Event gives an accepted event, with its body while it has not taken effect. It returns
// access.ErrNotFound for one that was never accepted or is forgotten.
func (s *Store) Event(ctx context.Context, id access.EventID) (access.Event, error) {
	var e access.Event
	err := s.read(ctx, "event "+string(id), func(now snapshot) error {
		d, found, err := lookup[delivery](now, eventKey(id))
		if err != nil {
			return err
		}
		if !found {
			return access.ErrNotFound
		}
		e = d.event()
		body, err := now.value(bodyKey(id))
		if len(body) > 1 {
			e.Body = body[1:]
		}
		return err
	})
	return e, err
}

// Undispatched gives the events that were accepted but for which Concern was not called, because the
// process ended in between; oldest first. They come without their bodies, which Event gives.
func (s *Store) Undispatched(ctx context.Context) ([]access.Event, error) {
	var events []access.Event
	err := s.read(ctx, "events not dispatched", func(now snapshot) error {
		return now.keys(newKey(prefixNew), func(k []byte) (bool, error) {
			d, err := deliveryAt(now, k)
			events = append(events, d.event())
			return true, err
		})
	})
	return events, err
}

// deliveryAt gives the delivery that a key with time and event ID leads to.
func deliveryAt(now snapshot, k []byte) (delivery, error) {
	id, err := last(k, timed)
	if err != nil {
		return delivery{}, err
	}
	return need[delivery](now, eventKey(access.EventID(id)))
}

// Waiting gives the requests with events that have not taken effect on them.
func (s *Store) Waiting(ctx context.Context) ([]access.RequestID, error) {
	var requests []access.RequestID
	err := s.read(ctx, "requests with unfinished events", func(now snapshot) error {
		return now.keys(newKey(prefixWaiting), func(k []byte) (bool, error) {
			id, err := first(k)
			requests = append(requests, access.RequestID(id))
			return true, err
		})
	})
	return slices.Compact(requests), err // a request's marks lie side by side
}

// EventsFor gives the events that have not taken effect on the request.
func (s *Store) EventsFor(ctx context.Context, id access.RequestID) ([]access.EventID, error) {
	return ids[access.EventID](ctx, s, "events of request "+string(id), waitingOf(id))
}

// Deliveries gives the latest accepted events, newest first, at most limit.
func (s *Store) Deliveries(ctx context.Context, limit int) ([]Delivery, error) {
	var latest []Delivery
	err := s.newest(ctx, "deliveries", prefixReceived, limit, func(now snapshot, k []byte) error {
		d, err := deliveryAt(now, k)
		latest = append(latest, d.Delivery)
		return err
	})
	return latest, err
}
