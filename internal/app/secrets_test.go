package app

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/config"
)

// drawer is a directory with files of secrets, and what pdhook makes of them.
type drawer struct {
	*secrets
	t   *testing.T
	dir string
	log bytes.Buffer
}

func openDrawer(t *testing.T, webhookSecrets ...string) *drawer {
	t.Helper()
	d := &drawer{t: t, dir: t.TempDir()}
	d.put("key", "the-first-key")
	d.put("token", "sesame")
	d.put("here", "0123456789abcdef")
	cfg := &config.Config{PagerDuty: config.PagerDuty{APIKey: d.source("key")}, Admin: config.Admin{Token: d.source("token")}}
	for _, name := range webhookSecrets {
		cfg.Webhook.Secrets = append(cfg.Webhook.Secrets, d.source(name))
	}
	var err error
	if d.secrets, err = readSecrets(cfg, slog.New(slog.NewTextHandler(&d.log, nil))); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *drawer) source(name string) config.SecretSource {
	return config.SecretSource(filepath.Join(d.dir, name))
}

func (d *drawer) put(name, content string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *drawer) remove(name string) {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, name)); err != nil {
		d.t.Fatal(err)
	}
}

// expect looks twice, and checks how many secrets are loaded and why there may be others.
func (d *drawer) expect(step string, loaded int, reasons ...string) {
	d.t.Helper()
	d.look()
	d.look()
	got, others := d.webhook()
	if len(got) != loaded || (others == nil) != (len(reasons) == 0) {
		d.t.Errorf("%s: got %d secrets and %v, want %d and %q", step, len(got), others, loaded, reasons)
	}
	for _, reason := range reasons {
		if others == nil || !strings.Contains(others.Error(), reason) {
			d.t.Errorf("%s: got reason %v, want %q in it", step, others, reason)
		}
	}
}

func TestWebhookSecretsAreLoadedAsTheirFilesCome(t *testing.T) {
	d := openDrawer(t, "first", "here", "second")
	first, second := filepath.Join(d.dir, "first"), filepath.Join(d.dir, "second")
	d.expect("at start", 1, first, second, "not there yet")
	d.put("first", "half")
	d.expect("one is being written", 1, first, "fewer than 16 bytes")
	d.put("first", "the-first-secret-1")
	d.expect("one came", 2, second)
	d.remove("first")
	d.put("second", "the-second-secret-2")
	d.expect("another came and one went, which keeps its secret", 3)
	if got := strings.Count(d.log.String(), "Secrets have changed and were read again"); got != 2 {
		t.Errorf("got %d lines, want one for each that came: %s", got, d.log.String())
	}
}

func TestSecretsThatChangeOnDiskAreTakenOnceTheyAreWhole(t *testing.T) {
	d := openDrawer(t, "here")
	if got := d.look(); got != nil {
		t.Errorf("nothing changed: took %q", got)
	}
	d.put("here", "the-next-secret-of")
	if got := d.look(); got != nil {
		t.Errorf("seen for the first time, it may be half written: took %q", got)
	}
	d.put("here", "the-next-secret-of-all")
	d.put("key", "the-second-key")
	d.put("token", "open-sesame")
	if got := d.look(); got != nil {
		t.Errorf("still being written: took %q", got)
	}
	if got, want := d.look(), []string{"pagerduty.api_key", "admin.token", "webhook.secrets"}; !slices.Equal(got, want) {
		t.Errorf("took %q, want %q", got, want)
	}
	if loaded, _ := d.webhook(); d.key() != "the-second-key" || d.token() != "open-sesame" || string(loaded[0]) != "the-next-secret-of-all" {
		t.Errorf("got %q, %q and %q", d.key(), d.token(), loaded)
	}
}

func TestWhatCannotBeReadKeepsTheOldSecretsAndIsToldOnce(t *testing.T) {
	d := openDrawer(t, "here")
	d.remove("key")
	for range 3 {
		d.expect("no key", 1)
	}
	d.put("key", "")
	d.expect("an empty key", 1)
	if d.key() != "the-first-key" {
		t.Errorf("got key %q, want the old one", d.key())
	}
	if got := strings.Count(d.log.String(), "Secrets cannot be read again"); got != 2 {
		t.Errorf("told %d times, want once for each text: %s", got, d.log.String())
	}
	d.put("key", "the-first-key")
	d.expect("the key is back", 1)
	if got := strings.Count(d.log.String(), "Secrets can be read again"); got != 1 {
		t.Errorf("told %d times that it is mended, want once: %s", got, d.log.String())
	}
	for _, secret := range []string{"the-first-key", "sesame", "0123456789abcdef"} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

func TestASecretInUseWhoseFileIsGoneIsToldOnce(t *testing.T) {
	d := openDrawer(t, "never", "here")
	d.expect("at start", 1, "never", "not there yet")
	if d.log.Len() > 0 {
		t.Errorf("a file that is still to come is no news here: %s", d.log.String())
	}
	d.remove("here")
	for range 3 {
		d.expect("it is gone", 1, "never", "not there yet")
	}
	if got := d.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, filepath.Join(d.dir, "here")+": gone; put it back before the next reload or restart") {
		t.Errorf("got %q, want one line with the file and what to do", got)
	}
	d.put("here", "0123456789abcdef")
	d.expect("it is back", 1, "never", "not there yet")
	if got := strings.Count(d.log.String(), "Secrets can be read again"); got != 1 {
		t.Errorf("told %d times that it is mended, want once: %s", got, d.log.String())
	}
}

func TestAReloadTakesSecretsAsTheyAre(t *testing.T) {
	d := openDrawer(t, "here", "other")
	d.put("other", "fedcba9876543210")
	if err := d.reload(d.cfg); err != nil {
		t.Fatal(err)
	}
	d.expect("one came", 2)
	d.remove("here")
	if err := d.reload(d.cfg); err != nil {
		t.Fatal(err)
	}
	d.expect("one went", 1, "not there yet")
}
