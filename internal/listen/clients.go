package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// clients checks the certificates of those who connect.
type clients struct {
	names    []string
	report   bool // let everybody in and tell
	reported func()
	refused  func()
	log      *quietLog
}

func newClients(t TLS, log *slog.Logger) (*clients, error) {
	c := &clients{names: t.ClientNames, reported: t.Reported, refused: t.Refused, log: newQuietLog(log)}
	switch t.ClientAuth {
	case "", "require":
	case "report":
		c.report = true
	default:
		return nil, fmt.Errorf(`client_auth %q: it is "require" or "report"`, t.ClientAuth)
	}
	if len(c.names) == 0 || slices.Contains(c.names, "") {
		return nil, errors.New("client_names is empty or holds an empty name: with client_ca alone, everybody with a certificate of that authority could connect")
	}
	return c, nil
}

// configure makes config ask for a certificate under roots. The names of the roots are not sent along:
// clients would hold back a certificate that does not fit, and "report" could not tell what is wrong.
func (c *clients) configure(config *tls.Config, roots *x509.CertPool) {
	// Only asked for: one that is missing is refused below, and counted like every other.
	config.ClientAuth = tls.RequestClientCert
	// VerifyConnection is called for resumed sessions too.
	config.VerifyConnection = func(state tls.ConnectionState) error {
		err := c.check(state.PeerCertificates, roots)
		switch {
		case err == nil:
			return nil
		case !c.report:
			count(c.refused)
			return err // net/http logs it
		}
		count(c.reported)
		c.log.warn("client let in that client_auth = \"require\" would refuse", slog.String("error", err.Error()))
		return nil
	}
}

func count(counter func()) {
	if counter != nil {
		counter()
	}
}

// check wants a chain to one of the roots and one of the names: anybody can buy a certificate of a public
// authority. Go's own check would also demand the usage "client authentication" in the leaf, but public
// authorities are dropping that usage, and PagerDuty's next certificate may come without it.
func (c *clients) check(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("client sent no certificate")
	}
	leaf, intermediates := chain[0], x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("verifying the client certificate of %q: %w", leaf.Subject.CommonName, err)
	}
	named := func(name string) bool { return slices.Contains(c.names, name) }
	if !named(leaf.Subject.CommonName) && !slices.ContainsFunc(leaf.DNSNames, named) {
		return fmt.Errorf("client certificate is for %q, not for one of client_names", leaf.Subject.CommonName)
	}
	return nil
}
