package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Remembered is how long the ID of an event is known after its receipt, so that a repeated delivery is
// recognised. PagerDuty repeats for 48 h.
const Remembered = 72 * time.Hour

// Delivery is an accepted event as the page of deliveries shows it.
type Delivery struct {
	ID        access.EventID `json:"id"`
	Type      string         `json:"type"`
	Occurred  time.Time      `json:"occurred,omitzero"`
	Received  time.Time      `json:"received"`
	Finished  time.Time      `json:"finished,omitzero"` // zero: has not taken effect yet
	Outcome   string         `json:"outcome,omitempty"`
	Malformed bool           `json:"malformed,omitempty"`
}

// delivery is a Delivery as it is stored, with what is needed until the event took effect.
type delivery struct {
	Delivery
	Target  *target            `json:"target,omitempty"`
	Waiting []access.RequestID `json:"waiting,omitempty"` // to be looked at before the event is finished
}

// target is what an event points at.
type target struct {
	Incidents   []access.IncidentID `json:"incidents,omitempty"`
	IncidentKey string              `json:"incident_key,omitempty"`
	Service     access.ServiceID    `json:"service,omitempty"`
	ServiceName string              `json:"service_name,omitempty"`
}

func received(e access.Event) delivery {
	return delivery{
		Delivery: Delivery{ID: e.ID, Type: e.Type, Occurred: e.Occurred, Received: e.Received, Malformed: e.Malformed},
		Target:   &target{e.Incidents, e.IncidentKey, e.Service, e.ServiceName},
	}
}

// event gives the event back, without its body.
func (d delivery) event() access.Event {
	e := access.Event{ID: d.ID, Type: d.Type, Occurred: d.Occurred, Received: d.Received, Malformed: d.Malformed}
	if t := d.Target; t != nil {
		e.Incidents, e.IncidentKey, e.Service, e.ServiceName = t.Incidents, t.IncidentKey, t.Service, t.ServiceName
	}
	return e
}

// Accept stores an event: it is synced to disk when Accept returns nil. fresh is false for an event ID
// accepted within the last 72 h or not finished yet; nothing is written then. A zero Received becomes
// now. It returns ErrFull at the reserve, for repeated events too.
func (s *Store) Accept(ctx context.Context, e access.Event) (fresh bool, err error) {
	if err := checkID("event", e.ID); err != nil {
		return false, err
	}
	if err := s.reserve.check(); err != nil {
		return false, err
	}
	if e.Received.IsZero() {
		e.Received = s.now()
	}
	record, err := encode(received(e))
	if err != nil {
		return false, err
	}
	body := append([]byte{form}, e.Body...)
	var known bool // the writer's until do returns nil
	err = s.do(ctx, func(w *edit) error {
		before, found, err := lookup[delivery](w, eventKey(e.ID))
		if err != nil {
			return err
		}
		if known = found && !s.forgettable(before); known {
			return nil
		}
		if err := s.reserve.check(); err != nil {
			return err // passed since the event came
		}
		if found {
			w.delete(receivedKey(before.Received, e.ID))
		}
		w.set(eventKey(e.ID), record)
		w.set(bodyKey(e.ID), body)
		w.set(newEventKey(e.Received, e.ID), empty)
		w.set(receivedKey(e.Received, e.ID), empty)
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("accepting event %s: %w", e.ID, err)
	}
	return !known, nil
}

// forgettable tells whether an event may arrive again as a new one.
func (s *Store) forgettable(d delivery) bool {
	return !d.Finished.IsZero() && d.Received.Before(s.now().Add(-Remembered))
}

// Concern notes which requests an accepted event wakes: it is finished when each of them has been
// recorded with it. With none it is finished at once. outcome is what the page of deliveries will say.
// It returns access.ErrNotFound for an event that was not accepted, and does nothing for one whose
// requests are noted already. It works at the reserve: who was let in is let through.
func (s *Store) Concern(ctx context.Context, id access.EventID, requests []access.RequestID, outcome string) error {
	requests = unique(requests)
	for _, request := range requests {
		if err := checkID("request", request); err != nil {
			return err
		}
	}
	if err := checkID("event", id); err != nil {
		return err
	}
	err := s.do(ctx, func(w *edit) error {
		d, found, err := lookup[delivery](w, eventKey(id))
		if err != nil {
			return err
		}
		if !found {
			return access.ErrNotFound
		}
		mark, err := w.value(newEventKey(d.Received, id))
		if err != nil || mark == nil {
			return err
		}
		w.delete(newEventKey(d.Received, id))
		d.Waiting, d.Outcome = requests, outcome
		for _, request := range requests {
			w.set(waitingOf(request).text(string(id)), empty)
		}
		return s.settle(w, d)
	})
	if err != nil {
		return fmt.Errorf("noting whom event %s concerns: %w", id, err)
	}
	return nil
}

// settle writes a delivery back. When nobody waits for it any more it has taken effect: its body and
// target are dropped.
func (s *Store) settle(w *edit, d delivery) error {
	if len(d.Waiting) == 0 {
		d.Finished, d.Target = s.now(), nil
		w.delete(bodyKey(d.ID))
	}
	return w.put(eventKey(d.ID), d)
}

// taken notes that an event took effect on a request.
func (s *Store) taken(w *edit, id access.EventID, request access.RequestID) error {
	mark := waitingOf(request).text(string(id))
	if found, err := w.value(mark); err != nil || found == nil {
		return err // finished by an earlier look
	}
	d, err := need[delivery](w, eventKey(id))
	if err != nil {
		return err
	}
	w.delete(mark)
	d.Waiting = slices.DeleteFunc(d.Waiting, func(r access.RequestID) bool { return r == request })
	return s.settle(w, d)
}
