package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// desk is a handler with the token "sesame" on a loopback address.
func desk(change func(*Config)) http.Handler {
	cfg := Config{
		Listen:  "127.0.0.1:8082",
		Token:   func() string { return "sesame" },
		Ready:   func() []string { return nil },
		Status:  func() Status { return Status{Version: "v1", Pending: 3} },
		Board:   &shownBoard{},
		Reload:  func(context.Context) error { return nil },
		Metrics: NewMetrics("v1", Words{}).Handler(),
	}
	if change != nil {
		change(&cfg)
	}
	return NewHandler(cfg)
}

func get(h http.Handler, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:8082"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHealthzAnswersWhateverElseIsWrong(t *testing.T) {
	h := desk(func(c *Config) { c.Ready = func() []string { return []string{"store: disk full"} } })
	if w := get(h, "/healthz", nil); w.Code != http.StatusOK {
		t.Errorf("status = %d, want 200", w.Code)
	}
}

func TestReadyzSaysWhetherAWebhookCanBeTaken(t *testing.T) {
	for _, tt := range []struct {
		reasons []string
		code    int
		body    string
	}{
		{nil, 200, `{"ready":true,"reasons":[]}`},
		{[]string{"store: disk full", "stopping"}, 503, `{"ready":false,"reasons":["store: disk full","stopping"]}`},
	} {
		w := get(desk(func(c *Config) { c.Ready = func() []string { return tt.reasons } }), "/readyz", nil)
		if got := compact(t, w); w.Code != tt.code || got != tt.body {
			t.Errorf("got %d %s, want %d %s", w.Code, got, tt.code, tt.body)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type = %q", got)
		}
	}
}

func TestStatusShowsTheConnectionsAndTheQueue(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	h := desk(func(c *Config) {
		c.Token = func() string { return "" }
		c.Status = func() Status {
			return Status{
				Version:   "v1",
				Teleport:  Teleport{Connected: true, LastResync: at, IdentityExpires: at},
				PagerDuty: PagerDuty{Reachable: true, Account: "acme", RateLimitRemaining: new(900), LastError: "503"},
				Webhook: Webhook{CertificateExpires: at, Subscription: Subscription{
					ID: "PSUB", URL: "https://pdhook.example.com/webhooks/pagerduty", Active: true, MissingEventTypes: []string{}, LastLook: at}},
				Queue:   Queue{Depth: 2, OldestSeconds: 1.5, Failing: 1},
				Pending: 3,
			}
		}
	})
	want := `{"version":"v1","teleport":{"connected":true,"watching":false,"last_resync":"2026-03-01T03:00:00Z","identity_expires":"2026-03-01T03:00:00Z","last_error":""},` +
		`"pagerduty":{"reachable":true,"account":"acme","ratelimit_limit":null,"ratelimit_remaining":900,"clock_skew_seconds":0,"last_error":"503"},` +
		`"webhook":{"certificate_expires":"2026-03-01T03:00:00Z","subscription":{"id":"PSUB","url":"https://pdhook.example.com/webhooks/pagerduty",` +
		`"active":true,"temporarily_disabled":false,"missing_event_types":[],"problem":"","last_look":"2026-03-01T03:00:00Z"}},"queue":{"depth":2,"oldest_seconds":1.5,"failing":1},"pending":3}`
	if got := compact(t, get(h, "/status", nil)); got != want {
		t.Errorf("status\ngot  %s\nwant %s", got, want)
	}
}

func TestOnlyStatusAsksForTheToken(t *testing.T) {
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	for _, tt := range []struct {
		name, path string
		change     func(*http.Request)
		want       int
	}{
		{"healthz", "/healthz", nil, 200},
		{"readyz", "/readyz", nil, 200},
		{"metrics", "/metrics", nil, 200},
		{"no token", "/status", nil, 401},
		{"bearer", "/status", bearer("sesame"), 200},
		{"wrong bearer", "/status", bearer("sesam"), 401},
		{"empty bearer", "/status", bearer(""), 401},
		{"bearer in lower case", "/status", func(r *http.Request) { r.Header.Set("Authorization", "bearer  sesame") }, 200},
		{"token without a scheme", "/status", func(r *http.Request) { r.Header.Set("Authorization", "sesame") }, 401},
		{"token of another scheme", "/status", func(r *http.Request) { r.Header.Set("Authorization", "Digest sesame") }, 401},
		{"password, any user", "/status", func(r *http.Request) { r.SetBasicAuth("anybody", "sesame") }, 200},
		{"wrong password", "/status", func(r *http.Request) { r.SetBasicAuth("sesame", "wrong") }, 401},
	} {
		w := get(desk(nil), tt.path, tt.change)
		if w.Code != tt.want {
			t.Errorf("%s: status = %d, want %d", tt.name, w.Code, tt.want)
		}
		if asks := w.Header().Get("WWW-Authenticate") != ""; asks != (tt.want == 401) {
			t.Errorf("%s: WWW-Authenticate = %q", tt.name, w.Header().Get("WWW-Authenticate"))
		}
		if strings.Contains(w.Body.String(), "sesame") {
			t.Errorf("%s: the answer tells the token", tt.name)
		}
	}
	if w := get(desk(func(c *Config) { c.Token = func() string { return "" } }), "/status", nil); w.Code != 200 {
		t.Errorf("without a configured token: status = %d, want 200", w.Code)
	}
}

func TestAnUnknownHostIsMisdirected(t *testing.T) {
	for _, tt := range []struct {
		listen, host string
		want         int
	}{
		{"127.0.0.1:8082", "127.0.0.1:8082", 200},
		{"127.0.0.1:8082", "localhost:8082", 200},
		{"127.0.0.1:8082", "[::1]:8082", 200},
		{"127.0.0.1:8082", "evil.example.com", 421},
		{"127.0.0.1:8082", "127.0.0.1.evil.example.com:8082", 421},
		{"127.0.0.1:8082", "", 421},
		{"localhost:8082", "localhost", 200},
		{"127.0.0.1:8082", "LocalHost:8082", 200},
		{"localhost:8082", "evil.example.com:8082", 421},
		{"[::1]:8082", "[::1]:8082", 200},
		{"[::1]:8082", "evil.example.com:8082", 421},
		{":8082", "pdhook.example.com", 200}, // others reach it: the token guards it
	} {
		h := desk(func(c *Config) { c.Listen = tt.listen })
		for _, path := range []string{"/healthz", "/metrics"} {
			if w := get(h, path, func(r *http.Request) { r.Host = tt.host }); w.Code != tt.want {
				t.Errorf("listening on %s, host %q, %s: status = %d, want %d", tt.listen, tt.host, path, w.Code, tt.want)
			}
		}
	}
}

func TestNothingElseIsServedAndNothingIsChanged(t *testing.T) {
	if w := get(desk(nil), "/other", nil); w.Code != 404 {
		t.Errorf("GET /other: %d, want 404", w.Code)
	}
	if w := get(desk(nil), "/healthz", func(r *http.Request) { r.Method = http.MethodPost }); w.Code != 405 {
		t.Errorf("POST /healthz: %d, want 405", w.Code)
	}
}

func compact(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, w.Body.Bytes()); err != nil {
		t.Fatalf("the answer is no JSON: %v\n%s", err, w.Body)
	}
	return b.String()
}
