package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/config"
)

func TestWebhookSecretsAreLoadedAsTheirFilesCome(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	source := func(path string) config.SecretSource { return config.SecretSource(path) }
	here, first, second := write("here", "0123456789abcdef"), filepath.Join(dir, "first"), filepath.Join(dir, "second")
	cfg := &config.Config{
		PagerDuty: config.PagerDuty{APIKey: "key"},
		Webhook:   config.Webhook{Secrets: []config.SecretSource{source(first), source(here), source(second)}},
	}
	var log bytes.Buffer
	s, err := readSecrets(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	expect := func(step string, loaded int, reasons ...string) {
		t.Helper()
		got, others := s.webhook()
		if len(got) != loaded || (others == nil) != (len(reasons) == 0) {
			t.Errorf("%s: got %d secrets and %v, want %d and %q", step, len(got), others, loaded, reasons)
		}
		for _, reason := range reasons {
			if others == nil || !strings.Contains(others.Error(), reason) {
				t.Errorf("%s: got reason %v, want %q in it", step, others, reason)
			}
		}
	}
	expect("at start", 1, first, second, "not there yet")
	s.look()
	expect("nothing came", 1, first, second)
	write("first", "half")
	s.look()
	expect("one is being written", 1, first, "fewer than 16 bytes")
	write("first", "the-first-secret-1")
	s.look()
	expect("one came", 2, second)
	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	write("second", "the-second-secret-2")
	s.look()
	expect("another came and one went", 2, first)
	write("first", "the-first-secret-1")
	s.look()
	expect("all came", 3)
	if got := strings.Count(log.String(), "A webhook secret is loaded"); got != 3 {
		t.Errorf("got %d lines, want one for each that came: %s", got, log.String())
	}
}
