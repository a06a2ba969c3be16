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
	err := s.read(ctx, "records", func(now snapshot) error {
		err := now.keys(newKey(prefixOpen), func(k []byte) (bool, error) {
			r, found, err := recordBehind(now, k, 1)
			if err == nil && !found {
				err = fmt.Errorf("%w: an index leads to a link that is not there", errDamaged)
			}
			open = append(open, r)
			return true, err
		})
		if err != nil || finished <= 0 {
			return err
		}
		return now.keysBackwards(newKey(prefixDecided), func(k []byte) (bool, error) {
			r, found, err := recordBehind(now, k, timed)
			if found && !r.Link.Open() {
				ended = append(ended, r)
			}
			return len(ended) < finished, err
		})
	})
	return append(open, ended...), err
}

// recordBehind gives the record of the request whose ID ends an index key.
func recordBehind(now snapshot, k []byte, head int) (r Record, found bool, err error) {
	id, err := last(k, head)
	if err != nil {
		return Record{}, false, err
	}
	return recordAt(now, access.RequestID(id))
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
