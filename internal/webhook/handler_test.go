package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
)

func TestEachLineOfTheTableOfAnswers(t *testing.T) {
	ok := fixture(t, "incident.acknowledged")
	unsign := func(r *http.Request) { r.Header.Del("X-PagerDuty-Signature") }
	forge := func(r *http.Request) { r.Header.Set("X-PagerDuty-Signature", sign(stranger, []byte(ok))) }
	method := func(m string) func(*http.Request) { return func(r *http.Request) { r.Method = m } }
	elsewhere := func(r *http.Request) { r.URL.Path = "/elsewhere" }
	undeclared := func(r *http.Request) { r.ContentLength = -1 }
	noSecrets := func(e *endpoint) { e.secrets = nil }
	oneMissing := func(e *endpoint) { e.others = errors.New("/old is not there yet") }
	full := func(e *endpoint) { e.inbox.full = errors.New("disk at its reserve") }

	tests := []struct {
		name    string
		request *http.Request
		given   func(*endpoint)
		want    int
		outcome string
	}{
		{"signed event", signed(ok), nil, 202, "incident.acknowledged:accepted"},
		{"test event", signed(fixture(t, "pagey.ping")), nil, 202, "pagey.ping:accepted"},
		{"type not known", signed(`{"event":{"id":"1","event_type":"incident.teleported"}}`), nil, 202, "unknown:ignored"},
		{"unexpected shape", signed(`{"event":{"id":"1","event_type":"incident.resolved","data":[]}}`), nil, 202, "incident.resolved:malformed"},
		{"query string", with(signed(ok), func(r *http.Request) { r.URL.RawQuery = "from=pagerduty" }), nil, 202, "incident.acknowledged:accepted"},
		{"512 KiB", signed(padded(limit)), nil, 202, "incident.annotated:accepted"},
		{"512 KiB, length not declared", with(signed(padded(limit)), undeclared), nil, 202, "incident.annotated:accepted"},

		{"other path", with(signed(ok), elsewhere), nil, 404, ":not found"},
		{"path with a slash more", with(signed(ok), func(r *http.Request) { r.URL.Path += "/" }), nil, 404, ":not found"},
		{"other path before other method", with(with(signed(ok), elsewhere), method("GET")), nil, 404, ":not found"},
		{"GET", with(signed(ok), method("GET")), nil, 405, ":method not allowed"},
		{"HEAD", with(signed(ok), method("HEAD")), nil, 405, ":method not allowed"},
		{"OPTIONS", with(signed(ok), method("OPTIONS")), nil, 405, ":method not allowed"},
		{"made-up method", with(signed(ok), method("BREW")), nil, 405, ":method not allowed"},
		{"other method before stopping", with(signed(ok), method("PUT")), (*endpoint).stop, 405, ":method not allowed"},
		{"stopping", signed(ok), (*endpoint).stop, 503, ":stopping"},
		{"stopping before too large", signed(padded(limit + 1)), (*endpoint).stop, 503, ":stopping"},
		{"no secret", signed(ok), noSecrets, 503, ":no secret"},
		{"empty secret proves nothing", with(signed(ok), func(r *http.Request) { r.Header.Set("X-PagerDuty-Signature", sign("", []byte(ok))) }),
			func(e *endpoint) { e.secrets = [][]byte{{}} }, 503, ":no secret"},
		{"no secret before no signature", with(signed(ok), unsign), noSecrets, 503, ":no secret"},
		{"512 KiB and a byte", signed(padded(limit + 1)), nil, 413, ":too large"},
		{"512 KiB and a byte, length not declared", with(signed(padded(limit+1)), undeclared), nil, 413, ":too large"},
		{"too large before no signature", with(signed(padded(limit+1)), unsign), nil, 413, ":too large"},
		{"too large and not declared before no signature", with(with(signed(padded(limit+1)), unsign), undeclared), nil, 413, ":too large"},
		{"no signature", with(signed(ok), unsign), nil, 400, ":no signature"},
		{"empty signature", with(signed(ok), func(r *http.Request) { r.Header.Set("X-PagerDuty-Signature", "") }), nil, 400, ":no signature"},
		{"no signature before no event", with(signed("{}"), unsign), nil, 400, ":no signature"},
		{"stranger's signature", with(signed(ok), forge), nil, 403, ":bad signature"},
		{"stranger's signature before no event", with(signed("{}"), forge), nil, 403, ":bad signature"},
		{"signed while another secret is missing", signed(ok), oneMissing, 202, "incident.acknowledged:accepted"},
		{"signed with what may be the missing secret", with(signed(ok), forge), oneMissing, 503, ":secret missing"},
		{"no signature while a secret is missing", with(signed(ok), unsign), oneMissing, 400, ":no signature"},
		{"too large while a secret is missing", signed(padded(limit + 1)), oneMissing, 413, ":too large"},
		{"signed, no event", signed(`{"event":{}}`), nil, 400, ":no event"},
		{"no event before store", signed("[]"), full, 400, ":no event"},
		{"store full", signed(ok), full, 503, ":not stored"},
		{"panic", signed(ok), func(e *endpoint) { e.inbox.accept = func(context.Context) error { panic("bug") } }, 503, ":internal error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndpoint(t)
			if tt.given != nil {
				tt.given(e)
			}
			got := e.serve(tt.request)

			if got.StatusCode != tt.want {
				t.Fatalf("status: got %d, want %d", got.StatusCode, tt.want)
			}
			if len(e.observed) != 1 || e.observed[0] != tt.outcome {
				t.Errorf("observed: got %q, want %q", e.observed, tt.outcome)
			}
			if kind, outcome, _ := strings.Cut(tt.outcome, ":"); !slices.Contains(webhook.Answers(), [2]string{kind, outcome}) {
				t.Errorf("%s is not among the answers that are shown as 0 before they happen", tt.outcome)
			}
			if stored := len(e.inbox.events) == 1; stored != (tt.want == 202) {
				t.Errorf("stored: got %t with status %d", stored, tt.want)
			}
			if len(e.accepted) != len(e.inbox.events) {
				t.Errorf("accepted: got %d events, stored %d", len(e.accepted), len(e.inbox.events))
			}
			checkAnswer(t, got)
		})
	}
}

func (e *endpoint) stop() { e.Stop() }

// checkAnswer wants the headers and the body that belong to the status.
func checkAnswer(t *testing.T, got *http.Response) {
	t.Helper()
	for _, header := range []struct {
		name, value string
		status      int
	}{{"Retry-After", "30", 503}, {"Allow", "POST", 405}} {
		want := ""
		if got.StatusCode == header.status {
			want = header.value
		}
		if v := got.Header.Get(header.name); v != want {
			t.Errorf("%s: got %q, want %q", header.name, v, want)
		}
	}
	if got.StatusCode == http.StatusAccepted {
		return
	}
	raw, _ := io.ReadAll(got.Body)
	var body struct{ Error struct{ Message string } }
	if err := json.Unmarshal(raw, &body); err != nil || body.Error.Message == "" {
		t.Errorf("body: got %q, want an error with a message", raw)
	}
	for _, s := range []string{secret, "v1=", acknowledgedDigest} {
		if bytes.Contains(raw, []byte(s)) {
			t.Errorf("body %q gives away %q", raw, s)
		}
	}
}

func TestWebhookAnswers202ToADuplicate(t *testing.T) {
	e := newEndpoint(t)
	first := fixture(t, "incident.acknowledged")
	again := strings.Replace(first, "high", "low", 1) // only the event ID decides repetition
	for _, body := range []string{first, again} {
		r := signed(body)
		r.Header.Set("X-Webhook-Id", body[:40])
		if got := e.serve(r).StatusCode; got != 202 {
			t.Fatalf("status: got %d, want 202", got)
		}
	}
	if len(e.accepted) != 1 {
		t.Errorf("accepted: got %d events, want 1", len(e.accepted))
	}
	if want := "incident.acknowledged:duplicate"; e.observed[1] != want {
		t.Errorf("observed: got %q, want %q", e.observed[1], want)
	}
}

func TestStoredEventHoldsTheBodyAsSignedAndWhenItCame(t *testing.T) {
	e := newEndpoint(t)
	body := fixture(t, "incident.acknowledged")
	before := time.Now()
	e.serve(signed(body))
	got := e.inbox.events["01HWPDHOOKFIXTURE000000002"]
	if string(got.Body) != body {
		t.Errorf("body: got %q, want it as signed", got.Body)
	}
	if got.Received.Before(before) || got.Received.After(time.Now()) {
		t.Errorf("received: got %s, want now", got.Received)
	}
}

func TestSlowStoreGives503AfterThreeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		e.inbox.accept = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		begun := time.Now()
		got := e.serve(signed(fixture(t, "incident.acknowledged")))
		if got.StatusCode != 503 {
			t.Errorf("status: got %d, want 503", got.StatusCode)
		}
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("answer took %s, want 3s", took)
		}
		if !strings.Contains(e.log.String(), "store took longer than 3s") {
			t.Errorf("log does not say whose patience ended: %s", e.log.String())
		}
	})
}

func TestEventIsStoredAlthoughTheSenderHungUp(t *testing.T) {
	e := newEndpoint(t)
	e.inbox.accept = func(ctx context.Context) error { return ctx.Err() }
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	e.serve(signed(fixture(t, "incident.acknowledged")).WithContext(ctx))
	if len(e.inbox.events) != 1 || len(e.accepted) != 1 {
		t.Errorf("got %d stored and %d accepted, want 1 and 1", len(e.inbox.events), len(e.accepted))
	}
}

func TestBodyThatBreaksOffIsDoubtNotRefusal(t *testing.T) {
	e := newEndpoint(t)
	r := signed(fixture(t, "incident.acknowledged"))
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"event":`), brokenReader{}))
	if got := e.serve(r).StatusCode; got != 503 {
		t.Errorf("status: got %d, want 503", got)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestManySlowLargeBodiesLeaveRoomForUsualOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		send, senders := make(chan struct{}), sync.WaitGroup{}
		for range 16 {
			r := signed("")
			r.ContentLength = -1
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 32<<10)), waitReader{send}))
			senders.Go(func() { e.ServeHTTP(httptest.NewRecorder(), r) })
		}
		synctest.Wait()
		begun := time.Now()
		if got := e.serve(signed(padded(64 << 10))).StatusCode; got != 503 {
			t.Errorf("large body: got %d, want 503", got)
		}
		if waited := time.Since(begun); waited != 2*time.Second {
			t.Errorf("large body: waited %s for a place, want 2s", waited)
		}
		if got := e.serve(signed(fixture(t, "incident.acknowledged"))).StatusCode; got != 202 {
			t.Errorf("usual body: got %d, want 202", got)
		}
		close(send)
		senders.Wait()
		if got := e.serve(signed(padded(64 << 10))).StatusCode; got != 202 {
			t.Errorf("large body afterwards: got %d, want 202", got)
		}
	})
}

type waitReader struct{ send chan struct{} }

func (r waitReader) Read([]byte) (int, error) { <-r.send; return 0, io.ErrUnexpectedEOF }

func TestReadyNamesEachReason(t *testing.T) {
	e := newEndpoint(t)
	if got := e.Ready(); len(got) != 0 {
		t.Fatalf("got %q, want no reason", got)
	}
	e.secrets, e.others, e.inbox.full = nil, errors.New("/old is not there yet"), errors.New("disk at its reserve")
	e.Stop()
	got := strings.Join(e.Ready(), "; ")
	for _, want := range []string{"shutting down", "no webhook secret is loaded", "/old is not there yet", "disk at its reserve"} {
		if !strings.Contains(got, want) {
			t.Errorf("reasons %q do not name %q", got, want)
		}
	}
}

func TestRefusalsAreLoggedAFewTimesAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint(t)
		refuse := func() {
			r := signed("{}")
			r.Header.Set("X-PagerDuty-Signature", sign(stranger, nil))
			r.Header.Set("X-Webhook-Id", "evil\r\nlevel=ERROR\u202e"+strings.Repeat("y", 5000))
			e.serve(r)
		}
		for range 1000 {
			refuse()
		}
		pass(time.Minute)
		refuse()
		got := e.log.String()
		if n := strings.Count(got, "\n"); n != 11 {
			t.Errorf("lines logged: got %d, want 11", n)
		}
		if !strings.Contains(got, "refused_and_not_logged=990") {
			t.Errorf("the log does not count what it left out: %s", got)
		}
		if strings.Contains(got, strings.Repeat("y", 65)) || strings.Contains(got, "\u202e") || strings.Contains(got, "\nlevel=") {
			t.Errorf("the log holds what a stranger sent: %.300s", got)
		}
	})
}

func TestNoSecretIsLoggedOrAnswered(t *testing.T) {
	e := newEndpoint(t)
	e.serve(signed(fixture(t, "incident.acknowledged")))
	e.serve(signed("{}"))
	e.inbox.full = errors.New("full")
	e.serve(signed(fixture(t, "incident.resolved")))
	for _, hidden := range []string{secret, acknowledgedDigest} {
		if strings.Contains(e.log.String(), hidden) {
			t.Errorf("log holds %q", hidden)
		}
	}
}

func TestNewHandlerNamesWhatIsMissing(t *testing.T) {
	whole := webhook.Config{Path: path, Inbox: &inbox{}, Secrets: func() ([][]byte, error) { return nil, nil }, Accepted: func(access.Event) {}, Log: slog.New(slog.DiscardHandler)}
	for want, breakIt := range map[string]func(*webhook.Config){
		"path":     func(c *webhook.Config) { c.Path = "webhooks" },
		":":        func(c *webhook.Config) { c.Path = "/webhooks/:name" },
		"inbox":    func(c *webhook.Config) { c.Inbox = nil },
		"secrets":  func(c *webhook.Config) { c.Secrets = nil },
		"accepted": func(c *webhook.Config) { c.Accepted = nil },
		"log":      func(c *webhook.Config) { c.Log = nil },
	} {
		broken := whole
		breakIt(&broken)
		if _, err := webhook.NewHandler(broken); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one that names %q", err, want)
		}
	}
}
