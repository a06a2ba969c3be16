// Package store keeps on disk what pdhook must not forget between two looks at a request: accepted
// webhook events, the links from requests to incidents, and the latest decisions.
//
// It promises three things. What a method returned nil for survives power loss. Each operation is
// written whole or not at all. And after a failed sync, or when the files turn out to be damaged or are
// taken away, it stores nothing more: Run returns, so that the process ends and reads back what is really
// there.
//
// Badger is its private matter: no type and no error of Badger's leaves the package.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Errors that callers may tell apart.
var (
	// ErrClosed: the store has ended. What was asked for is not stored.
	ErrClosed = errors.New("store is closed")
	// ErrFull: the volume is at its reserve of free space. Nothing was stored; it recovers by itself.
	ErrFull = errors.New("store is at its reserve of free space")
	// ErrInUse: another process holds the directory.
	ErrInUse = errors.New("store is in use")
	// ErrNewer: the directory was written by a newer pdhook.
	ErrNewer = errors.New("store is of a newer schema")
)

// Config says where the store is and how long it remembers.
type Config struct {
	Path      string        // required; a directory, made when only its last part is missing
	Retention time.Duration // required; how long finished links, and decisions without an open link, are kept
	Log       *slog.Logger  // required

	now   func() time.Time                 // time.Now unless a test sets it
	space func(dir string) (room, error)   // measureRoom unless a test sets it
	free  func(dir string) (uint64, error) // freeBytes unless a test sets it
	wrap  func(engine) engine              // lets a test stand between the store and Badger
}

// Store is one open directory. Every method may be called from several goroutines at once.
//
// Methods that write wait until Run has put the change on disk. When their context ends first they
// return its error, and the change may still be written: repeating it is harmless.
type Store struct {
	path      string
	retention time.Duration
	log       *slog.Logger
	now       func() time.Time
	replica   string
	directory os.FileInfo // as opened
	reserve   *reserve

	queue    chan *operation // waiting for Run
	reported chan error      // damage met outside the writer: by a reader or inside Badger
	running  atomic.Bool

	ending sync.Once
	ended  chan struct{} // closed when nothing will be written any more
	cause  error         // why; set before ended is closed

	mu     sync.RWMutex // held shared while db is used, so that Close pulls no file from under a reader
	closed bool
	db     engine
}

// Replica is a random name of this directory, made when it was first opened: the holder of the claims
// that this replica makes in plugin data (spec §13).
func (s *Store) Replica() string { return s.replica }

// Writable tells whether an event can be accepted now: nil, or what is in the way and the way out.
func (s *Store) Writable() error {
	if err := s.refused(); err != nil {
		return err
	}
	if !s.running.Load() {
		return errors.New("store is not running yet")
	}
	if err := s.inPlace(); err != nil {
		return err
	}
	return s.reserve.check()
}

// Size is what the directory occupies on its volume, in bytes. Files are sparse: it is less than the
// sum of their lengths.
func (s *Store) Size() (uint64, error) { return s.reserve.used() }

// Available is what may still be written to the volume, by anybody, before it is at its reserve, in bytes.
func (s *Store) Available() (uint64, error) { return s.reserve.available() }

// Close closes the directory; call it after Run has returned. A store that failed is left as it is:
// Badger would wait for the same disk, and the next Open reads back what reached it.
func (s *Store) Close() error {
	s.end(ErrClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !errors.Is(s.cause, ErrClosed) {
		return nil
	}
	s.closed = true
	if err := s.inPlace(); err != nil { // Badger would try for ever to write there
		return fmt.Errorf("closing the store in %s: %w", s.path, err)
	}
	return s.release()
}

func (s *Store) release() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("closing the store in %s: %s", s.path, oneLine(err.Error())) // Badger's errors stay here
	}
	return nil
}

// end makes the store refuse everything from now on. The first cause counts.
func (s *Store) end(cause error) {
	s.ending.Do(func() {
		s.cause = cause
		close(s.ended)
	})
}

// refused gives the cause once the store has ended.
func (s *Store) refused() error {
	select {
	case <-s.ended:
		return s.cause
	default:
		return nil
	}
}
