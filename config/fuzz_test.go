package config

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// hidden is a secret that no file of the corpus holds, so that wherever it shows, it was told.
const hidden = "hidden-7c1f93e2a8d04b65"

// FuzzLoad looks for files and variables on which Load panics, says neither yes nor no, tells a secret, or
// accepts what the rest of pdhook relies on never to get.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no files to begin with: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content), "PDHOOK_LOG_SEVERITY=WARN\nPDHOOK_POLICY_MAX_ACCESS=0", false)
	}
	f.Add(Example(), "PDHOOK_SERVICE_PORT=1\nPDHOOK_\n=\nPDHOOK_WEBHOOK_SECRETS=,", true)
	f.Add("a = 2026-01-01T00:00:00Z\nb = 2026-01-01\nc = 07:00:00\nd = inf\n\"\" = [[], {}]", "", true)
	f.Add("", "PDHOOK_TELEPORT_ADDR=t:1\nPDHOOK_TELEPORT_IDENTITY=testdata/identity\nPDHOOK_PAGERDUTY_USER_EMAIL=a@b\n"+
		"PDHOOK_WEBHOOK_INSECURE_HTTP=true\nPDHOOK_POLICY_AUTO_APPROVE_ROLES=a,,b\nPDHOOK_ADMIN_LISTEN=[::1]:1\nPDHOOK_PAGERDUTY_API_ENDPOINT=http://[::1]/", true)
	path := filepath.Join(f.TempDir(), "pdhook.toml")
	f.Fuzz(func(t *testing.T, content, variables string, secrets bool) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		environ := strings.Split(variables, "\n")
		if secrets {
			environ = append(environ, "PDHOOK_PAGERDUTY_API_KEY="+hidden, "PDHOOK_WEBHOOK_SECRETS="+hidden+","+hidden, "PDHOOK_ADMIN_TOKEN="+hidden)
		}
		cfg, err := Load(path, environ)
		if (cfg == nil) == (err == nil) {
			t.Fatalf("got %v and error %v, want exactly one of them", cfg, err)
		}
		again, errAgain := Load(path, environ)
		if !reflect.DeepEqual(again, cfg) || fmt.Sprint(errAgain) != fmt.Sprint(err) {
			t.Errorf("read again: %v, %v; want %v, %v", again, errAgain, cfg, err)
		}
		inJSON, _ := json.Marshal(cfg)
		if told := fmt.Sprintf("%v %+v %#v %s", err, cfg, cfg, inJSON); strings.Contains(told, hidden) {
			t.Errorf("a secret is told: %s", told)
		}
		if err != nil {
			lines(t, err)
			return
		}
		wantSound(t, cfg)
	})
}

// wantSound checks what the rest of pdhook relies on.
func wantSound(t *testing.T, cfg *Config) {
	t.Helper()
	w, p := cfg.Webhook, cfg.Policy
	secrets, err := w.ReadSecrets()
	endpoint, _ := url.Parse(cfg.PagerDuty.APIEndpoint)
	admin, _, _ := net.SplitHostPort(cfg.Admin.Listen)
	for what, right := range map[string]bool{
		"a signing secret":                            len(secrets) > 0 && len(secrets) == len(w.Secrets) && err == nil,
		"no signing secret that can be guessed":       !slices.ContainsFunc(secrets, func(s []byte) bool { return s != nil && len(s) < 16 }),
		"TLS or plain HTTP, not both":                 w.InsecureHTTP != (w.TLSCert != "" && w.TLSKey != ""),
		"names beside an authority":                   len(w.ClientNames) > 0 && !slices.Contains(w.ClientNames, ""),
		"client certificates only with TLS":           w.ClientCA == "" || !w.InsecureHTTP,
		"a path":                                      strings.HasPrefix(w.Path, "/"),
		"all roles or some, never none":               p.AutoApproveRoles == nil || len(p.AutoApproveRoles) > 0 && !slices.Contains(p.AutoApproveRoles, ""),
		"bounds from zero":                            p.MaxAccess >= 0 && p.MaxRequestAge >= 0 && p.LockGrace >= 0 && p.MaxEscalationLevel >= 0,
		"locks on resolve only with an incident":      !p.LockOnResolve || p.RequireIncident != "none",
		"the key goes over HTTPS, or nowhere":         endpoint.Scheme == "https" || loopback(endpoint.Hostname()),
		"a token where not only this machine can ask": cfg.Admin.Token != "" || loopback(admin),
	} {
		if !right {
			t.Errorf("want %s: %+v", what, cfg)
		}
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
