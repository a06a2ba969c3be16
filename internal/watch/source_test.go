package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errCut = errors.New("connection cut")

// cluster is a Source in memory. Its switches say how it fails.
type cluster struct {
	mu       sync.Mutex
	requests map[access.RequestID]access.Request
	stream   *stream // of the open watch
	opened   []time.Time
	listed   []time.Time
	listErr  error         // refuse lists
	watchErr error         // refuse watches
	listGate chan struct{} // a list that has read everything waits for it before it answers
	answered bool          // such a list's answer is on its way: the end of its context comes too late
}

// rules stands for the rules being read: how often that was asked for, and whether it ends.
type rules struct {
	mu    sync.Mutex
	asked int
	hang  bool
}

func (r *rules) read() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	over := make(chan struct{})
	if !r.hang {
		close(over)
	}
	return over
}

func (r *rules) reads() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

type stream struct {
	changes chan access.Change
	end     chan error
}

func newCluster(requests ...access.Request) *cluster {
	c := &cluster{requests: make(map[access.RequestID]access.Request)}
	for _, r := range requests {
		c.requests[r.ID] = r
	}
	return c
}

func (c *cluster) List(ctx context.Context) ([]access.Request, error) {
	c.mu.Lock()
	c.listed = append(c.listed, time.Now())
	err, gate, cut := c.listErr, c.listGate, ctx.Done()
	if c.answered {
		cut = nil
	}
	var all []access.Request
	for _, r := range c.requests {
		all = append(all, r)
	}
	c.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-cut:
			return nil, ctx.Err()
		}
	}
	return all, err
}

func (c *cluster) Watch(ctx context.Context, ready func(), change func(access.Change)) error {
	c.mu.Lock()
	c.opened = append(c.opened, time.Now())
	if err := c.watchErr; err != nil {
		c.mu.Unlock()
		return err
	}
	s := &stream{changes: make(chan access.Change, 100), end: make(chan error, 1)}
	c.stream = s
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.stream = nil
		c.mu.Unlock()
	}()
	ready()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.end:
			return err
		case ch := <-s.changes:
			change(ch)
		}
	}
}

// put, remove and cut work as their counterparts in Teleport do: the open watch, if any, tells of it.
func (c *cluster) put(r access.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[r.ID] = r
	if c.stream != nil {
		c.stream.changes <- access.Change{Kind: access.Put, Request: r}
	}
}

func (c *cluster) remove(id access.RequestID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.requests, id)
	if c.stream != nil {
		c.stream.changes <- access.Change{Kind: access.Delete, Request: access.Request{ID: id}}
	}
}

func (c *cluster) changeRules() { c.stream.changes <- access.Change{Kind: access.RulesChanged} }

func (c *cluster) cut() { c.stream.end <- errCut }

func (c *cluster) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func pending(id access.RequestID) access.Request {
	return access.Request{ID: id, User: string(id) + "@example.com", State: access.Pending}
}

func approved(id access.RequestID) access.Request {
	r := pending(id)
	r.State = access.Approved
	return r
}

// bench runs a Watcher in a synctest bubble and keeps what it hinted.
type bench struct {
	*Watcher
	mu    sync.Mutex
	got   []string
	links []access.RequestID
	rules rules
	logs  strings.Builder
}

// start runs a Watcher of c until the test ends.
func start(t *testing.T, c *cluster, links ...access.RequestID) *bench {
	t.Helper()
	return (&bench{links: links}).start(t, c)
}

func (b *bench) start(t *testing.T, c *cluster) *bench {
	t.Helper()
	b.Watcher = New(Config{
		Source: c,
		Hint: func(id access.RequestID, cause string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.got = append(b.got, fmt.Sprintf("%s: %s", id, cause))
		},
		Open:  func(context.Context) ([]access.RequestID, error) { return b.links, nil },
		Rules: b.rules.read,
		Log:   slog.New(slog.NewTextHandler(&b.logs, nil)),
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v, want nil when its context ends", err)
		}
	})
	synctest.Wait()
	return b
}

// hinted gives what was hinted since the last call, once everything has settled.
func (b *bench) hinted() string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	got := strings.Join(b.got, ", ")
	b.got = nil
	return got
}

func (b *bench) expect(t *testing.T, when, want string) {
	t.Helper()
	if got := b.hinted(); got != want {
		t.Errorf("hints %s:\n got %q\nwant %q", when, got, want)
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}
