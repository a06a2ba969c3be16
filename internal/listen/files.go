package listen

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// TLS names the files of an HTTPS port and says which clients it takes.
type TLS struct {
	CertFile, KeyFile string // required; PEM, the certificate with its chain in order

	// ClientCA is a PEM file with the authorities of client certificates; "" asks for none.
	ClientCA    string
	ClientNames []string // with ClientCA: a client's common name or one of its DNS names is exactly one of these
	ClientAuth  string   // with ClientCA: "require", or "report" to let everybody in and tell; "" is "require"
	Reported    func()   // counts a client that "report" let in; may be nil
	Refused     func()   // counts a client that "require" did not let in; may be nil
}

// served is one set of files as read.
type served struct {
	config  *tls.Config
	issued  time.Time
	expires time.Time
	content [sha256.Size]byte
}

// files holds what the TLS files say and keeps it current.
type files struct {
	names   TLS
	log     *slog.Logger
	clients *clients // nil: no client certificates are asked for
	reading sync.Mutex
	current atomic.Pointer[served]
}

func newFiles(names TLS, log *slog.Logger) (*files, error) {
	f := &files{names: names, log: log}
	if names.ClientCA != "" {
		var err error
		if f.clients, err = newClients(names, log); err != nil {
			return nil, err
		}
	}
	return f, f.reload()
}

// reload reads the files. With an error the old set stays.
func (f *files) reload() error {
	f.reading.Lock()
	defer f.reading.Unlock()
	cert, err := os.ReadFile(f.names.CertFile)
	if err != nil {
		return fmt.Errorf("tls_cert: reading the certificate (does the file exist, and may this user read it?): %w", err)
	}
	key, err := os.ReadFile(f.names.KeyFile)
	if err != nil {
		return fmt.Errorf("tls_key: reading the key (does the file exist, and may this user read it?): %w", err)
	}
	var ca []byte
	if f.clients != nil {
		if ca, err = os.ReadFile(f.names.ClientCA); err != nil {
			return fmt.Errorf("client_ca: reading the authorities of client certificates (does the file exist, and may this user read it?): %w", err)
		}
	}
	content := sha256.Sum256(bytes.Join([][]byte{cert, key, ca}, []byte{0}))
	old := f.current.Load()
	if old != nil && old.content == content {
		return nil
	}
	config, err := f.parse(cert, key, ca)
	if err != nil {
		return err
	}
	leaf := config.Certificates[0].Leaf
	next := &served{config: config, issued: leaf.NotBefore, expires: leaf.NotAfter, content: content}
	f.current.Store(next)
	if old != nil {
		f.log.Info("TLS files changed and were read again", "certificate", f.names.CertFile, "expires", next.expires)
	}
	return nil
}

// parse makes the configuration that a new connection gets.
func (f *files) parse(cert, key, ca []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("tls_cert %s and tls_key %s do not form a pair (both PEM, the server's own certificate first): %w",
			f.names.CertFile, f.names.KeyFile, err)
	}
	config := baseTLS()
	config.Certificates = []tls.Certificate{pair}
	if f.clients == nil {
		return config, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("client_ca %s holds no certificate in PEM of an authority for client certificates", f.names.ClientCA)
	}
	f.clients.configure(config, roots)
	return config, nil
}

// baseTLS is what PagerDuty's sender needs, and no more. It speaks TLS 1.2 only, so 1.3 must not be the
// minimum. The suites are named because a Go release may drop some from its defaults: PagerDuty offers the
// ECDHE ones with GCM or CBC_SHA, and no ChaCha20, which is for others. Go picks the order itself.
func baseTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		},
	}
}

// tlsConfig gives each new connection the current set.
func (f *files) tlsConfig() *tls.Config {
	config := baseTLS()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return f.current.Load().config, nil
	}
	return config
}

func (f *files) expires() time.Time { return f.current.Load().expires }

// watch reads the files again and again until ctx ends. It polls, because Kubernetes renews a mounted
// secret by swapping a symlink two levels up, which a watch on the file does not see.
func (f *files) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	reported := ""
	var warned *served
	for {
		if now := f.current.Load(); now != warned && f.warn(now, time.Now()) {
			warned = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := f.reload()
		if err == nil {
			reported = ""
		} else if err.Error() != reported {
			reported = err.Error()
			f.log.Error("TLS files cannot be used; the old ones stay in use", "error", err)
		}
	}
}

// warn reports whether it told that the certificate should have been renewed by now.
func (f *files) warn(s *served, now time.Time) bool {
	if now.Before(access.RenewalOverdue(s.issued, s.expires)) {
		return false
	}
	f.log.Warn("The webhook certificate was not renewed in time: PagerDuty delivers nothing to an expired one",
		"certificate", f.names.CertFile, "expires", s.expires, "left", s.expires.Sub(now).Round(time.Second).String(),
		"hint", "renew it and put it there, it is read again by itself")
	return true
}
