package e2e

import (
	"io"
	"log"
	"net"
	"net/http"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/teleporttest"
)

// behindTLS serves PagerDuty by HTTPS, as the real one, behind a relay that can break, and points pdhook at it.
func (w *world) behindTLS() *teleporttest.Proxy {
	w.t.Helper()
	roots := w.path("pagerduty.crt")
	writeCertificate(w.t, roots, w.path("pagerduty.key"))
	addr := serveTLS(w.t, "127.0.0.1:0", w.pd.Handler(), roots, w.path("pagerduty.key"))
	proxy, err := teleporttest.NewProxy("127.0.0.1:0", func() string { return addr })
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(proxy.Close)
	w.conf["pagerduty.api_endpoint"] = quote("https://" + proxy.Addr())
	w.env = append(w.env, "SSL_CERT_FILE="+roots)
	return proxy
}

func TestAPagerDutyThatTakesConnectionsAndNeverSpeaksTLSIsToldAndWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := w.behindTLS()
	proxy.Pause()
	own, other := w.request("kim@example.com", "payments-admin"), w.request("dana@example.com", "payments-admin")
	w.start()
	w.complains(w.proc.says("PagerDuty needs attention"), "TLS handshake timeout", "pagerduty.api_endpoint")
	if s := w.status().PagerDuty; s.Reachable || s.LastError == "" {
		t.Errorf("got %+v, want PagerDuty shown as away", s)
	}
	w.stays(own)
	proxy.Cut()
	proxy.Resume()
	w.within(3*patience, "the request is approved", func() bool { return w.teleport.Request(own).GetState() == types.RequestState_APPROVED })
	w.ended(own, 1)
	w.opened(other)
	w.settled()
	if n := len(w.pd.Incidents()); n != 2 {
		t.Errorf("got %d incidents, want 2", n)
	}
	w.complained(1)
}

func TestAConnectionToPagerDutyThatDiedSilentlyIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy := w.behindTLS()
	w.start()
	w.ended(w.request("kim@example.com", "payments-admin"), 1)
	proxy.Strand() // nobody tells: it stays open on both sides
	own, other := w.request("kim@example.com", "payments-admin"), w.request("dana@example.com", "payments-admin")
	w.within(4*patience, "the request is approved", func() bool { return w.teleport.Request(own).GetState() == types.RequestState_APPROVED })
	w.ended(own, 1)
	w.opened(other)
	w.settled()
	for _, id := range []string{own, other} {
		if n := len(w.incidents(id)); n != 1 {
			t.Errorf("request %s has %d incidents, want 1", id, n)
		}
	}
	w.eventually("/status is clean", func() bool { s := w.status().PagerDuty; return s.Reachable && s.LastError == "" })
}

// serveTLS serves a handler by HTTPS until the test ends, and gives host:port.
func serveTLS(t testing.TB, addr string, handler http.Handler, cert, key string) string {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server, served := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}, make(chan struct{})
	go func() {
		defer close(served)
		_ = server.ServeTLS(listener, cert, key) // ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close() // nothing is lost with it
		<-served
	})
	return listener.Addr().String()
}
