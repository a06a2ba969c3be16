package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// shownBoard shows what it holds.
type shownBoard struct {
	open, finished []Request
	deliveries     []Delivery
	err            error
}

func (b *shownBoard) Requests(_ context.Context, all bool) ([]Request, error) {
	if all {
		return append(b.open, b.finished...), b.err
	}
	return b.open, b.err
}

func (b *shownBoard) Request(_ context.Context, id access.RequestID) (Request, error) {
	for _, r := range append(b.open, b.finished...) {
		if r.ID == id {
			return r, b.err
		}
	}
	return Request{}, access.ErrNotFound
}

func (b *shownBoard) Deliveries(_ context.Context, limit int) ([]Delivery, error) {
	return b.deliveries[:min(limit, len(b.deliveries))], b.err
}

// running gives a client of a service with the token "sesame".
func running(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	server := httptest.NewServer(desk(change))
	t.Cleanup(server.Close)
	return NewClient(server.Listener.Addr().String(), "sesame")
}

func TestTheClientShowsWhatTheBoardHolds(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	waiting := Request{
		ID: "r1", User: "kim@example.com", Roles: []string{"db-admin"}, State: access.Pending, Created: at, NextLook: at, NextLookWhy: access.CauseTimer,
		Incidents: []Incident{{ID: "Q1", Service: "Payments", Status: access.Triggered, URL: "https://acme.pagerduty.com/incidents/Q1"}},
		Decision: &access.Decision{Request: "r1", Verdict: access.No, Cause: access.CauseCreated, Time: at, Sentence: "not on call",
			Checks: []access.Check{{Name: "on call", Status: access.Failed, Sentence: "not on call", Remedy: "go on call"}}},
	}
	done := Request{ID: "r/0", User: "lee", Roles: []string{}, State: access.Approved, Incidents: []Incident{}}
	delivery := Delivery{ID: "e1", Type: "incident.resolved", Received: at, Outcome: "1 request"}
	c := running(t, func(cfg *Config) {
		cfg.Board = &shownBoard{open: []Request{waiting}, finished: []Request{done}, deliveries: []Delivery{delivery, {ID: "e0"}}}
	})

	if got, err := c.Requests(t.Context(), false); err != nil || !reflect.DeepEqual(got, []Request{waiting}) {
		t.Errorf("requests\ngot  %+v, %v\nwant %+v", got, err, waiting)
	}
	if got, err := c.Requests(t.Context(), true); err != nil || len(got) != 2 {
		t.Errorf("all requests: got %+v, %v, want two", got, err)
	}
	for _, want := range []Request{waiting, done} {
		if got, err := c.Request(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("request %s\ngot  %+v, %v\nwant %+v", want.ID, got, err, want)
		}
	}
	if _, err := c.Request(t.Context(), "other"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("an unknown request: %v, want ErrNotFound", err)
	}
	if got, err := c.Deliveries(t.Context(), 1); err != nil || !reflect.DeepEqual(got, []Delivery{delivery}) {
		t.Errorf("deliveries: got %+v, %v, want %+v", got, err, delivery)
	}
	if got, err := c.Status(t.Context()); err != nil || got.Pending != 3 {
		t.Errorf("status: got %+v, %v", got, err)
	}
}

func TestTheApiAsksForTheTokenAndRefusesWhatItDoesNotUnderstand(t *testing.T) {
	h := desk(nil)
	sesame := func(r *http.Request) { r.Header.Set("Authorization", "Bearer sesame") }
	for _, path := range []string{"/api/v1/requests", "/api/v1/requests/r1", "/api/v1/webhooks"} {
		if w := get(h, path, nil); w.Code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d, want 401", path, w.Code)
		}
	}
	for _, path := range []string{"/api/v1/requests?all=maybe", "/api/v1/webhooks?limit=0", "/api/v1/webhooks?limit=1001", "/api/v1/webhooks?limit=x"} {
		if w := get(h, path, sesame); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", path, w.Code)
		}
	}
	h = desk(func(c *Config) { c.Board = &shownBoard{err: errors.New("reading open links: disk gone")} })
	if w := get(h, "/api/v1/requests", sesame); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "disk gone") {
		t.Errorf("with a broken store: %d %s, want 503 and why", w.Code, w.Body)
	}
}

func TestAReloadIsAskedForByTheTokenAndNotByAPageOfAnotherOrigin(t *testing.T) {
	reloads := 0
	change := func(c *Config) { c.Reload = func(context.Context) error { reloads++; return nil } }
	if err := running(t, change).Reload(t.Context()); err != nil || reloads != 1 {
		t.Errorf("got %v after %d reloads, want one", err, reloads)
	}
	post := func(set func(*http.Request)) int {
		return get(desk(change), "/api/v1/reload", func(r *http.Request) {
			r.Method = http.MethodPost
			set(r)
		}).Code
	}
	if code := post(func(*http.Request) {}); code != http.StatusUnauthorized {
		t.Errorf("without a token: %d, want 401", code)
	}
	foreign := func(r *http.Request) {
		r.SetBasicAuth("", "sesame")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if code := post(foreign); code != http.StatusForbidden {
		t.Errorf("from a page of another origin: %d, want 403", code)
	}
	if reloads != 1 {
		t.Errorf("%d reloads, want 1", reloads)
	}
	refused := running(t, func(c *Config) {
		c.Reload = func(context.Context) error { return errors.New("pagerduty.api_key: is empty") }
	})
	if err := refused.Reload(t.Context()); err == nil || err.Error() != "pagerduty.api_key: is empty" {
		t.Errorf("got %v, want what was refused", err)
	}
}

func TestTheClientSaysWhyNobodyAnswers(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	if _, err := NewClient(closed.URL, "").Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v, want ErrNotRunning", err)
	}
	if _, err := running(t, func(c *Config) { c.Token = func() string { return "other" } }).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "admin.token") {
		t.Errorf("with a wrong token: %v, want an error that names admin.token", err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, os.ErrDeadlineExceeded)
	defer cancel()
	if err := NewClient(silent.Addr().String(), "").Ready(ctx); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want an error that says whose patience ended", err)
	}
}

func TestAServiceOnEveryAddressIsAskedOnThisMachine(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8082":         "http://127.0.0.1:8082",
		":8082":                  "http://127.0.0.1:8082",
		"0.0.0.0:8082":           "http://127.0.0.1:8082",
		"[::]:8082":              "http://127.0.0.1:8082",
		"[::1]:8082":             "http://[::1]:8082",
		"localhost:8082":         "http://localhost:8082",
		"https://10.0.0.1:8082/": "https://10.0.0.1:8082",
	} {
		if got := NewClient(address, "").base; got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
