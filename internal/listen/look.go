package listen

import (
	"crypto/x509"
	"fmt"
	"log/slog"
)

// Look reads the files as New does, and gives the chain that would be served, the server's own certificate first.
func (t TLS) Look() ([]*x509.Certificate, error) {
	f, err := newFiles(t, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	var chain []*x509.Certificate
	for _, der := range f.current.Load().config.Certificates[0].Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("tls_cert %s: reading its chain: %w", t.CertFile, err)
		}
		chain = append(chain, cert)
	}
	return chain, nil
}
