package webhook_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
)

// The store is a map here: what is measured is everything before it.
func BenchmarkAccept(b *testing.B)             { benchmark(b, secret, http.StatusAccepted) }
func BenchmarkRefuseBadSignature(b *testing.B) { benchmark(b, stranger, http.StatusForbidden) }

func benchmark(b *testing.B, signer string, want int) {
	h, err := webhook.NewHandler(webhook.Config{
		Path:     path,
		Inbox:    &inbox{events: map[access.EventID]access.Event{}},
		Secrets:  func() ([][]byte, error) { return [][]byte{[]byte(secret)}, nil },
		Accepted: func(access.Event) {},
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	body := padded(4 << 10)
	signature := sign(signer, []byte(body))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("X-PagerDuty-Signature", signature)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			b.Fatalf("status: got %d, want %d", w.Code, want)
		}
	}
}

func BenchmarkParseEvent(b *testing.B) {
	body := []byte(fixture(b, "incident.acknowledged"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := webhook.ParseEvent(body); err != nil {
			b.Fatal(err)
		}
	}
}
