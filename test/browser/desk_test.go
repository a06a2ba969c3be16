package browser

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

// desk is the page of a service whose state the test sets.
type desk struct {
	t      testing.TB
	server *httptest.Server
	down   atomic.Bool // nobody answers

	gate   sync.RWMutex // answers wait while a test holds it
	behind atomic.Int64 // how many wait at it

	mu         sync.Mutex
	requests   []admin.Request
	deliveries []admin.Delivery
	status     admin.Status
	ready      []string
	token      string
	answers    map[string][]int // statuses of the answers so far, by path
}

// newDesk serves the page of a service that is in order and has nothing to do.
func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, status: inOrder(), answers: map[string][]int{}}
	handler := admin.NewHandler(admin.Config{
		Listen: "127.0.0.1:0", Board: d, Metrics: http.NotFoundHandler(),
		Token:  func() string { d.mu.Lock(); defer d.mu.Unlock(); return d.token },
		Ready:  func() []string { d.mu.Lock(); defer d.mu.Unlock(); return d.ready },
		Status: func() admin.Status { d.mu.Lock(); defer d.mu.Unlock(); return d.status },
		Reload: func(context.Context) error { return nil },
	})
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.down.Load() {
			panic(http.ErrAbortHandler)
		}
		d.behind.Add(1)
		d.gate.RLock()
		defer d.gate.RUnlock()
		d.behind.Add(-1)
		seen := &recorder{w, http.StatusOK}
		handler.ServeHTTP(seen, r)
		d.change(func() { d.answers[r.URL.Path] = append(d.answers[r.URL.Path], seen.status) })
	}))
	t.Cleanup(d.server.Close)
	return d
}

// change sets the state of the service.
func (d *desk) change(set func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	set()
}

// answered gives the statuses of the answers so far to who asked for a path.
func (d *desk) answered(path string) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.answers[path])
}

// put replaces or adds a request.
func (d *desk) put(r admin.Request) {
	d.change(func() {
		for i := range d.requests {
			if d.requests[i].ID == r.ID {
				d.requests[i] = r
				return
			}
		}
		d.requests = append(d.requests, r)
	})
}

// Requests gives what the test has set.
func (d *desk) Requests(context.Context, bool) ([]admin.Request, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]admin.Request{}, d.requests...), nil
}

// Request gives one of them.
func (d *desk) Request(_ context.Context, id access.RequestID) (admin.Request, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.requests {
		if r.ID == id {
			return r, nil
		}
	}
	return admin.Request{}, access.ErrNotFound
}

// Deliveries gives what the test has set.
func (d *desk) Deliveries(_ context.Context, limit int) ([]admin.Delivery, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.deliveries[:min(limit, len(d.deliveries))], nil
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}
