package teleport

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestAFailedConnectionIsLoggedWithTheWayOut(t *testing.T) {
	other := newBench(t, teleporttest.Options{}).cluster
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = refusing.Close()
	for name, tt := range map[string]struct {
		addr string
		want []string
	}{
		"connection refused":        {refusing.Addr().String(), []string{"connection refused", "port in teleport.addr"}},
		"unknown host":              {"teleport.invalid:443", []string{"lookup teleport.invalid", "host in teleport.addr"}},
		"no TLS":                    {plain.Listener.Addr().String(), []string{"speaks no TLS", "teleport.addr"}},
		"another cluster's address": {other.Addr(), []string{"unknown authority", "teleport.addr", "teleport.identity"}},
		"no answer":                 {silent.Addr().String(), []string{"no answer within", "teleport.addr", "firewall"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each takes as long as the client library tries
			b := newBench(t, teleporttest.Options{})
			b.Client = b.client(t, tt.addr)
			b.start(t)
			eventually(t, "the trouble is logged", func() bool { return b.logs.count("level=ERROR") > 0 })
			for _, part := range append(tt.want, "hint=") {
				if b.logs.count(part) == 0 {
					t.Errorf("got log\n%swant %q in it", b.logs.all(), part)
				}
			}
		})
	}
}

func TestEachWayOutNamesAKeyOfTheConfiguration(t *testing.T) {
	for _, cause := range []string{"", "EOF", "remote error: tls: expired certificate", "dial tcp: i/o timeout", "connect: no route to host"} {
		for _, cfg := range []Config{{Identity: "/identity"}, {ClientCrt: "/crt"}} {
			if hint := cfg.wayOut(cause); !strings.Contains(hint, "teleport.") || strings.Contains(hint, "KEY") {
				t.Errorf("%q: got %q, want it to name a key", cause, hint)
			}
		}
	}
	refused := "dial tcp: lookup teleport.example.com on 10.0.0.2:53: read udp 10.0.0.2:53: connection refused"
	if got := (Config{}).wayOut(refused); !strings.Contains(got, "DNS") {
		t.Errorf("%q: got %q, want it to name the DNS: what refused is its server", refused, got)
	}
	expired := "remote error: tls: expired certificate"
	if got := (Config{ClientCrt: "/crt"}).wayOut(expired); !strings.Contains(got, "teleport.client_crt") {
		t.Errorf("key pair: got %q, want it to name teleport.client_crt", got)
	}
}
