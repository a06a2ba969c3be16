package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"
	"github.com/pdhook/pdhook/internal/access"
)

// view reads one state of the disk. Damage that it meets ends the store.
func (s *Store) view(read func(snapshot) error) (err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("Reading the store panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%w: reading panicked: %v", errDamaged, p)
		}
		if errors.Is(err, errDamaged) {
			s.report(err)
		}
	}()
	// When Badger has reported that it could not begin a new log, it panics at whoever still reads.
	return s.db.View(func(txn *badger.Txn) error { return read(snapshot{txn}) })
}

// report tells Run of damage, once.
func (s *Store) report(err error) {
	select {
	case s.reported <- err:
	default:
	}
}

// read is view for a caller that may have given up.
func (s *Store) read(ctx context.Context, what string, fn func(snapshot) error) error {
	err := context.Cause(ctx)
	if err == nil {
		err = s.view(fn)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}

// fetch gives the record at k, or access.ErrNotFound.
func fetch[T any](ctx context.Context, s *Store, what string, k key) (T, error) {
	var v T
	err := s.read(ctx, what, func(now snapshot) error {
		found := false
		var err error
		if v, found, err = lookup[T](now, k); err == nil && !found {
			err = access.ErrNotFound
		}
		return err
	})
	return v, err
}

// ids gives the IDs at the end of all index keys that begin with head.
func ids[ID ~string](ctx context.Context, s *Store, what string, head key) ([]ID, error) {
	var found []ID
	err := s.read(ctx, what, func(now snapshot) error {
		return now.keys(head, func(k []byte) (bool, error) {
			id, err := last(k, len(head))
			found = append(found, ID(id))
			return true, err
		})
	})
	return found, err
}

// newest calls each with the last keys of an index by time, latest first, at most limit.
func (s *Store) newest(ctx context.Context, what string, prefix byte, limit int, each func(snapshot, []byte) error) error {
	return s.read(ctx, what, func(now snapshot) error {
		left := limit
		if left <= 0 {
			return nil
		}
		return now.keysBackwards(newKey(prefix), func(k []byte) (bool, error) {
			left--
			return left > 0, each(now, k)
		})
	})
}
