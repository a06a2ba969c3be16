//go:build torture

package e2e

import (
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/documents"
	"github.com/pdhook/pdhook/test/ports"
)

// guided gives the block of a language in the guide.
func guided(t *testing.T, language string) string {
	t.Helper()
	all, err := documents.All("../..")
	if err != nil {
		t.Fatal(err)
	}
	page := all[slices.IndexFunc(all, func(d documents.Document) bool { return d.Path == "docs/guide.md" })]
	return page.Blocks[slices.IndexFunc(page.Blocks, func(b documents.Block) bool { return b.Language == language })].Text
}

func TestTortureTheNginxOfTheGuideBringsWebhooks(t *testing.T) {
	t.Parallel()
	w := startWorld(t, without("webhook.tls_cert"), without("webhook.tls_key"), with("webhook.insecure_http", "true"))
	address := ports.Held(t)
	server := strings.NewReplacer("listen 443 ssl", "listen "+address+" ssl", "/etc/ssl/pdhook.crt", w.path("tls.crt"),
		"/etc/ssl/pdhook.key", w.path("tls.key"), "127.0.0.1:8081", w.endpoint()).Replace(guided(t, "nginx"))
	dir := t.TempDir()
	w.write("nginx.conf", `
daemon off; master_process off; pid `+dir+`/pid; error_log `+dir+`/error.log;
events {}
http {
	access_log off;
	client_body_temp_path `+dir+`/body; proxy_temp_path `+dir+`/proxy; fastcgi_temp_path `+dir+`/f; uwsgi_temp_path `+dir+`/u; scgi_temp_path `+dir+`/s;
`+server+"}\n")
	for _, args := range [][]string{{"-t"}, nil} {
		cmd := exec.Command("nginx", append([]string{"-p", dir, "-c", w.path("nginx.conf")}, args...)...)
		if len(args) > 0 {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s in\n%s", err, out, server)
			}
			continue
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	}
	w.eventually("nginx listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	w.sub.URL = "https://" + address + "/webhooks/pagerduty"
	w.accepts(event("01GUIDE", "incident.triggered"))
	large := strings.Replace(event("01LARGE", "incident.triggered"), `{}`, `{"text":"`+strings.Repeat("x", 500<<10)+`"}`, 1)
	w.accepts(large)
	for path, want := range map[string]int{"/": http.StatusNotFound, "/healthz": http.StatusNotFound, "/webhooks/pagerduty/x": http.StatusNotFound} {
		if got := w.post(post{path: path, body: "{}"}).status; got != want {
			t.Errorf("%s: got %d, want %d", path, got, want)
		}
	}
	if got := w.post(signedBy("another-secret-of-16-bytes", event("01FORGED", "incident.triggered"))).status; got != http.StatusForbidden {
		t.Errorf("a forged delivery: got %d, want pdhook's 403", got)
	}
	w.proc.stop()
	got, err := w.try(w.asPagerDuty(&tls.Config{}), signedBy(secret, event("01LATER", "incident.triggered")))
	if err != nil || got.status < 500 {
		t.Errorf("while pdhook is away: got %d, %v, want a 5xx, which PagerDuty brings again", got.status, err)
	}
}
