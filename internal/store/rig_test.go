package store

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		acceptUntilKilled(dir)
	}
	goleak.VerifyTestMain(m,
		// Badger leaves these behind when it refuses a damaged directory; the process ends then.
		goleak.IgnoreTopFunction("github.com/dgraph-io/badger/v4.(*DB).monitorCache"),
		goleak.IgnoreTopFunction("github.com/dgraph-io/ristretto/v2/z.(*AllocatorPool).freeupAllocators"))
}

const month = 30 * 24 * time.Hour

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rig runs a store on a directory that outlives it, with a clock and a volume that the test sets.
type rig struct {
	*Store
	t    testing.TB
	cfg  Config
	stop func() error // ends Run and gives its error; once

	mu   sync.Mutex
	time time.Time
	room room
}

func newRig(t testing.TB, options ...func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, time: noon, room: room{free: 1 << 40}}
	r.cfg = Config{
		Path:      filepath.Join(t.TempDir(), "store"),
		Retention: month,
		Log:       slog.New(slog.DiscardHandler),
		now:       func() time.Time { r.mu.Lock(); defer r.mu.Unlock(); return r.time },
		space:     func(string) (room, error) { r.mu.Lock(); defer r.mu.Unlock(); return r.room, nil },
		free:      func(string) (uint64, error) { r.mu.Lock(); defer r.mu.Unlock(); return r.room.free, nil },
	}
	for _, option := range options {
		option(r)
	}
	r.open()
	t.Cleanup(r.close)
	return r
}

func (r *rig) open() {
	r.t.Helper()
	s, err := Open(r.cfg)
	if err != nil {
		r.t.Fatalf("opening: %v", err)
	}
	r.Store = s
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ran })
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Errorf("Run ended with %v", err)
	}
	if err := r.Close(); err != nil {
		r.t.Errorf("closing: %v", err)
	}
}

func (r *rig) reopen() {
	r.t.Helper()
	r.close()
	r.open()
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.time = r.time.Add(d)
}

func (r *rig) setRoom(room room) {
	r.mu.Lock()
	r.room = room
	r.mu.Unlock()
	r.pass(measureEvery) // the last look is out of date
}

// accept stores an event and tells whether it was fresh.
func (r *rig) accept(e access.Event) bool {
	r.t.Helper()
	fresh, err := r.Accept(r.t.Context(), e)
	if err != nil {
		r.t.Fatalf("accepting %s: %v", e.ID, err)
	}
	return fresh
}

func (r *rig) concern(id access.EventID, outcome string, requests ...access.RequestID) {
	r.t.Helper()
	if err := r.Concern(r.t.Context(), id, requests, outcome); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) record(o access.Outcome) {
	r.t.Helper()
	if err := r.Record(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deliveries() []Delivery {
	r.t.Helper()
	return must[[]Delivery](r.t)(r.Deliveries(r.t.Context(), 100))
}

// Decisions gives what the index of decisions leads to, newest first, at most limit.
func (r *rig) Decisions(ctx context.Context, limit int) ([]access.Decision, error) {
	var latest []access.Decision
	err := r.newest(ctx, "decisions", prefixDecided, limit, func(now snapshot, k []byte) error {
		id, err := last(k, timed)
		if err != nil {
			return err
		}
		d, err := need[access.Decision](now, decisionKey(access.RequestID(id)))
		latest = append(latest, d)
		return err
	})
	return latest, err
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantSame compares by what a reader of the JSON would see.
func wantSame(t testing.TB, what string, got, want any) {
	t.Helper()
	g, w := must[[]byte](t)(json.Marshal(got)), must[[]byte](t)(json.Marshal(want))
	if string(g) != string(w) {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// event is an event of PagerDuty's received at noon.
func event(id access.EventID) access.Event {
	return access.Event{
		ID: id, Type: "incident.acknowledged", Occurred: noon.Add(-time.Second), Received: noon,
		Incidents: []access.IncidentID{"Q1"}, IncidentKey: "teleport-access-request/r1", Service: "P1", ServiceName: "Payments",
		Body: []byte(`{"event":{}}`),
	}
}

// pending is the link of a pending request whose roles name a service.
func pending(id access.RequestID, services ...access.ServiceID) access.Link {
	return access.Link{
		Request: id, User: "alice", Roles: []string{"prod"}, Created: noon, Expires: noon.Add(time.Hour),
		State: access.Pending, Named: access.Named{Services: services}, Updated: noon,
	}
}

// engineStub counts the commits of a real engine, holds them and makes them fail.
type engineStub struct {
	engine
	mu      sync.Mutex
	commits int
	fail    error
	enter   chan struct{} // when set: announces a commit …
	release chan struct{} // … which then waits for this
}

// stubbed puts a stub between store and Badger.
func stubbed(stub *engineStub) func(*rig) {
	return func(r *rig) {
		r.cfg.wrap = func(e engine) engine { stub.engine = e; return stub }
	}
}

func (e *engineStub) Commit(c changes) error {
	if e.enter != nil {
		e.enter <- struct{}{}
		<-e.release
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.commits++
	if e.fail != nil {
		return e.fail
	}
	return e.engine.Commit(c)
}

func (e *engineStub) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.commits
}
