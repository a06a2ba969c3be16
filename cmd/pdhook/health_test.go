package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// serving gives the address of a service whose /readyz answers with the status and body.
func serving(t *testing.T, status int, body string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestHealthExitsWith0OnlyWhenTheServiceIsReady(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		code   int
		want   string
	}{
		{"ready", 200, `{"ready":true,"reasons":[]}`, 0, ""},
		{"not ready", 503, `{"ready":false,"reasons":["no webhook secret is loaded","the disk is full"]}`, 1,
			"pdhook: not ready: no webhook secret is loaded; the disk is full\n"},
		{"not ready without reasons", 503, `{"ready":false}`, 1, "pdhook: not ready: answered 503 Service Unavailable\n"},
		{"something else listens there", 404, "not found", 1, "pdhook: not ready: answered 404 Not Found\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stderr := health(t, "--addr", serving(t, tt.status, tt.body))
			if code != tt.code || stderr != tt.want {
				t.Errorf("got %d %q, want %d %q", code, stderr, tt.code, tt.want)
			}
		})
	}
}

func TestHealthFindsTheAddressInAConfigurationWithMistakes(t *testing.T) {
	addr := serving(t, 200, "")
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pdhook.toml")
	content := "nonsense = 1\n[admin]\nlisten = \":" + port + "\"\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stderr := health(t, "--config", path); code != 0 || stderr != "" {
		t.Errorf("got %d %q, want 0 and nothing", code, stderr)
	}
	t.Setenv("PDHOOK_ADMIN_LISTEN", addr)
	if code, stderr := health(t); code != 0 || stderr != "" {
		t.Errorf("got %d %q with the variable alone, want 0 and nothing", code, stderr)
	}
}

func TestHealthNamesAConfigurationThatCannotBeRead(t *testing.T) {
	t.Setenv("PDHOOK_ADMIN_LISTEN", serving(t, 200, "")) // perhaps another pdhook
	dir := t.TempDir()
	torn := filepath.Join(dir, "pdhook.toml")
	if err := os.WriteFile(torn, []byte("[admin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/nowhere/pdhook.toml": "pdhook: opening /nowhere/pdhook.toml: no such file or directory\n",
		dir:                    "pdhook: opening " + dir + ": is a directory\n",
		torn:                   "pdhook: parsing " + torn + ": line 1: expected character ]\n",
	} {
		if code, stderr := health(t, "--config", path); code != 1 || stderr != want {
			t.Errorf("got %d %q, want 1 %q", code, stderr, want)
		}
	}
}

func TestAnUnreadableDefaultConfigurationIsToldBesideTheAddressThatIsAsked(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	section, err := adminSection(&stderr, dir, false, "")
	if want := "pdhook: opening " + dir + ": is a directory; asking at 127.0.0.1:8082\n"; err != nil || section.Listen != "127.0.0.1:8082" || stderr.String() != want {
		t.Errorf("got %q, %v and %q, want %q", section.Listen, err, stderr.String(), want)
	}
	stderr.Reset()
	if section, err := adminSection(&stderr, dir, false, "pdhook:1"); err != nil || section.Listen != "pdhook:1" || stderr.Len() > 0 {
		t.Errorf("got %q, %v and %q, want the address given, and silence", section.Listen, err, stderr.String())
	}
}

// health runs the command and gives its exit code and what it says.
func health(t *testing.T, args ...string) (code int, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"health"}, args...), strings.NewReader(""), &out, &errs)
	if out.Len() > 0 {
		t.Errorf("got %q on stdout, want nothing", out.String())
	}
	return code, errs.String()
}
