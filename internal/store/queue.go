package store

import (
	"context"
	"fmt"
)

// maxQueue bounds the operations that wait, and those in one batch. Whoever comes later waits outside,
// for as long as his context lasts.
const maxQueue = 256

// operation is one change that its caller waits for.
type operation struct {
	// prepare reads through the edit and notes there what is to be written. It may run more than
	// once. After an error nothing of the edit is written.
	prepare func(*edit) error
	done    chan error // buffered: the writer never waits for a caller
	err     error      // from prepare: answered when the batch is on disk
}

// do has the writer perform an operation and waits for it.
func (s *Store) do(ctx context.Context, prepare func(*edit) error) error {
	if err := s.refused(); err != nil {
		return err
	}
	o := &operation{prepare: prepare, done: make(chan error, 1)}
	select {
	case s.queue <- o:
	case <-s.ended:
		return s.cause
	case <-ctx.Done():
		return fmt.Errorf("waiting for the store: %w", context.Cause(ctx))
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the store: %w", context.Cause(ctx))
	case <-s.ended:
	}
	select {
	case err := <-o.done: // answered just before the end
		return err
	default:
		return s.cause
	}
}

// next takes an operation from the queue; nil when none waits.
func (s *Store) next() *operation {
	select {
	case o := <-s.queue:
		return o
	default:
		return nil
	}
}
