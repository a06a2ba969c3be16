package store

import (
	"errors"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// portion bounds what one step of long work (forgetting, finishing a storm of events) writes, in bytes: others
// need not wait long for the writer, and together with the largest change there is (maxBatch) it stays below
// Badger's limit.
const portion = 128 << 10

// round is one pass over all that may be old, in as many steps as it takes: for each index by time the
// key at which the next step goes on.
type round map[byte]key

// forget deletes a portion of what has been kept long enough, and tells whether more may be left. It
// deletes by what the records say rather than by Badger's expiry: an event is kept until it took
// effect, and the decision on a request as long as the link is open, however old they are. It works
// below the reserve, since only that may lead out of it, but not where nothing may be written: later then.
func (s *Store) forget(r round) (more bool, err error) {
	if full := s.reserve.checkLeast(); full != nil {
		return false, nil //nolint:nilerr // tried again within the hour, and Accept and Writable tell of it
	}
	var w *edit
	err = s.view(func(now snapshot) error {
		w = &edit{now: now, own: changes{}}
		f := forgetting{w, r}
		err := errors.Join(
			f.before(prefixReceived, s.now().Add(-Remembered), f.event),
			f.before(prefixFinished, s.now().Add(-s.retention), f.link),
			f.before(prefixDecided, s.now().Add(-s.retention), f.decision),
		)
		more = f.full()
		return err
	})
	if err != nil {
		return false, err
	}
	return more, s.sync(w.own)
}

// forgetting is one step of a round.
type forgetting struct {
	w *edit
	round
}

func (f forgetting) full() bool { return f.w.size >= portion }

// before offers all records of an index by time that lie before a moment to be forgotten.
func (f forgetting) before(prefix byte, moment time.Time, forget func(id string, k key) error) error {
	index := newKey(prefix)
	from, begun := f.round[prefix]
	if !begun {
		from = index
	}
	return f.w.now.walk(index, from, false, func(k []byte) (bool, error) {
		here := slices.Clone(k)
		f.round[prefix] = here
		if f.full() || !timeOf(k).Before(moment) {
			return false, nil
		}
		id, err := last(k, timed)
		if err != nil {
			return false, err
		}
		return true, forget(id, here)
	})
}

func (f forgetting) event(id string, k key) error {
	event := access.EventID(id)
	d, err := need[delivery](f.w, eventKey(event))
	if err != nil || d.Finished.IsZero() {
		return err
	}
	f.w.delete(eventKey(event))
	f.w.delete(k)
	return nil
}

func (f forgetting) link(id string, _ key) error {
	l, err := need[access.Link](f.w, linkKey(access.RequestID(id)))
	if err != nil {
		return err
	}
	return replaceLink(f.w, l, access.Link{})
}

func (f forgetting) decision(id string, k key) error {
	request := access.RequestID(id)
	l, linked, err := lookup[access.Link](f.w, linkKey(request))
	if err != nil || linked && l.Open() {
		return err
	}
	f.w.delete(decisionKey(request))
	f.w.delete(k)
	return nil
}
