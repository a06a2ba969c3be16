package store

import (
	"context"
	"fmt"

	"github.com/pdhook/pdhook/internal/access"
)

// Record is what is kept of one request. Decision is nil before the first one.
type Record struct {
	Link     access.Link
	Decision *access.Decision
}

// RecordOf gives the record of one request, or access.ErrNotFound.
func (s *Store) RecordOf(ctx context.Context, id access.RequestID) (Record, error) {
	var r Record
	err := s.read(ctx, "record of request "+string(id), func(now snapshot) (err error) {
		var found bool
		if r, found, err = recordAt(now, id); err == nil && !found {
			err = access.ErrNotFound
		}
		return err
	})
	return r, err
}

// Records gives in one snapshot everything with something left to do, by ID, and behind it the finished requests
// with the latest decisions, newest first, at most finished of them.
func (s *Store) Records(ctx context.Context, finished int) ([]Record, error) {
	var open, ended []Record
	isOpen := map[access.RequestID]bool{} // not to read them twice: there may be thousands
	err := s.read(ctx, "records", func(now snapshot) error {
		err := now.keys(newKey(prefixOpen), func(k []byte) (bool, error) {
			id, err := last(k, 1)
			if err != nil {
				return false, err
			}
			r, found, err := recordAt(now, access.RequestID(id))
			if err == nil && !found {
				err = fmt.Errorf("%w: an index leads to a link that is not there", errDamaged)
			}
			open, isOpen[r.Link.Request] = append(open, r), true
			return true, err
		})
		if err != nil || finished <= 0 {
			return err
		}
		return now.keysBackwards(newKey(prefixDecided), func(k []byte) (bool, error) {
			id, err := last(k, timed)
			if err != nil || isOpen[access.RequestID(id)] {
				return true, err
			}
			r, found, err := recordAt(now, access.RequestID(id))
			if found {
				ended = append(ended, r)
			}
			return len(ended) < finished, err
		})
	})
	return append(open, ended...), err
}

func recordAt(now snapshot, id access.RequestID) (r Record, found bool, err error) {
	if r.Link, found, err = lookup[access.Link](now, linkKey(id)); err != nil || !found {
		return Record{}, false, err
	}
	d, decided, err := lookup[access.Decision](now, decisionKey(id))
	if decided {
		r.Decision = &d
	}
	return r, true, err
}
