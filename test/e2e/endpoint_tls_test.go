package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

func TestPlainHTTPIsServedForAnIngressThatEndsTLS(t *testing.T) {
	t.Parallel()
	w := startWorld(t, without("webhook.tls_cert"), without("webhook.tls_key"), with("webhook.insecure_http", "true"))
	w.accepts(event("01PLAIN", "service.updated"))
}

func TestACertificateThatIsReplacedOnDiskIsServedWithoutARestart(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.accepts(event("01OLD", "service.updated"))
	renewed := writeCertificate(t, w.path("tls.crt"), w.path("tls.key"))
	w.eventually("the new certificate is served", func() bool {
		a, err := w.try(w.asPagerDuty(&tls.Config{RootCAs: renewed}), signedBy(secret, event("01NEW", "service.updated")))
		return err == nil && a.status == http.StatusAccepted
	})
}

func TestEveryCipherSuiteThatPagerDutySharesWithGo(t *testing.T) {
	for name, c := range map[string]struct {
		key    crypto.Signer
		suites []uint16
	}{
		"ECDSA": {ecdsaKey(t), []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		}},
		"RSA": {rsaKey(t), []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			ca := newAuthority(t)
			cert := ca.issue(t, c.key, "pdhook")
			writePEM(t, w.path("tls.crt"), "CERTIFICATE", cert.Certificate[0])
			der, err := x509.MarshalPKCS8PrivateKey(c.key)
			if err != nil {
				t.Fatal(err)
			}
			writePEM(t, w.path("tls.key"), "PRIVATE KEY", der)
			w.roots = ca.pool()
			w.start()
			for _, suite := range c.suites {
				client := w.asPagerDuty(&tls.Config{CipherSuites: []uint16{suite}})
				if a, err := w.try(client, signedBy(secret, event("01TLS", "service.updated"))); err != nil || a.status != http.StatusAccepted {
					t.Errorf("%s: got %d, %v; want 202", tls.CipherSuiteName(suite), a.status, err)
				}
			}
		})
	}
}

func TestMutualTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	const let, refused = "client certificate let through", "client certificate refused"
	clients := []struct {
		name  string
		cert  *tls.Certificate
		right bool
	}{
		{"PagerDuty", ca.client(t, "webhooks.pagerduty.com"), true},
		{"PagerDuty in Europe", ca.client(t, "webhooks.eu.pagerduty.com"), true},
		{"another name", ca.client(t, "webhooks.pagerduty.com.example.com"), false},
		{"another authority", stranger.client(t, "webhooks.pagerduty.com"), false},
		{"expired", ca.expired(t, "webhooks.pagerduty.com"), false},
		{"no certificate", nil, false},
	}
	start := func(t *testing.T, auth string) *world {
		w := newWorld(t, with("webhook.client_auth", quote(auth)))
		w.conf["webhook.client_ca"] = quote(w.path("client-ca.crt"))
		writePEM(t, w.path("client-ca.crt"), "CERTIFICATE", ca.cert.Raw)
		w.start()
		return w
	}
	call := func(w *world, cert *tls.Certificate) (answered, error) {
		config := &tls.Config{}
		if cert != nil {
			config.Certificates = []tls.Certificate{*cert}
		}
		return w.try(w.asPagerDuty(config), signedBy(secret, event("01MTLS", "service.updated")))
	}
	t.Run("require", func(t *testing.T) {
		t.Parallel()
		w := start(t, "require")
		for _, c := range clients {
			a, err := call(w, c.cert)
			if c.right && (err != nil || a.status != http.StatusAccepted) {
				t.Errorf("%s: got %d, %v; want 202", c.name, a.status, err)
			}
			if !c.right && err == nil {
				t.Errorf("%s: got %d, want no connection", c.name, a.status)
			}
		}
		if got := w.counted("", refused); got != "4" {
			t.Errorf("got %s clients refused, want the 4 that are wrong", got)
		}
		for _, why := range []string{"not for one of client_names", "signed by unknown authority", "expired", "sent no certificate"} {
			w.proc.says(why)
		}
	})
	t.Run("report", func(t *testing.T) {
		t.Parallel()
		w := start(t, "report")
		for _, c := range clients {
			if a, err := call(w, c.cert); err != nil || a.status != http.StatusAccepted {
				t.Errorf("%s: got %d, %v; want 202", c.name, a.status, err)
			}
		}
		if got := w.counted("", let); got != "4" {
			t.Errorf("got %s clients let through, want the 4 that are wrong", got)
		}
		w.proc.says(`client_auth = "require" would refuse`)
	})
	t.Run("names of one's own", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, with("webhook.client_names", `["ingress.example.com"]`))
		w.conf["webhook.client_ca"] = quote(w.path("client-ca.crt"))
		writePEM(t, w.path("client-ca.crt"), "CERTIFICATE", ca.cert.Raw)
		w.start()
		if a, err := call(w, ca.client(t, "ingress.example.com")); err != nil || a.status != http.StatusAccepted {
			t.Errorf("got %d, %v; want 202", a.status, err)
		}
		if a, err := call(w, clients[0].cert); err == nil {
			t.Errorf("got %d for a name that is not listed, want no connection", a.status)
		}
	})
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: ecdsaKey(t)}
	a.cert = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	return a
}

// sign completes a template; an authority without a certificate signs its own.
func (a *authority) sign(t *testing.T, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	parent := template
	if a.cert != nil {
		parent = a.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue signs a certificate for 127.0.0.1 and a name.
func (a *authority) issue(t *testing.T, key crypto.Signer, name string) tls.Certificate {
	t.Helper()
	return a.issueUntil(t, key, name, time.Time{})
}

// issueUntil is issue with an end; zero is a day from now.
func (a *authority) issueUntil(t *testing.T, key crypto.Signer, name string, end time.Time) tls.Certificate {
	t.Helper()
	cert := a.sign(t, &x509.Certificate{
		NotAfter: end,
		Subject:  pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a *authority) client(t *testing.T, name string) *tls.Certificate {
	cert := a.issue(t, ecdsaKey(t), name)
	return &cert
}

func (a *authority) expired(t *testing.T, name string) *tls.Certificate {
	cert := a.issueUntil(t, ecdsaKey(t), name, time.Now().Add(-time.Minute))
	return &cert
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
