package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

const (
	// maxBatch bounds what one commit writes, in bytes, so that it stays below Badger's limit of 15 % of
	// the memtable (1.2 MiB).
	maxBatch = 1 << 20
	// perChange is added for each change: with it 1 MiB is also fewer changes than Badger's limit of
	// one for each 96 bytes.
	perChange = 128
	// patience is how long Run waits for a writer that may be stuck in Badger for ever.
	patience = time.Second
)

// Run writes what the other methods ask for until ctx ends, then what is queued by then, and returns nil.
// It also forgets what is old. It may run once.
//
// An error means that a commit or sync failed or that the files are damaged or gone: end the process with it.
// The store refuses everything from then on; the next start reads back what reached the disk. The
// goroutine that writes ends with Run, unless Badger holds it for ever because of that very failure.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errors.New("store runs already or has run")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var failure error // of the writer, once it is done
	done := make(chan struct{})
	go func() { failure = s.write(ctx); close(done) }()

	select {
	case <-done:
		return s.finish(failure)
	case err := <-s.reported:
		err = s.finish(err)
		stop()
		select {
		case <-done:
		case <-time.After(patience):
		}
		return err
	}
}

// finish ends the store, for good when err is not nil.
func (s *Store) finish(err error) error {
	if err == nil {
		s.end(ErrClosed)
		return nil
	}
	wayOut := "check the disk and its free space, then start again: what was acknowledged is read back"
	if errors.Is(err, errMoved) {
		wayOut = "put the old directory back before, or accepted events not yet processed in it are lost; links are rebuilt"
	}
	err = fmt.Errorf("keeping the store in %s: %w; %s", s.path, err, wayOut)
	s.end(err)
	return err
}

// write commits batch after batch. While one is synced the next gathers in the queue: there is no timer,
// so a lone caller waits for one sync and many share one.
func (s *Store) write(ctx context.Context) error {
	hourly, watch := time.NewTicker(time.Hour), time.NewTicker(lookEvery)
	defer hourly.Stop()
	defer watch.Stop()
	due := make(chan struct{}, 1) // something old is left to be forgotten
	due <- struct{}{}
	pass := round{}
	var first *operation // did not fit into the last batch
	for s.refused() == nil {
		if first == nil {
			select {
			case first = <-s.queue:
			case <-hourly.C:
				pass = round{}
				offer(due)
				continue
			case <-watch.C:
				if err := s.inPlace(); err != nil {
					return err
				}
				continue
			case <-due:
				more, err := s.forget(pass)
				if err != nil {
					return err
				}
				if more {
					offer(due)
				}
				continue
			case <-ctx.Done():
				if first = s.next(); first == nil {
					return nil
				}
			}
		}
		var err error
		if first, err = s.commit(first); err != nil {
			return err
		}
	}
	return s.cause
}

func offer(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// commit puts first and whatever else is queued on disk as one batch and answers the callers. An
// operation that did not fit any more is returned: it begins the next batch.
func (s *Store) commit(first *operation) (left *operation, err error) {
	var batch []*operation
	all, size := changes{}, 0
	err = s.view(func(now snapshot) error {
		if err := s.inPlace(); err != nil {
			batch = append(batch, first)
			return err
		}
		full := s.reserve.checkLeast()
		for o := first; o != nil; o = s.next() {
			e := &edit{now: now, batch: all, own: changes{}}
			if o.err = s.prepare(o, e); o.err == nil && len(e.own) > 0 {
				o.err = full
			}
			if o.err == nil && size+e.size > maxBatch {
				left = o
				return nil
			}
			batch = append(batch, o)
			if errors.Is(o.err, errDamaged) {
				return o.err
			}
			if o.err == nil {
				size += e.size
				maps.Copy(all, e.own)
			}
			if len(batch) == maxQueue {
				return nil
			}
		}
		return nil
	})
	if err == nil {
		err = s.sync(all)
	}
	for _, o := range batch {
		if err != nil {
			o.err = err
		}
		o.done <- o.err
	}
	return left, err
}

// prepare fills the edit, and refuses what Badger would: that would take the whole batch with it.
func (s *Store) prepare(o *operation, e *edit) error {
	if err := o.prepare(e); err != nil {
		return err
	}
	if e.size > maxBatch {
		return fmt.Errorf("change of %d bytes is too large to be stored", e.size)
	}
	for k := range e.own {
		if len(k) > maxKey {
			return fmt.Errorf("key %.40q… of %d bytes is too long to be stored", k, len(k))
		}
	}
	return nil
}

// sync writes a batch. Nothing to write costs nothing.
func (s *Store) sync(c changes) error {
	if len(c) == 0 {
		return nil
	}
	if err := s.db.Commit(c); err != nil {
		return fmt.Errorf("committing: %s", oneLine(err.Error())) // Badger's errors are not our contract
	}
	return nil
}
