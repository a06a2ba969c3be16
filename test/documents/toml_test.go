package documents

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/config"
)

// required is what a configuration needs beside a block that shows a part of one: a variable, and what in the block
// takes its place.
var required = []struct{ variable, value, instead string }{
	{"PDHOOK_TELEPORT_ADDR", "teleport.example.com:443", `(?m)^(addr|auth_server) =`},
	{"PDHOOK_TELEPORT_IDENTITY", "/var/lib/pdhook/identity", `(?m)^(identity|client_key) =`},
	{"PDHOOK_PAGERDUTY_API_KEY", "/var/lib/pdhook/pagerduty-api-key", `(?m)^api_key =`},
	{"PDHOOK_PAGERDUTY_USER_EMAIL", "pdhook@example.com", `(?m)^user_email =`},
	{"PDHOOK_WEBHOOK_SECRETS", "/var/lib/pdhook/webhook-secret", `(?m)^secrets =`},
	{"PDHOOK_WEBHOOK_TLS_CERT", "/var/lib/pdhook/tls.crt", `(?m)^(tls_cert|insecure_http) =`},
	{"PDHOOK_WEBHOOK_TLS_KEY", "/var/lib/pdhook/tls.key", `(?m)^(tls_key|insecure_http) =`},
}

// installed matches the paths of files that a reader is to put there.
var installed = regexp.MustCompile(`/(?:var|etc|run)/[^"\s]*`)

// checkTOML loads the block as pdhook does, strictly, with what it leaves out, and files where it names any.
func checkTOML(t *testing.T, b Block) {
	folder := t.TempDir()
	place := func(text string) string {
		return installed.ReplaceAllStringFunc(text, func(path string) string {
			path = filepath.Join(folder, filepath.Base(path))
			if err := os.WriteFile(path, []byte("content-of-the-file\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		})
	}
	var environ []string
	for _, r := range required {
		if !regexp.MustCompile(r.instead).MatchString(b.Text) {
			environ = append(environ, r.variable+"="+place(r.value))
		}
	}
	file := filepath.Join(folder, "pdhook.toml")
	if err := os.WriteFile(file, []byte(place(b.Text)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file, environ); err != nil {
		t.Errorf("%v in\n%s", err, b.Text)
	}
	if strings.TrimSpace(b.Text) == "" {
		t.Error("the block is empty")
	}
}
