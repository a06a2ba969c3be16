package pagerdutytest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// clock is PagerDuty's clock in a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a small account: a service whose policy has Alice through a schedule on level 1 and Bob
// directly on level 2, and a bot.
type world struct {
	*Server
	t               *testing.T
	clock           *clock
	http            *http.Client
	client          *pagerduty.Client
	alice, bob, bot User
	primary         Schedule
	policy          Policy
	payments        Service
}

func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 3, 2, 3, 0, 0, 0, time.UTC)}}
	opts.Now = w.clock.Now
	opts.OpenAPI = FindOpenAPI()
	w.Server = New(opts)
	w.alice = w.AddUser("Alice", "Alice@example.com")
	w.bob = w.AddUser("Bob", "bob@example.com")
	w.bot = w.AddUser("pdhook", "bot@example.com")
	w.primary = w.AddSchedule("Primary")
	w.SetOnCall(w.primary.ID, w.alice.ID, w.clock.Now().Add(-time.Hour), w.clock.Now().Add(time.Hour))
	w.policy = w.AddPolicy("Payments policy", []Target{w.primary}, []Target{w.bob})
	w.payments = w.AddService("Payments", w.policy.ID)
	w.Start()
	t.Cleanup(w.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w.http = &http.Client{Transport: transport, Timeout: patience}
	w.client = pagerduty.NewClient(DefaultAPIKey, pagerduty.WithAPIEndpoint(w.URL()))
	w.client.HTTPClient = w.http
	return w
}

// create opens an incident through the API as the bot.
func (w *world) create(key string) *pagerduty.Incident {
	w.t.Helper()
	i, err := w.client.CreateIncidentWithContext(w.t.Context(), w.bot.Email, &pagerduty.CreateIncidentOptions{
		Title: "Access request from alice", IncidentKey: key,
		Service: &pagerduty.APIReference{ID: w.payments.ID, Type: "service_reference"},
		Body:    &pagerduty.APIDetails{Type: "incident_body", Details: "details"},
	})
	if err != nil {
		w.t.Fatalf("creating incident: %v", err)
	}
	return i
}

// reply is an HTTP answer with its body read.
type reply struct {
	*http.Response
	text string
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(r.text), &body); err != nil {
		t.Fatalf("answer is no JSON object: %v: %q", err, r.text)
	}
	return body
}

// request builds a request as a careful client does.
func (w *world) request(ctx context.Context, method, path, body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, w.URL()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/vnd.pagerduty+json;version=2")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Token token="+DefaultAPIKey)
	r.Header.Set("From", w.bot.Email)
	return r
}

func (w *world) do(r *http.Request) reply {
	w.t.Helper()
	resp, err := w.http.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp, string(text)}
}

func (w *world) get(path string) reply {
	w.t.Helper()
	return w.do(w.request(w.t.Context(), http.MethodGet, path, ""))
}

func (w *world) noViolations() {
	w.t.Helper()
	if got := w.Violations(); len(got) != 0 {
		w.t.Errorf("violations of the OpenAPI document: got %q, want none", got)
	}
}
