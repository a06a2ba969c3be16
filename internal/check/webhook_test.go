package check

import (
	"crypto/x509"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/tlstest"
)

// endpoint is a webhook endpoint with a certificate for pdhook.example.com that lives until then.
func endpoint(t *testing.T, end time.Time) *Webhook {
	t.Helper()
	dir := t.TempDir()
	cert, err := tlstest.WriteCertificateUntil(filepath.Join(dir, "crt"), filepath.Join(dir, "key"), end, "pdhook.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return &Webhook{
		Listen: ":8081", Path: "/webhooks/pagerduty", CertFile: "/crt", Chain: []*x509.Certificate{cert},
		Ours:  func(listed []access.Subscription) []access.Subscription { return listed },
		Lacks: func(s access.Subscription) []string { return s.EventTypes },
	}
}

func TestTheCertificateIsJudgedAsPagerDutyWould(t *testing.T) {
	const day = 24 * time.Hour
	const unknown = "! …PagerDuty takes only certificates of public authorities…intermediate"
	now := time.Now()
	for left, want := range map[time.Duration][]string{
		15 * day:      {"✓ webhook certificate: for pdhook.example.com, 127.0.0.1, valid until …(14 days left)", unknown},
		13 * day:      {"! …should have been renewed…renew it…/crt", unknown},
		-time.Second:  {"✗ …expired at …PagerDuty delivers nothing"},
		200 * day:     {"✓", unknown},
		2 * time.Hour: {"! …(1", unknown},
	} {
		wants(t, endpoint(t, now.Add(left)).certificate(time.Now()), want...)
	}
	w := endpoint(t, now.Add(30*day))
	wants(t, w.certificate(now.Add(-120*day)), "✗ …not valid before…clock")
	w.ClientCA, w.Report = "/ca", true
	wants(t, w.certificate(now), "✓", unknown, "! …let in and counted…require")
	w.ChainErr = errors.New("client_ca /ca holds no certificate")
	wants(t, w.certificate(now), "✗ webhook certificate: webhook.client_ca /ca …remove webhook.client_ca")
	w.ChainErr = errors.New("tls_cert /crt and tls_key /key do not form a pair")
	wants(t, w.certificate(now), "✗ webhook certificate: webhook.tls_cert …pair that belongs together")
	w.Insecure = true
	wants(t, w.certificate(now), "✓ …plain HTTP on :8081")
}

func TestSecretsThatAreNotThereAreTold(t *testing.T) {
	w := &Webhook{Path: "/hook", Secrets: 2, Missing: []string{"/new"}}
	wants(t, w.secrets(), "✗ webhook secrets: /new is not there…pdhook subscribe --url https://HOST/hook", "✓ webhook secrets: 2 secrets loaded")
}

func TestSubscriptionsAreJudged(t *testing.T) {
	const here = "https://pdhook.example.com/webhooks/pagerduty"
	good := access.Subscription{ID: "P1", URL: here, Active: true}
	with := func(change func(*access.Subscription)) access.Subscription {
		s := good
		change(&s)
		return s
	}
	off, disabled := with(func(s *access.Subscription) { s.Active = false }), with(func(s *access.Subscription) { s.Disabled = true })
	for _, c := range []struct {
		name   string
		listed []access.Subscription
		want   []string
	}{
		{"good", []access.Subscription{good}, []string{"✓ subscription: P1 brings events to " + here}},
		{"none at all", nil, []string{"✗ …the key sees none…pdhook subscribe --url https://HOST/webhooks/pagerduty…region"}},
		{"off", []access.Subscription{off}, []string{"✗ …P1 is switched off…pdhook subscribe --url " + here}},
		{"off and another that delivers", []access.Subscription{off, with(func(s *access.Subscription) { s.ID, s.URL = "P2", here+"/pagerduty" })}, []string{"✓ …P2"}},
		{"disabled", []access.Subscription{disabled}, []string{"✗ …P1 is disabled by PagerDuty…--url " + here + " enables it"}},
		{"disabled and incomplete", []access.Subscription{with(func(s *access.Subscription) { s.Disabled, s.EventTypes = true, []string{"a", "b"} })}, []string{"✗ …disabled", "✗ …uses: a, b"}},
		{"plain", []access.Subscription{with(func(s *access.Subscription) { s.URL = "http://pdhook.example.com/" })}, []string{"! …takes HTTPS only"}},
		{"another host", []access.Subscription{with(func(s *access.Subscription) { s.URL = "https://pd.example.com/" })}, []string{"! …https://pd.example.com/, for which webhook.tls_cert is not"}},
		{"twice", []access.Subscription{good, with(func(s *access.Subscription) { s.ID = "P2" })}, []string{"! …P1, P2 lead to one URL"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := endpoint(t, time.Now().Add(30*24*time.Hour))
			wants(t, w.subscribed(accountSeen{usable: true, subscriptions: c.listed}, Running{}), c.want...)
		})
	}
	w := endpoint(t, time.Now().Add(30*24*time.Hour))
	wants(t, w.subscribed(accountSeen{usable: true, listing: errMayNot}, Running{}), "! …not seen…webhook_subscriptions.read")
	wants(t, w.subscribed(accountSeen{usable: true, listing: errors.New("503")}, Running{}), "! …not seen: 503")
	wants(t, w.subscribed(accountSeen{}, Running{}), "! …could not be asked")
	wants(t, w.subscribed(accountSeen{usable: true, subscriptions: []access.Subscription{good}}, Running{Subscription: "no webhook came"}), "! …the running pdhook says: no webhook came")
	w.Ours = func([]access.Subscription) []access.Subscription { return nil }
	wants(t, w.subscribed(accountSeen{usable: true, subscriptions: []access.Subscription{good}}, Running{}), "✗ …none of 1 subscription leads to /webhooks/pagerduty…they lead to "+here+"…or set webhook.path")
}
