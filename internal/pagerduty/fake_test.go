package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey  = "s3cret-key-of-the-account"
	testFrom = "bot@example.com"
)

// fake is PagerDuty as a test wants it: it answers with what respond gives and keeps what it was asked.
type fake struct {
	respond func(r *http.Request) (status int, body string)
	header  http.Header // of each answer

	mu    sync.Mutex
	asked []*http.Request
	sent  []string // bodies
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.asked, f.sent = append(f.asked, r), append(f.sent, string(body))
	f.mu.Unlock()
	status, answer := f.respond(r)
	for k, v := range f.header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

func (f *fake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// query gives the query of the call number i, from the end when negative.
func (f *fake) query(i int) url.Values {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i < 0 {
		i += len(f.asked)
	}
	return f.asked[i].URL.Query()
}

// start serves f and gives a client that repeats without noticeable delay.
func (f *fake) start(t *testing.T) *Client {
	t.Helper()
	return f.startWith(t, Config{})
}

func (f *fake) startWith(t *testing.T, cfg Config) *Client {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg.Endpoint = server.URL
	return newClient(t, cfg)
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.From = testFrom
	if cfg.Key == nil {
		cfg.Key = func() string { return testKey }
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	c.repeat.policy = newRepeater(c.repeat.next, time.Millisecond, time.Minute).policy
	t.Cleanup(c.Close)
	return c
}

// always answers every call alike.
func always(status int, body string) *fake {
	return &fake{respond: func(*http.Request) (int, string) { return status, body }}
}

// wire is a transport without network, for tests with a clock of their own.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

type object = map[string]any

// paged serves items in pages of at most limit.
func paged(key string, limit int, items ...object) *fake {
	return &fake{respond: func(r *http.Request) (int, string) {
		var offset int
		_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		start, end := min(offset, len(items)), min(offset+limit, len(items))
		return 200, encode(object{key: append([]object{}, items[start:end]...), "limit": limit, "offset": offset, "more": end < len(items), "total": nil})
	}}
}

func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func userObject(id, email string) object {
	return object{"id": id, "type": "user", "name": "Name of " + id, "email": email, "html_url": "https://acme.pagerduty.com/users/" + id}
}

func serviceObject(id, name string) object {
	return object{"id": id, "type": "service", "name": name, "summary": name, "status": "active",
		"html_url":          "https://acme.eu.pagerduty.com/service-directory/" + id,
		"escalation_policy": object{"id": "PPOL", "type": "escalation_policy_reference"}}
}

func incidentObject(id, key, service string) object {
	return object{"id": id, "type": "incident", "status": "triggered", "incident_key": key,
		"created_at": "2026-03-01T12:00:00Z", "html_url": "https://acme.pagerduty.com/incidents/" + id,
		"service":                 object{"id": service, "type": "service_reference", "summary": "Payments"},
		"acknowledgements":        []object{},
		"assignments":             []object{},
		"last_status_change_by":   object{"id": service, "type": "service_reference"},
		"resolve_reason":          nil,
		"first_trigger_log_entry": object{"id": "R1", "type": "trigger_log_entry", "agent": object{"id": "PBOT", "type": "user_reference"}, "channel": object{"type": nil}}}
}

func with(o object, more object) object {
	for k, v := range more {
		o[k] = v
	}
	return o
}

// failure gives the *access.Failure that every error must hold.
func failure(t *testing.T, err error) *access.Failure {
	t.Helper()
	if err == nil {
		t.Fatal("got no error, want one")
	}
	if f, ok := errors.AsType[*access.Failure](err); ok {
		return f
	}
	t.Fatalf("error %q holds no *access.Failure", err)
	return nil
}

// actions are all that a Client can be asked to do, by name.
func actions() map[string]func(context.Context, *Client) error {
	return map[string]func(context.Context, *Client) error{
		"User": func(ctx context.Context, c *Client) error {
			_, err := c.User(ctx, "a@example.com")
			return err
		},
		"Service by name": func(ctx context.Context, c *Client) error {
			_, err := c.Service(ctx, "payments")
			return err
		},
		"Service by id": func(ctx context.Context, c *Client) error {
			_, err := c.Service(ctx, "id:PSVC")
			return err
		},
		"OnCalls": func(ctx context.Context, c *Client) error {
			_, _, err := c.OnCalls(ctx, access.OnCallQuery{Users: []access.UserID{"PUSER"}})
			return err
		},
		"Schedule by name": func(ctx context.Context, c *Client) error {
			_, _, err := c.Schedule(ctx, "primary", time.Time{})
			return err
		},
		"Schedule by id": func(ctx context.Context, c *Client) error {
			_, _, err := c.Schedule(ctx, "id:PSCHED", time.Time{})
			return err
		},
		"OpenIncidents": func(ctx context.Context, c *Client) error {
			_, err := c.OpenIncidents(ctx, []access.ServiceID{"PSVC"})
			return err
		},
		"Resolver": func(ctx context.Context, c *Client) error {
			_, err := c.Resolver(ctx, "QINC")
			return err
		},
		"Incident": func(ctx context.Context, c *Client) error {
			_, err := c.Incident(ctx, "QINC", "")
			return err
		},
		"IncidentsByKey": func(ctx context.Context, c *Client) error {
			_, err := c.IncidentsByKey(ctx, "key", "PSVC")
			return err
		},
		"Notes": func(ctx context.Context, c *Client) error {
			_, err := c.Notes(ctx, "QINC")
			return err
		},
		"Bot": func(ctx context.Context, c *Client) error {
			_, err := c.Bot(ctx)
			return err
		},
		"CreateIncident": create,
		"AddNote":        func(ctx context.Context, c *Client) error { return c.AddNote(ctx, "QINC", "text") },
		"Resolve":        func(ctx context.Context, c *Client) error { return c.Resolve(ctx, "QINC") },
		"Reopen":         func(ctx context.Context, c *Client) error { return c.Reopen(ctx, "QINC") },
	}
}

func create(ctx context.Context, c *Client) error {
	_, err := c.CreateIncident(ctx, access.NewIncident{Key: "key", Service: "PSVC", Title: "title", Details: "details"})
	return err
}

func isWrite(action string) bool {
	return slices.Contains([]string{"CreateIncident", "AddNote", "Resolve", "Reopen"}, action)
}
