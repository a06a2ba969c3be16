package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
)

const (
	path      = "/webhooks/pagerduty"
	secret    = "correct horse battery staple 2026"
	oldSecret = "an older secret, being rotated"
	stranger  = "nobody gave this one to PagerDuty"
	limit     = 512 << 10

	// Computed with openssl dgst -sha256 -hmac over testdata/incident.acknowledged.json.
	acknowledgedDigest    = "e96bbcf20758db7694374ab99be32f81b1902133efccfcf708c13702df6f1662"
	acknowledgedOldDigest = "09ad5010fa24207f2a7fc9629e3df1123746fdf79701018b28c4285c9e44142b"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inbox is a store in memory.
type inbox struct {
	mu     sync.Mutex
	events map[access.EventID]access.Event
	full   error // answers every write and Writable
	accept func(ctx context.Context) error
}

func (b *inbox) Accept(ctx context.Context, e access.Event) (bool, error) {
	if b.accept != nil {
		if err := b.accept(ctx); err != nil {
			return false, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full != nil {
		return false, b.full
	}
	_, known := b.events[e.ID]
	b.events[e.ID] = e
	return !known, nil
}

func (b *inbox) Writable() error { return b.full }

// endpoint is a Handler with everything around it in memory.
type endpoint struct {
	*webhook.Handler
	inbox    inbox
	secrets  [][]byte
	others   error // why there may be other secrets
	accepted []access.Event
	mu       sync.Mutex
	observed []string // event type and outcome, with a colon between
	log      bytes.Buffer
}

func newEndpoint(t testing.TB) *endpoint {
	t.Helper()
	e := &endpoint{
		inbox:   inbox{events: map[access.EventID]access.Event{}},
		secrets: [][]byte{[]byte(secret)},
	}
	h, err := webhook.NewHandler(webhook.Config{
		Path:     path,
		Inbox:    &e.inbox,
		Secrets:  func() ([][]byte, error) { return e.secrets, e.others },
		Accepted: func(event access.Event) { e.accepted = append(e.accepted, event) },
		Observe:  e.observe,
		Log:      slog.New(slog.NewTextHandler(&e.log, nil)),
	})
	if err != nil {
		t.Fatalf("NewHandler: %v", err)
	}
	e.Handler = h
	return e
}

func (e *endpoint) observe(eventType, outcome string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.observed = append(e.observed, eventType+":"+outcome)
}

func (e *endpoint) serve(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w.Result()
}

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

func signed(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-PagerDuty-Signature", sign(secret, []byte(body)))
	return r
}

func fixture(t testing.TB, eventType string) string {
	t.Helper()
	body, err := os.ReadFile("testdata/" + eventType + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// padded gives an event of exactly size bytes.
func padded(size int) string {
	head, tail := `{"event":{"id":"01BIG","event_type":"incident.annotated","data":{"incident":{"id":"Q1"},"content":"`, `"}}}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

func with(r *http.Request, change func(*http.Request)) *http.Request {
	change(r)
	return r
}
