// Package tlstest makes the certificate that pdhook's webhook endpoint serves in the demo and in tests.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// WriteCertificate writes a certificate for 127.0.0.1 and other names and addresses that is its own authority, and
// its key, in PEM.
func WriteCertificate(certFile, keyFile string, names ...string) (*x509.Certificate, error) {
	return write(certFile, keyFile, time.Now().Add(-time.Hour), time.Now().Add(7*24*time.Hour), names)
}

// usualLife is how long certificates of public authorities live.
const usualLife = 90 * 24 * time.Hour

// WriteCertificateUntil is WriteCertificate for a certificate of a usual life, which may have ended.
func WriteCertificateUntil(certFile, keyFile string, end time.Time, names ...string) (*x509.Certificate, error) {
	begin := time.Now().Add(-time.Hour)
	if usual := end.Add(-usualLife); usual.Before(begin) {
		begin = usual
	}
	return write(certFile, keyFile, begin, end, names)
}

func write(certFile, keyFile string, begin, end time.Time, names []string) (*x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pdhook"},
		NotBefore: begin, NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
