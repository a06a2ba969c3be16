package listen

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestEachSuiteThatPagerDutySharesWithGoWorks(t *testing.T) {
	ca := newAuthority(t)
	for _, tt := range []struct {
		name   string
		key    func(*testing.T) crypto.Signer
		suites []uint16
	}{
		{"ECDSA certificate", ecdsaKey, []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
		}},
		{"RSA certificate", rsaKey, []uint16{
			tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
		}},
	} {
		dir := t.TempDir()
		ca.writePair(t, dir, tt.key(t), serverCert)
		s, _ := start(t, Config{TLS: &TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}}, nil)
		for _, suite := range tt.suites {
			t.Run(tt.name+" "+tls.CipherSuiteName(suite), func(t *testing.T) {
				client := ca.client()
				client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{suite}
				body, state, err := get(s, client)
				if err != nil || body != "hello" {
					t.Fatalf("got %q, %v", body, err)
				}
				if state.Version != tls.VersionTLS12 || state.CipherSuite != suite {
					t.Errorf("got version %x and suite %s", state.Version, tls.CipherSuiteName(state.CipherSuite))
				}
			})
		}
	}
}

func TestOlderVersionsThanTLS12AreRefused(t *testing.T) {
	ca := newAuthority(t)
	s, _ := start(t, Config{TLS: ca.files(t, serverCert)}, nil)
	client := ca.client()
	client.MinVersion, client.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	if _, _, err := get(s, client); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, state, err := get(s, ca.client()); err != nil || state.Version != tls.VersionTLS13 {
		t.Errorf("TLS 1.3: got %+v, %v", state, err)
	}
}

// named is the server certificate with another name, to tell the old one from the new one.
func named(name string) x509.Certificate {
	cert := serverCert
	cert.Subject = pkix.Name{CommonName: name}
	return cert
}

// serves gives the name in the certificate that a new connection sees.
func serves(t *testing.T, s *Server, ca *authority) string {
	t.Helper()
	_, state, err := get(s, ca.client())
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].Subject.CommonName
}

func pollFast(s *Server) { s.poll = 5 * time.Millisecond }

func TestCertificateReplacedByRenameIsServed(t *testing.T) {
	ca := newAuthority(t)
	names := ca.files(t, named("first"))
	s, log := start(t, Config{TLS: names}, pollFast)
	if got := serves(t, s, ca); got != "first" {
		t.Fatalf("got %q, want first", got)
	}
	second := named("second")
	second.NotAfter = time.Now().Add(10 * time.Hour).Truncate(time.Second)
	ca.writePair(t, filepath.Dir(names.CertFile), ecdsaKey(t), second)
	eventually(t, "the second certificate", func() bool { return serves(t, s, ca) == "second" })
	if got := s.CertificateExpires(); !got.Equal(second.NotAfter) {
		t.Errorf("expires: got %s, want %s", got, second.NotAfter)
	}
	if !strings.Contains(log.String(), "TLS files changed") {
		t.Errorf("the swap is not in the log: %s", log)
	}
}

func TestCertificateReplacedByTheSymlinkSwapOfAKubernetesSecretIsServed(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	for _, version := range []string{"first", "second"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		ca.writePair(t, filepath.Join(dir, version), ecdsaKey(t), named(version))
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("first", "..data")
	link("..data/tls.crt", "tls.crt")
	link("..data/tls.key", "tls.key")
	s, _ := start(t, Config{TLS: &TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}}, pollFast)
	if got := serves(t, s, ca); got != "first" {
		t.Fatalf("got %q, want first", got)
	}
	link("second", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second certificate", func() bool { return serves(t, s, ca) == "second" })
}

func TestBadPairKeepsTheOldOne(t *testing.T) {
	ca := newAuthority(t)
	names := ca.files(t, named("first"))
	s, log := start(t, Config{TLS: names}, pollFast)
	write(t, names.CertFile, []byte("half a fi"))
	err := s.Reload()
	if err == nil || !strings.Contains(err.Error(), names.CertFile) {
		t.Errorf("Reload: got %v, want an error that names the file", err)
	}
	const line = "the old ones stay in use"
	eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), line) })
	if got := serves(t, s, ca); got != "first" {
		t.Errorf("got %q, want first", got)
	}
	ca.writePair(t, filepath.Dir(names.CertFile), ecdsaKey(t), named("second"))
	if err := s.Reload(); err != nil {
		t.Errorf("Reload: %v", err)
	}
	if got := serves(t, s, ca); got != "second" {
		t.Errorf("got %q, want second", got)
	}
}

func TestACertificateThatWasNotRenewedInTimeIsWarnedOfOnce(t *testing.T) {
	const line = "was not renewed in time"
	ca := newAuthority(t)
	names := ca.files(t, named("fresh"))
	s, log := start(t, Config{TLS: names}, pollFast)
	ending := named("ending")
	ending.NotBefore, ending.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Minute)
	ca.writePair(t, filepath.Dir(names.CertFile), ecdsaKey(t), ending)
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), line) })
	if text := log.String(); strings.Index(text, "TLS files changed") > strings.Index(text, line) || !strings.Contains(text, names.CertFile) {
		t.Errorf("want a warning of the new certificate alone, with its file:\n%s", text)
	}
	ca.writePair(t, filepath.Dir(names.CertFile), ecdsaKey(t), named("renewed"))
	eventually(t, "the renewed certificate", func() bool { return serves(t, s, ca) == "renewed" })
	if n := strings.Count(log.String(), line); n != 1 {
		t.Errorf("warned %d times, want once:\n%s", n, log)
	}
}

func TestClientCertificates(t *testing.T) {
	const pagerDuty = "webhooks.pagerduty.com"
	ca, stranger, server := newAuthority(t), newAuthority(t), newAuthority(t)
	clientAuth := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	serverAuth := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	cn := pkix.Name{CommonName: pagerDuty}
	tests := []struct {
		name   string
		signer *authority // nil: no certificate
		cert   x509.Certificate
		fits   bool
	}{
		{"right common name", ca, x509.Certificate{Subject: cn, ExtKeyUsage: clientAuth}, true},
		{"right DNS name", ca, x509.Certificate{DNSNames: []string{"x.example.com", pagerDuty}, ExtKeyUsage: clientAuth}, true},
		{"no client authentication usage", ca, x509.Certificate{Subject: cn, ExtKeyUsage: serverAuth}, true},
		{"other name of the same authority", ca, x509.Certificate{Subject: pkix.Name{CommonName: "webhooks.pagerduty.com.example.com"}, ExtKeyUsage: clientAuth}, false},
		{"wildcard", ca, x509.Certificate{DNSNames: []string{"*.pagerduty.com"}, ExtKeyUsage: clientAuth}, false},
		{"other authority", stranger, x509.Certificate{Subject: cn, ExtKeyUsage: clientAuth}, false},
		{"expired", ca, x509.Certificate{Subject: cn, NotAfter: time.Now().Add(-time.Hour), ExtKeyUsage: clientAuth}, false},
		{"none", nil, x509.Certificate{}, false},
	}
	for _, auth := range []string{"require", "report"} {
		var reported, refused atomic.Int64
		names := server.files(t, serverCert)
		names.ClientCA, names.ClientNames, names.ClientAuth = ca.file(t), []string{pagerDuty, "webhooks.eu.pagerduty.com"}, auth
		names.Reported = func() { reported.Add(1) }
		names.Refused = func() { refused.Add(1) }
		s, log := start(t, Config{TLS: names}, nil)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, tt := range tests {
				t.Run(auth+" "+tls.VersionName(version)+" "+tt.name, func(t *testing.T) {
					reported.Store(0)
					refused.Store(0)
					client := server.client()
					client.MaxVersion = version
					if tt.signer != nil {
						client.Certificates = []tls.Certificate{tt.signer.issue(t, ecdsaKey(t), tt.cert)}
					}
					_, _, err := get(s, client)
					if want := tt.fits || auth == "report"; (err == nil) != want {
						t.Errorf("let in: got %v, want %t", err, want)
					}
					if got, want := reported.Load(), auth == "report" && !tt.fits; (got == 1) != want {
						t.Errorf("reported: got %d, want %t", got, want)
					}
					if got, want := refused.Load(), auth == "require" && !tt.fits; (got == 1) != want {
						t.Errorf("refused: got %d, want %t", got, want)
					}
				})
			}
		}
		if told := strings.Contains(log.String(), "client let in"); told != (auth == "report") {
			t.Errorf("%s: log tells of clients let in: %t", auth, told)
		}
	}
}

func TestResumedSessionIsCheckedAgainstTheAuthorityOfNow(t *testing.T) {
	ca, server := newAuthority(t), newAuthority(t)
	names := server.files(t, serverCert)
	names.ClientCA, names.ClientNames = ca.file(t), []string{"client"}
	s, _ := start(t, Config{TLS: names}, nil)
	client := server.client()
	client.MaxVersion = tls.VersionTLS12
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	client.Certificates = []tls.Certificate{ca.issue(t, ecdsaKey(t), x509.Certificate{Subject: pkix.Name{CommonName: "client"}})}
	for _, resumed := range []bool{false, true} {
		_, state, err := get(s, client)
		if err != nil || state.DidResume != resumed {
			t.Fatalf("got %+v, %v; want resumed %t", state, err, resumed)
		}
	}
	write(t, names.ClientCA, newAuthority(t).pem())
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(s, client); err == nil {
		t.Error("a session of the old authority was resumed")
	}
}
