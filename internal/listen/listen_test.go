package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buffer is a log that may be read while it is written.
type buffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })

// start runs a server until the test ends; change may set shorter time-outs before.
func start(t *testing.T, cfg Config, change func(*Server)) (*Server, *buffer) {
	t.Helper()
	log := &buffer{}
	cfg.Addr, cfg.Log = "127.0.0.1:0", slog.New(slog.NewTextHandler(log, nil))
	if cfg.Handler == nil {
		cfg.Handler = hello
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if change != nil {
		change(s)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s, log
}

// get asks over a new connection and gives the body.
func get(s *Server, config *tls.Config) (string, *tls.ConnectionState, error) {
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	answer, err := (&http.Client{Transport: transport}).Get(scheme + "://" + s.Addr().String())
	if err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), answer.TLS, err
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !condition() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited a minute in vain: %s", what)
		}
	}
}

func TestPlainHTTP(t *testing.T) {
	s, _ := start(t, Config{}, nil)
	if body, _, err := get(s, nil); err != nil || body != "hello" {
		t.Errorf("got %q, %v", body, err)
	}
	if !s.CertificateExpires().IsZero() {
		t.Errorf("certificate expires %s, want no certificate", s.CertificateExpires())
	}
	if err := s.Reload(); err != nil {
		t.Errorf("Reload: %v", err)
	}
}

func TestOnlyHTTP11IsSpoken(t *testing.T) {
	s, _ := start(t, Config{TLS: newAuthority(t).files(t, serverCert)}, nil)
	conn, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("protocol: got %q, want http/1.1", got)
	}
}

func TestEveryRequestReachesTheHandler(t *testing.T) {
	s, _ := start(t, Config{}, nil)
	if got := raw(t, s, "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(got, "hello") {
		t.Errorf("got %q, want the handler's answer", got)
	}
}

// raw sends bytes and gives all that comes back until the server closes the connection.
func raw(t *testing.T, s *Server, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.WriteString(conn, request)
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the server kept the connection open after %q", request[:min(len(request), 40)])
	}
	return string(answer)
}

func TestSlowAndHugeSendersAreCut(t *testing.T) {
	readBody := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	s, _ := start(t, Config{Handler: readBody}, func(s *Server) {
		s.http.ReadHeaderTimeout = 50 * time.Millisecond
		s.http.ReadTimeout = 100 * time.Millisecond
		s.http.IdleTimeout = 50 * time.Millisecond
	})
	for name, tt := range map[string]struct{ request, want string }{
		"nothing":         {"", ""},
		"half a header":   {"POST / HTTP/1.1\r\nHost:", ""},
		"half a body":     {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf", "503"},
		"huge header":     {"POST / HTTP/1.1\r\nHost: h\r\nX-Huge: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "431"},
		"nothing further": {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "200"},
	} {
		if got := raw(t, s, tt.request); !strings.Contains(got, tt.want) || (tt.want == "" && got != "") {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestWhoeverDoesNotReadTheAnswerIsCut(t *testing.T) {
	failed := make(chan error, 1)
	endless := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				failed <- err
				return
			}
		}
	})
	s, _ := start(t, Config{Handler: endless}, func(s *Server) { s.http.WriteTimeout = 100 * time.Millisecond })
	dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	select {
	case err := <-failed:
		t.Logf("the answer ended: %v", err)
	case <-time.After(time.Minute):
		t.Error("the answer is still being written")
	}
}

func TestDefaultLimitsAreThoseOfTheContract(t *testing.T) {
	s, _ := start(t, Config{}, nil)
	got := fmt.Sprint(s.http.ReadHeaderTimeout, s.http.ReadTimeout, s.http.WriteTimeout, s.http.IdleTimeout, s.http.MaxHeaderBytes)
	if want := "5s 10s 10s 1m0s 16384"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPortInUseIsAnErrorThatNamesIt(t *testing.T) {
	s, _ := start(t, Config{}, nil)
	_, err := New(Config{Section: "admin", Addr: s.Addr().String(), Handler: hello, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.HasPrefix(err.Error(), "admin.listen: ") || !strings.Contains(err.Error(), s.Addr().String()) || !strings.Contains(err.Error(), "choose another address") {
		t.Errorf("got %v, want the address and the way out", err)
	}
}

func TestFilesThatCannotBeUsedAreErrorsThatNameThem(t *testing.T) {
	good := newAuthority(t).files(t, serverCert)
	other := newAuthority(t).files(t, serverCert)
	rubbish := filepath.Join(t.TempDir(), "rubbish.pem")
	write(t, rubbish, []byte("no PEM"))
	names := []string{"webhooks.example.com"}
	for name, tt := range map[string]struct {
		tls       TLS
		key, want string
	}{
		"no certificate":     {TLS{CertFile: "/nowhere/tls.crt", KeyFile: good.KeyFile}, "tls_cert", "/nowhere/tls.crt"},
		"no key":             {TLS{CertFile: good.CertFile, KeyFile: "/nowhere/tls.key"}, "tls_key", "/nowhere/tls.key"},
		"key of another":     {TLS{CertFile: good.CertFile, KeyFile: other.KeyFile}, "tls_cert", "tls_key " + other.KeyFile},
		"rubbish":            {TLS{CertFile: rubbish, KeyFile: good.KeyFile}, "tls_cert", rubbish},
		"no authority":       {TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCA: "/nowhere/ca.pem", ClientNames: names}, "client_ca", "/nowhere/ca.pem"},
		"rubbish authority":  {TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCA: rubbish, ClientNames: names}, "client_ca", rubbish},
		"no names":           {TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCA: good.CertFile}, "client_names", "empty"},
		"unknown way to ask": {TLS{CertFile: good.CertFile, KeyFile: good.KeyFile, ClientCA: good.CertFile, ClientNames: names, ClientAuth: "maybe"}, "client_auth", "maybe"},
	} {
		_, err := New(Config{Section: "webhook", Addr: "127.0.0.1:0", Handler: hello, TLS: &tt.tls, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.HasPrefix(err.Error(), "webhook."+tt.key) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error of webhook.%s with %q", name, err, tt.key, tt.want)
		}
	}
}

func TestRunningRequestsFinishAtShutdown(t *testing.T) {
	for name, tt := range map[string]struct {
		drain time.Duration
		want  string
	}{"in time": {10 * time.Second, "200"}, "too slow": {20 * time.Millisecond, ""}} {
		t.Run(name, func(t *testing.T) {
			entered, finish := make(chan struct{}), make(chan struct{})
			handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-finish })
			s, err := New(Config{Addr: "127.0.0.1:0", Handler: handler, DrainTimeout: tt.drain, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended, answer := make(chan error, 1), make(chan string, 1)
			go func() { ended <- s.Run(ctx) }()
			go func() { answer <- raw(t, s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") }()
			<-entered
			stop()
			eventually(t, "the port is closed", func() bool {
				conn, err := net.Dial("tcp", s.Addr().String())
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			if tt.want != "" {
				close(finish)
			} else {
				defer close(finish)
			}
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			if got := <-answer; !strings.Contains(got, tt.want) || (tt.want == "" && got != "") {
				t.Errorf("answer: got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRunUnderAContextThatIsOverClosesThePort(t *testing.T) {
	s, err := New(Config{Addr: "127.0.0.1:0", Handler: hello, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if conn, err := net.Dial("tcp", s.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
}

func TestFailedHandshakesAreLoggedAFewTimes(t *testing.T) {
	s, log := start(t, Config{TLS: newAuthority(t).files(t, serverCert)}, nil)
	for range 50 {
		_, _, _ = get(s, &tls.Config{RootCAs: x509.NewCertPool()})
	}
	eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "TLS handshake error") })
	if n := strings.Count(log.String(), "TLS handshake error"); n > 20 {
		t.Errorf("logged %d lines, want a few", n)
	}
}

func TestProbesOfALoadBalancerAreNotLogged(t *testing.T) {
	s, log := start(t, Config{TLS: newAuthority(t).files(t, serverCert)}, nil)
	probe := func(linger int, says string) {
		t.Helper()
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetLinger(linger)
		_, _ = io.WriteString(conn, says)
		_ = conn.Close()
	}
	for range 5 {
		probe(-1, "") // closes
		probe(0, "")  // resets
	}
	probe(-1, "GET / HTTP/1.1\r\n\r\n")
	eventually(t, "a line about who spoke", func() bool { return strings.Contains(log.String(), "HTTP request to an HTTPS server") })
	_, _, _ = get(s, &tls.Config{RootCAs: x509.NewCertPool()})
	eventually(t, "a line about who refused the certificate", func() bool { return strings.Contains(log.String(), "bad certificate") })
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("logged %d lines, want one for each of the two:\n%s", n, log.String())
	}
}
