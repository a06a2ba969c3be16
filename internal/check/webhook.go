package check

import (
	"crypto/x509"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Webhook is the section [webhook], with what its files hold.
type Webhook struct {
	Listen   string
	Path     string
	Insecure bool // insecure_http

	CertFile string
	Chain    []*x509.Certificate // as served, the server's own first
	ChainErr error               // why it cannot be served
	ClientCA string
	Report   bool // client_auth = "report"

	Secrets int      // that were read
	Missing []string // files of secrets that are not there

	Ours  func(listed []access.Subscription) []access.Subscription // those that lead to Path
	Lacks func(access.Subscription) []string                       // event types that pdhook uses and it does not ask for
}

// latestRenewal is how long before its end a certificate should have been renewed, unless its whole life is short.
const latestRenewal = 14 * 24 * time.Hour

const certificateName = "webhook certificate"

// certificate judges what PagerDuty would be shown.
func (w *Webhook) certificate(now time.Time) []Finding {
	switch {
	case w.Insecure:
		return []Finding{ok(certificateName, "none: plain HTTP on %s, so something in front of it has to end TLS", w.Listen)}
	case w.ChainErr != nil:
		mend := "give the pair that belongs together, or set webhook.insecure_http = true behind an ingress that ends TLS"
		if strings.HasPrefix(w.ChainErr.Error(), "client_") {
			mend = "give the root of the authority that signs PagerDuty's client certificate, or remove webhook.client_ca"
		}
		return []Finding{failed(certificateName, mend, "webhook.%v", w.ChainErr)}
	}
	leaf := w.Chain[0]
	end := leaf.NotAfter.UTC().Format(time.RFC3339)
	all := []Finding{ok(certificateName, "for %s, valid until %s (%s left)", names(leaf), end, left(leaf.NotAfter, now))}
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	switch {
	case !now.Before(leaf.NotAfter):
		return []Finding{failed(certificateName, "renew it and put it into "+w.CertFile+", it is read again by itself",
			"for %s, expired at %s: PagerDuty delivers nothing", names(leaf), end)}
	case now.Before(leaf.NotBefore):
		return []Finding{failed(certificateName, "correct the clock here, or the certificate", "for %s, not valid before %s", names(leaf), leaf.NotBefore.UTC().Format(time.RFC3339))}
	case leaf.NotAfter.Sub(now) < min(latestRenewal, life/6):
		all = []Finding{warning(certificateName, "renew it and put it into "+w.CertFile+", it is read again by itself",
			"for %s, valid until %s (%s left): it should have been renewed by now", names(leaf), end, left(leaf.NotAfter, now))}
	}
	if err := w.traced(now); err != nil {
		all = append(all, warning(certificateName,
			"put the certificates of the intermediate authorities behind it into "+w.CertFile+", or take one of a public authority;\nnothing to do where an ingress in front of pdhook has such a certificate",
			"PagerDuty takes only certificates of public authorities, and this is none as far as can be seen here: %v", err))
	}
	if w.ClientCA != "" && w.Report {
		all = append(all, warning(certificateName, `set webhook.client_auth = "require"`, "clients without a certificate of webhook.client_ca are let in and counted"))
	}
	return all
}

// traced looks for the way from the certificate to an authority that this machine trusts.
func (w *Webhook) traced(now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range w.Chain[1:] {
		between.AddCert(c)
	}
	_, err := w.Chain[0].Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: now})
	return err
}

// names tells whom a certificate is for.
func names(c *x509.Certificate) string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return or(list, "nobody by name")
}

// secrets judges the signing secrets. Ones that cannot be used are mistakes of the configuration.
func (w *Webhook) secrets() []Finding {
	const name = "webhook secrets"
	var all []Finding
	for _, file := range w.Missing {
		all = append(all, failed(name, w.subscribe("")+"\nmakes the subscription and writes its signing secret there;\nfor one that is there already, put its secret back, or replace both with --rotate beside the running pdhook",
			"%s is not there: webhooks are answered 503", file))
	}
	if w.Secrets > 0 {
		all = append(all, ok(name, "%s loaded", plural(w.Secrets, "secret")))
	}
	return all
}

// SecretFile is a file that holds a secret.
type SecretFile struct {
	Key  string // of the configuration
	Path string
}

// fileModes tells of secrets that every user of the machine can read.
func fileModes(files []SecretFile) []Finding {
	var all []Finding
	for _, f := range files {
		if info, err := os.Stat(f.Path); err == nil && info.Mode().Perm()&0o004 != 0 {
			all = append(all, warning("files", fmt.Sprintf("chmod o-rwx %s (in Kubernetes: defaultMode 0440 and an fsGroup)", f.Path),
				"%s: every user of this machine can read %s (%s)", f.Key, f.Path, fs.FileMode.String(info.Mode().Perm())))
		}
	}
	return all
}
