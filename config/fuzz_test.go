package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad looks for files and variables on which Load panics, or says neither yes nor no.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content), "PDHOOK_LOG_SEVERITY=WARN\nPDHOOK_POLICY_MAX_ACCESS=0")
	}
	f.Add(Example(), "PDHOOK_SERVICE_PORT=1\nPDHOOK_\n=\nPDHOOK_WEBHOOK_SECRETS=,")
	f.Add("a = 2026-01-01T00:00:00Z\nb = 2026-01-01\nc = 07:00:00\nd = inf\n\"\" = [[], {}]", "")
	path := filepath.Join(f.TempDir(), "pdhook.toml")
	f.Fuzz(func(t *testing.T, content, variables string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(path, strings.Split(variables, "\n"))
		if (cfg == nil) == (err == nil) {
			t.Errorf("got %v and error %v, want exactly one of them", cfg, err)
		}
		if err != nil {
			lines(t, err)
		}
	})
}
