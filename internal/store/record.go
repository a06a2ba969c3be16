package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Record stores an outcome: link, decision and events in one synced write, and what does not fit into it of
// many events in further ones. An event that no other request waits for is finished by it: its body is
// dropped, and ID, type, times and outcome stay.
//
// Nothing is written when all is as it is stored already. Link.Updated, Decision.Time and Decision.Next do not
// count as a difference, nor do the times at which the facts of anything but an approval were read: a quiet
// system does not write. It returns ErrFull, and stores nothing, at the reserve.
func (s *Store) Record(ctx context.Context, o access.Outcome) error {
	request, err := requestOf(o)
	if err != nil {
		return err
	}
	// The writer may still work after the caller gave up, so it gets copies of its own.
	link, err := duplicate(o.Link)
	if err != nil {
		return err
	}
	decision, err := duplicate(o.Decision)
	if err != nil {
		return err
	}
	for left := unique(o.Finished); ; {
		var rest []access.EventID // the writer's until do returns nil
		err := s.do(ctx, func(w *edit) (err error) {
			if err := recordLink(w, link); err != nil {
				return err
			}
			if err := recordDecision(w, decision); err != nil {
				return err
			}
			if rest, err = s.takeSome(w, left, request); err != nil || len(w.own) == 0 {
				return err
			}
			return s.reserve.check()
		})
		if err != nil {
			return fmt.Errorf("recording request %s: %w", request, err)
		}
		if left = rest; len(left) == 0 {
			return nil
		}
		link, decision = nil, nil
	}
}

// takeSome notes as many events as fit into a portion, but at least one, as taken by the request and gives the
// others. In a storm there are thousands, and each lists all the requests that it waits for.
func (s *Store) takeSome(w *edit, events []access.EventID, request access.RequestID) (rest []access.EventID, err error) {
	begin := w.size
	for i, id := range events {
		if w.size-begin >= portion {
			return events[i:], nil
		}
		if err := s.taken(w, id, request); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// requestOf gives the one request that an outcome is about.
func requestOf(o access.Outcome) (access.RequestID, error) {
	id := o.Request
	if id == "" && o.Link != nil {
		id = o.Link.Request
	}
	if id == "" && o.Decision != nil {
		id = o.Decision.Request
	}
	if o.Link != nil && o.Link.Request != id || o.Decision != nil && o.Decision.Request != id {
		return "", errors.New("outcome speaks of two requests")
	}
	return id, checkID("request", id)
}

// duplicate gives what would be read back after storing v.
func duplicate[T any](v *T) (*T, error) {
	if v == nil {
		return nil, nil
	}
	text, err := encode(v)
	if err != nil {
		return nil, err
	}
	stored, err := decode[T](nil, text)
	return &stored, err
}

func recordLink(w *edit, l *access.Link) error {
	if l == nil {
		return nil
	}
	before, found, err := lookup[access.Link](w, linkKey(l.Request))
	if err != nil {
		return err
	}
	if found && same(before, *l, func(l access.Link) access.Link { l.Updated = time.Time{}; return l }) {
		return nil
	}
	return replaceLink(w, before, *l)
}

// replaceLink writes a link and moves its index entries. The zero Link stands for none.
func replaceLink(w *edit, before, after access.Link) error {
	stale := indexes(before)
	for k := range indexes(after) {
		if !stale[k] {
			w.set(key(k), empty)
		}
		delete(stale, k)
	}
	for k := range stale {
		w.delete(key(k))
	}
	if after.Request == "" {
		w.delete(linkKey(before.Request))
		return nil
	}
	return w.put(linkKey(after.Request), after)
}

// indexes gives the index keys that lead to a link.
func indexes(l access.Link) map[string]bool {
	keys := map[string]bool{}
	if l.Request == "" {
		return keys
	}
	under := func(head key) { keys[string(head.text(string(l.Request)))] = true }
	if l.Open() {
		keys[string(openKey(l.Request))] = true
	} else {
		keys[string(finishedKey(l.Finished, l.Request))] = true
	}
	for _, i := range l.Incidents {
		for _, id := range []access.IncidentID{i.ID, i.MergedInto} {
			if id != "" {
				under(incidentOf(id))
			}
		}
	}
	if !l.Open() || l.State != access.Pending {
		return keys
	}
	for _, id := range l.Named.Services {
		if id != "" {
			under(serviceOf(id))
		}
	}
	for _, name := range l.Named.ServiceNames {
		if name != "" {
			under(serviceNameOf(name))
		}
	}
	return keys
}

func recordDecision(w *edit, d *access.Decision) error {
	if d == nil {
		return nil
	}
	before, found, err := lookup[access.Decision](w, decisionKey(d.Request))
	if err != nil {
		return err
	}
	if found && same(before, *d, timeless) {
		return nil
	}
	if found {
		w.delete(decidedKey(before.Time, d.Request))
	}
	w.set(decidedKey(d.Time, d.Request), empty)
	return w.put(decisionKey(d.Request), d)
}

// timeless takes from a decision what differs each time it is made: why it was made; and Next, the announced moment by our
// clock, which is compared with PagerDuty's anew, and the sentences name the moment itself. An approval keeps when its
// facts were read: that is its evidence.
func timeless(d access.Decision) access.Decision {
	d.Time, d.Next, d.Cause = time.Time{}, time.Time{}, ""
	if d.Verdict != access.Approve {
		d.Checks = unread(d.Checks)
	}
	return d
}

func unread(checks []access.Check) []access.Check {
	var bare []access.Check
	for _, c := range checks {
		c.ReadAt, c.Children = time.Time{}, unread(c.Children)
		bare = append(bare, c)
	}
	return bare
}

// same compares what would be stored of two records.
func same[T any](a, b T, reduce func(T) T) bool {
	left, errLeft := encode(reduce(a))
	right, errRight := encode(reduce(b))
	return errLeft == nil && errRight == nil && bytes.Equal(left, right)
}
