package teleport

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const user = "access-plugin"

// bench is a cluster and a Client of it whose Run runs, if start was called.
type bench struct {
	*Client
	cluster *teleporttest.Server
	file    string // of the identity
	logs    logs
	stop    func() // ends Run and waits for it
}

// newBench gives a cluster that is up and a Client that nothing runs yet.
func newBench(t *testing.T, o teleporttest.Options) *bench {
	t.Helper()
	cluster, err := teleporttest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &bench{cluster: cluster, file: filepath.Join(t.TempDir(), "identity")}
	b.writeIdentity(t, teleporttest.IdentityOptions{})
	b.Client = b.client(t, cluster.Addr())
	return b
}

// client makes a Client with the paces of tests.
func (b *bench) client(t *testing.T, addr string) *Client {
	t.Helper()
	c, err := New(Config{Addr: addr, Identity: b.file, Refresh: true, RefreshInterval: 20 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&b.logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	c.pace = pace{ping: 50 * time.Millisecond, answer: callTimeout, soon: 5 * time.Millisecond, firstPause: 10 * time.Millisecond, lastPause: 50 * time.Millisecond}
	return c
}

func (b *bench) writeIdentity(t *testing.T, o teleporttest.IdentityOptions) {
	t.Helper()
	if err := b.cluster.WriteIdentity(b.file, user, o); err != nil {
		t.Fatal(err)
	}
}

// start runs the Client until the test or stop ends it.
func (b *bench) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v, want nil when its context ends", err)
		}
	})
	t.Cleanup(b.stop)
}

// connected gives a bench whose Client is connected.
func connected(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, teleporttest.Options{})
	b.start(t)
	b.connect(t)
	return b
}

func (b *bench) connect(t *testing.T) {
	t.Helper()
	eventually(t, "connected", func() bool { return b.Status().Connected })
}

// request makes a pending request for one role.
func (b *bench) request() access.RequestID {
	return access.RequestID(b.cluster.CreateRequest(teleporttest.Request{User: "alice@example.com", Roles: []string{"db"}, Reason: "on fire"}))
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited a minute in vain until %s", what)
		}
	}
}

// watching is a Watch under way.
type watching struct {
	ready   chan struct{}
	changes chan access.Change
	ended   chan error
}

func (b *bench) watchInBackground(ctx context.Context) watching {
	w := watching{ready: make(chan struct{}), changes: make(chan access.Change, 100), ended: make(chan error, 1)}
	go func() {
		w.ended <- b.Watch(ctx, func() { close(w.ready) }, func(c access.Change) { w.changes <- c })
	}()
	return w
}

// receive takes one value that must come.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("waited a minute in vain for %s", what)
		panic("unreachable")
	}
}

// logs is a log that can be read while it is written.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

func (l *logs) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
