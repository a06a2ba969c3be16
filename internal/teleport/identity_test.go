package teleport

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestNewNamesTheFileThatIsWrongAndTheWayOut(t *testing.T) {
	cluster, err := teleporttest.New(teleporttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := cluster.WriteIdentity(good, user, teleporttest.IdentityOptions{}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	crt, key, cas, err := cluster.WriteKeyPair(dir, user, teleporttest.IdentityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var (
		missing  = filepath.Join(dir, "missing")
		garbage  = write("garbage", []byte("hello\n"))
		empty    = write("empty", nil)
		fragment = write("fragment", content[:len(content)-20])
		noCA     = write("no-ca", content[:bytes.LastIndex(content, []byte("-----BEGIN"))])
	)
	const addr = "teleport.example.com:443"
	for _, tt := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"no address", Config{Identity: good}, []string{"teleport.addr"}},
		{"no credentials", Config{Addr: addr, ClientCrt: crt}, []string{"identity", "client_key", "root_cas"}},
		{"missing identity", Config{Addr: addr, Identity: missing}, []string{missing, "no such file", "tctl auth sign"}},
		{"directory", Config{Addr: addr, Identity: dir}, []string{dir, "is a directory"}},
		{"garbage", Config{Addr: addr, Identity: garbage}, []string{garbage, "tbot"}},
		{"empty", Config{Addr: addr, Identity: empty}, []string{empty, "tbot"}},
		{"cut in a block", Config{Addr: addr, Identity: fragment}, []string{fragment, "fragment"}},
		{"cut between blocks", Config{Addr: addr, Identity: noCA}, []string{noCA, "authority"}},
		{"missing certificate", Config{Addr: addr, ClientCrt: missing, ClientKey: key, RootCAs: cas}, []string{missing, "client_crt"}},
		{"missing key", Config{Addr: addr, ClientCrt: crt, ClientKey: missing, RootCAs: cas}, []string{missing, "client_key"}},
		{"missing authorities", Config{Addr: addr, ClientCrt: crt, ClientKey: key, RootCAs: missing}, []string{missing, "root_cas"}},
		{"key is none", Config{Addr: addr, ClientCrt: crt, ClientKey: garbage, RootCAs: cas}, []string{garbage, "tctl auth sign"}},
		{"authorities are none", Config{Addr: addr, ClientCrt: crt, ClientKey: key, RootCAs: garbage}, []string{garbage, "tctl auth sign"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.cfg)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to contain %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "PRIVATE KEY") || strings.Contains(err.Error(), "\n") {
				t.Errorf("secret or several lines in %q", err)
			}
		})
	}
}

func TestNewTakesAnExpiredIdentity(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	end := time.Now().Add(-time.Hour).Truncate(time.Second)
	b.writeIdentity(t, teleporttest.IdentityOptions{NotAfter: end})
	c, err := New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Status(); !got.IdentityExpires.Equal(end) || got.Connected {
		t.Errorf("got %+v, want expiry %v", got, end)
	}
	if got := c.User(); got != user {
		t.Errorf("user: got %q, want %q", got, user)
	}
}
