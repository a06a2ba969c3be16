// Package watch turns what Teleport tells of its access requests into the IDs of requests to look at. It
// promises that no request is missed: whatever was made, decided or deleted while no watch was open is
// found by the list after the next watch opened, and everything pending is named again every five minutes.
package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Source tells of the access requests that Teleport holds, and that rules changed.
type Source interface {
	// List gives all requests, or an error when any part of them could not be read.
	List(ctx context.Context) ([]access.Request, error)
	// Watch calls ready once changes are being reported, then change for each of them in order, from one
	// goroutine, until the watch ends. It always returns an error, which says why.
	Watch(ctx context.Context, ready func(), change func(access.Change)) error
}

// Hint takes the ID of a request to look at and why, one of access.Cause…. It must not block.
type Hint func(id access.RequestID, cause string)

// deniedPause is how long to wait after Teleport refused for want of a permission.
const deniedPause = time.Minute

// Config is what a Watcher needs. Every field is required.
type Config struct {
	Source Source
	Hint   Hint
	// Open gives the requests that have an unfinished link in the store.
	Open func(ctx context.Context) ([]access.RequestID, error)
	// Rules asks for the Access Monitoring Rules to be read again; the channel is closed when that is over. It
	// is called after each watch opened and whenever Teleport reports that rules changed, and must not block.
	Rules func() <-chan struct{}
	Log   *slog.Logger
}

// Watcher follows the access requests of one Teleport cluster.
type Watcher struct {
	src   Source
	hint  Hint
	open  func(context.Context) ([]access.RequestID, error)
	rules func() <-chan struct{}
	log   *slog.Logger

	mu         sync.Mutex
	roster     roster
	up         bool
	lastResync time.Time
	nextRound  time.Time
}

// Status is what people see of a Watcher.
type Status struct {
	Up         bool      // a watch is open and reports changes
	LastResync time.Time // when all requests were last listed; zero: not yet
	Pending    int       // pending requests known
	NextRound  time.Time // when everything pending is named again at the latest; zero before Run
}

// New makes a Watcher.
func New(cfg Config) *Watcher {
	return &Watcher{src: cfg.Source, hint: cfg.Hint, open: cfg.Open, rules: cfg.Rules, log: cfg.Log, roster: newRoster()}
}

// Run keeps a watch open until ctx ends, which is the only way it ends.
func (w *Watcher) Run(ctx context.Context) error {
	var resyncs sync.WaitGroup
	defer resyncs.Wait()
	sessions := make(chan context.Context, 1)
	resyncs.Go(func() { w.resyncs(ctx, sessions) })

	var pauses backoff
	failures := failureLog{log: w.log}
	for {
		since, err := w.session(ctx, sessions)
		if ctx.Err() != nil {
			return nil
		}
		if live := !since.IsZero(); live {
			failures.forget()
			if time.Since(since) >= longestPause {
				pauses.reset()
			}
		}
		failures.report("Watch of access requests ended", err)
		pause := pauses.next()
		if access.IsPermanent(err) {
			pause = deniedPause
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// session holds one watch open. While it is live its context is in sessions: it ends with the watch. It
// returns since when the watch was live, zero when it never was, and why it ended.
func (w *Watcher) session(ctx context.Context, sessions chan context.Context) (since time.Time, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	err = w.src.Watch(ctx, func() {
		since = time.Now()
		w.setUp(true)
		w.log.Info("Watching access requests")
		select {
		case <-sessions: // an earlier one that nobody took; it is over
		default:
		}
		sessions <- ctx
	}, w.take)
	end()
	w.setUp(false)
	return since, err
}

// take enters one change into the roster and passes it on when it is news.
func (w *Watcher) take(c access.Change) {
	if c.Kind == access.RulesChanged {
		w.rules()
		return
	}
	if cause := w.learn(c); cause != "" {
		w.hint(c.Request.ID, cause)
	}
}

func (w *Watcher) learn(c access.Change) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Kind == access.Delete {
		return w.roster.delete(c.Request.ID)
	}
	return w.roster.put(c.Request)
}

// Gone reports whether Teleport holds the request no more: its deletion was seen, or it was missing from
// a complete list made while a watch was open. False means that this is not known.
func (w *Watcher) Gone(id access.RequestID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.roster.entries[id].gone
}

// User gives the requester as last seen, "" when the request is not known.
func (w *Watcher) User(id access.RequestID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.roster.entries[id].user
}

// Status tells how the watch is doing.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Status{Up: w.up, LastResync: w.lastResync, Pending: w.roster.waiting(), NextRound: w.nextRound}
}

func (w *Watcher) setUp(up bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = up
}
