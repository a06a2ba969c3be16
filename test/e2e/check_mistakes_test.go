package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
	"github.com/pdhook/pdhook/test/tlstest"
)

// mistake is one that somebody makes when setting pdhook up.
type mistake struct {
	name string
	make func(w *world)
	args []string // of pdhook check
	mark string   // of the line that tells of it; "": ✗
	says []string // in that line and its way out

	mend func(w *world) // does what the way out says; then all is green
}

// found checks that the mistake is told with its way out, and that this mends it.
func (m mistake) found(t *testing.T, w *world) {
	t.Helper()
	m.make(w)
	mark, code := "✗", 1
	if m.mark != "" {
		mark, code = m.mark, 0
	}
	c := w.check(m.args...)
	told := false
	for _, line := range c.lines(mark) {
		told = told || holds(line, m.says)
	}
	if !told || c.code != code {
		t.Errorf("got exit code %d, and no %s holds %q in\n%s", c.code, mark, m.says, c.text)
	}
	m.mend(w)
	w.isGreen(w.check(m.args...))
}

func set(key, value string) func(*world) { return func(w *world) { w.conf[key] = value } }

func unset(key string) func(*world) { return func(w *world) { delete(w.conf, key) } }

func write(name, content string) func(*world) { return func(w *world) { w.write(name, content) } }

// role is the beginning of what has to be pasted.
var role = []string{"tctl edit role/pdhook", "kind: role\nversion: v7\n", "spec:\n  allow:\n"}

func TestCheckFindsMistakesBeforeTheStartAndItsHintsMendThem(t *testing.T) {
	var twin pagerdutytest.Subscription
	key := write("api-key", pagerdutytest.DefaultAPIKey+"\n")
	for _, m := range []mistake{
		{name: "typo in a key", make: set("webhook.lisen", `":8443"`), says: []string{"configuration: ", `"webhook.lisen"`, `rename it to "webhook.listen"`},
			mend: unset("webhook.lisen")},
		{name: "wrong variable", make: func(w *world) { w.env = []string{"PDHOOK_PAGERDUTY_APIKEY=x"} },
			says: []string{`PDHOOK_PAGERDUTY_APIKEY: unknown variable: rename it to "PDHOOK_PAGERDUTY_API_KEY"`},
			mend: func(w *world) { w.env = nil }},
		{name: "no TLS and no word of it", make: unset("webhook.tls_cert"), says: []string{"webhook.tls_key", "webhook.insecure_http = true"},
			mend: func(w *world) { w.conf["webhook.tls_cert"] = quote(w.path("tls.crt")) }},
		{name: "[admin] for everybody", make: set("admin.listen", `":0"`), says: []string{"admin.token: missing", "not a loopback address"},
			mend: set("admin.token", `"a-token-of-admin"`)},

		{name: "identity missing", make: func(w *world) { w.remove("identity") }, says: []string{"teleport.identity", "/identity: no such file", "tctl auth sign"},
			mend: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{}) }},
		{name: "identity is none", make: write("identity", "garbage"), says: []string{"Teleport identity: ", "/identity", "tbot", "tctl auth sign"},
			mend: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{}) }},
		{name: "identity expired", make: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{NotAfter: time.Now().Add(-time.Hour)}) },
			says: []string{"Teleport identity: user pdhook, expired at ", "tctl auth sign --user=pdhook --out=", "/identity"},
			mend: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{}) }},
		{name: "identity not renewed", make: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{TTL: 5 * time.Minute}) }, mark: "!",
			says: []string{"Teleport identity: user pdhook", "should have been renewed", "does tbot run"},
			mend: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{}) }},
		{name: "identity of another cluster", make: func(w *world) { rotate(w) }, says: []string{"Teleport connection: ", "x509", "teleport.addr", "teleport.identity"},
			mend: func(w *world) { w.writeIdentity(teleporttest.IdentityOptions{}) }},
		{name: "wrong Teleport port", make: set("teleport.addr", `"127.0.0.1:1"`), says: []string{"cannot connect to 127.0.0.1:1", "connection refused", "correct the port in teleport.addr"},
			mend: func(w *world) { w.conf["teleport.addr"] = quote(w.teleport.Addr()) }},
		{name: "wrong Teleport host", make: set("teleport.addr", `"teleport.invalid:443"`), says: []string{"teleport.invalid", "correct the host in teleport.addr"},
			mend: func(w *world) { w.conf["teleport.addr"] = quote(w.teleport.Addr()) }},
		{name: "no TLS at the Teleport address", make: func(w *world) { w.conf["teleport.addr"] = quote(strings.TrimPrefix(w.pd.URL(), "http://")) },
			says: []string{"Teleport connection: ", "speaks no TLS: teleport.addr wants host:port"},
			mend: func(w *world) { w.conf["teleport.addr"] = quote(w.teleport.Addr()) }},

		{name: "role lacks access_request", make: deny(teleporttest.ReadRequests), mend: allow(teleporttest.ReadRequests),
			says: append([]string{"Teleport requests: may not be listed and read", "resources: [access_request]\n        verbs: [list, read]"}, role...)},
		{name: "role lacks access_plugin_data", make: deny(teleporttest.WritePluginData), mend: allow(teleporttest.WritePluginData),
			says: append([]string{"Teleport plugin data: may not be written", "resources: [access_plugin_data]\n        verbs: [update]"}, role...)},
		{name: "role lacks review_requests", make: deny(teleporttest.ReviewRequests), mend: allow(teleporttest.ReviewRequests),
			says: append([]string{"Teleport reviews: may not be submitted", "review_requests:\n      roles: "}, role...)},
		{name: "role lacks access_monitoring_rule", make: deny(teleporttest.ReadRules), mend: allow(teleporttest.ReadRules), mark: "!",
			says: append([]string{"Teleport rules: ", "annotations alone", "resources: [access_monitoring_rule]\n        verbs: [list, read]"}, role...)},
		{name: "role may not review what is to be approved",
			make: func(w *world) {
				w.conf["policy.auto_approve_roles"] = `["payments-admin"]`
				w.teleport.LimitReviews(bot, "other-*")
			},
			says: append([]string{"policy.auto_approve_roles names payments-admin", `roles: ["payments-admin"]`}, role...),
			mend: func(w *world) { w.teleport.LimitReviews(bot, "other-*", "payments-admin") }},
		{name: "the cluster wants MFA", make: func(w *world) { w.teleport.Switch(func(s *teleporttest.Switches) { s.RequireMFA = true }) },
			says: []string{"Teleport reviews: may not be submitted", "MFA", "let tbot write the identity"},
			mend: func(w *world) { w.teleport.Switch(func(s *teleporttest.Switches) { s.RequireMFA = false }) }},

		{name: "wrong key", make: write("api-key", "made-up-key"), mend: key,
			says: []string{"PagerDuty key: ", "does not take the key in ", "/api-key", "https://SUBDOMAIN.pagerduty.com/api_keys", "API Access Keys"}},
		{name: "other region", make: otherRegion, says: []string{"does not take the key", "eu.pagerduty.com", `set pagerduty.api_endpoint = "https://api.eu.pagerduty.com"`},
			mend: func(w *world) { w.conf["pagerduty.api_endpoint"] = quote(w.pd.URL()) }},
		{name: "no PagerDuty at the endpoint", make: set("pagerduty.api_endpoint", `"http://127.0.0.1:1"`), says: []string{"http://127.0.0.1:1", "connection refused", "correct pagerduty.api_endpoint"},
			mend: func(w *world) { w.conf["pagerduty.api_endpoint"] = quote(w.pd.URL()) }},
		{name: "key of another account", make: set("pagerduty.account", `"globex"`), mend: set("pagerduty.account", `"acme"`),
			says: []string{"PagerDuty account: ", "belongs to account acme, and pagerduty.account is globex: nobody is approved", `set pagerduty.account = "acme"`}},
		{name: "user_email unknown", make: set("pagerduty.user_email", `"bot@example.com"`), mend: set("pagerduty.user_email", quote(botPD)),
			says: []string{"PagerDuty user: ", "bot@example.com", "set pagerduty.user_email", "pagerduty.com/users"}},
		{name: "read-only key", make: func(w *world) { w.pd.MakeKeyReadOnly(true) }, mend: func(w *world) { w.pd.MakeKeyReadOnly(false) },
			says: []string{"PagerDuty rights: the key may not write incidents", "not read-only", "/api_keys"}},
		{name: "key without a scope", make: scopeless, mend: func(w *world) { w.pd.ClearFaults() },
			says: []string{"PagerDuty rights: the key may not read who is on call", "make a key that may"}},
		{name: "clock", make: func(w *world) { w.ahead.Store(int64(5 * time.Minute)) }, mend: func(w *world) { w.ahead.Store(0) }, mark: "!",
			says: []string{"clock: it differs from PagerDuty's by ", "NTP"}},

		{name: "pair does not match", make: func(w *world) { writeCertificate(w.t, w.path("other.crt"), w.path("tls.key")) },
			says: []string{"webhook certificate: ", "/tls.crt", "/tls.key", "do not form a pair", "webhook.insecure_http = true"},
			mend: func(w *world) { writeCertificate(w.t, w.path("tls.crt"), w.path("tls.key")) }},
		{name: "certificate expired", make: certifiedUntil(-time.Hour), says: []string{"webhook certificate: ", "expired at", "PagerDuty delivers nothing", "renew it", "/tls.crt"},
			mend: certifiedUntil(90 * 24 * time.Hour)},
		{name: "certificate not renewed", make: certifiedUntil(48*time.Hour + time.Minute), mark: "!", says: []string{"webhook certificate: ", "2 days left", "should have been renewed", "renew it"},
			mend: certifiedUntil(90 * 24 * time.Hour)},
		{name: "certificate of an unknown authority", make: func(w *world) { w.env = []string{"SSL_CERT_FILE=/dev/null"} }, mark: "!",
			says: []string{"public authorities", "intermediate", "/tls.crt", "ingress"}, mend: func(w *world) { w.env = nil }},
		{name: "secret missing", make: func(w *world) { w.remove("webhook-secret") }, mend: write("webhook-secret", secret),
			says: []string{"webhook secrets: ", "/webhook-secret is not there", "503", "pdhook subscribe --url https://HOST/webhooks/pagerduty"}},
		{name: "secret for everybody", make: func(w *world) { w.chmod("webhook-secret", 0o644) }, mend: func(w *world) { w.chmod("webhook-secret", 0o640) }, mark: "!",
			says: []string{"every user of this machine can read", "/webhook-secret", "chmod o-rwx"}},
		{name: "port in use", make: func(w *world) { w.conf["webhook.listen"] = quote(taken(w.t)) }, mend: set("webhook.listen", `"127.0.0.1:0"`),
			says: []string{"webhook.listen: ", "in use by another program", "ss -ltnp", "set another webhook.listen"}},

		{name: "no directory for the store", make: func(w *world) { w.conf["store.path"] = quote(w.path("data/store")) },
			says: []string{"store: ", "create the directory ", "/data for the user that runs pdhook", "store.path"},
			mend: func(w *world) { w.mkdir("data") }},
		{name: "store is a file", make: write("store", ""), says: []string{"store: ", "/store is not a directory", "set it to one"},
			mend: func(w *world) { w.conf["store.path"] = quote(w.path("another")) }},

		{name: "no directory for the log", make: func(w *world) { w.conf["log.output"] = quote(w.path("logs/pdhook.log")) },
			says: []string{"log.output: ", "/logs/pdhook.log cannot be written", "create its folder", "set another log.output"},
			mend: func(w *world) { w.mkdir("logs") }},

		{name: "no subscription", make: func(w *world) {
			w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) { s.URL = "https://example.com/" })
		},
			says: []string{"subscription: none of 1 subscription leads to /webhooks/pagerduty", "https://example.com/", "pdhook subscribe --url https://HOST/webhooks/pagerduty"},
			mend: resubscribe},
		{name: "subscription switched off", make: func(w *world) {
			w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) { s.Inactive = true })
		},
			says: []string{"switched off (active is false)", "pdhook subscribe --url https://127.0.0.1", "switches it on"}, mend: resubscribe},
		{name: "subscription disabled", make: func(w *world) { w.pd.DisableSubscription(w.sub.ID) },
			says: []string{"disabled by PagerDuty", "pdhook subscribe --url", "a running pdhook does so by itself", "4xx"},
			mend: func(w *world) {
				w.start()
				w.eventually("pdhook enables it", func() bool { return !w.pd.TemporarilyDisabled(w.sub.ID) })
			}},
		{name: "subscription lacks events", make: func(w *world) {
			w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) {
				s.Events = slices.DeleteFunc(slices.Clone(s.Events), func(t string) bool { return t == "incident.resolved" })
			})
		},
			says: []string{"lacks event types that pdhook uses: incident.resolved", "pdhook subscribe --url", "adds them"}, mend: resubscribe},
		{name: "subscription to another host", make: func(w *world) {
			w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) { s.URL = "https://pdhook.example.com/webhooks/pagerduty" })
		}, mark: "!", says: []string{"pdhook.example.com", "webhook.tls_cert", "certificate for that host"},
			mend: func(w *world) { writeCertificate(w.t, w.path("tls.crt"), w.path("tls.key"), "pdhook.example.com") }},
		{name: "two subscriptions", make: func(w *world) {
			twin = w.pd.Subscribe(w.sub)
		}, mark: "!", says: []string{"lead to one URL", "more than once", "delete all but one"},
			mend: func(w *world) {
				w.pd.ChangeSubscription(twin.ID, func(s *pagerdutytest.Subscription) { s.URL = "https://example.com/" })
			}},

		{name: "a service that is not there", args: []string{"--service", "Payment API"}, make: func(*world) {},
			says: []string{`service "Payment API", named by --service, is not in this PagerDuty account`, "correct the annotation of the role"},
			mend: func(w *world) { w.pd.AddService("Payment API", w.payments.ID) }},
		{name: "a request names a schedule that is not there", make: func(w *world) {
			w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"r"}, Annotations: map[string][]string{"pagerduty_schedules": {"Night"}}})
		}, says: []string{`schedule "Night", named by request `, "not in this PagerDuty account"}, mend: func(w *world) { w.pd.AddSchedule("Night") }},
		{name: "28 people on one level", args: []string{"--service", "Payments API"}, make: func(w *world) {
			w.pd.SetLevels(w.payments.ID, []pagerdutytest.Target{w.primary}, []pagerdutytest.Target{w.lee}, people(w, 28))
		}, mark: "!", says: []string{"level 3 of policy ", "Payments API holds 28 people", "set policy.max_escalation_level = 2"},
			mend: set("policy.max_escalation_level", "2")},
		{name: "dry run", make: set("policy.dry_run", "true"), mend: set("policy.dry_run", "false"), mark: "!",
			says: []string{"a dry run changes nothing", "policy.dry_run = false"}},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.subscribe()
			m.found(t, w)
		})
	}
}

func TestCheckFindsMistakesBesideTheServiceAndItsHintsMendThem(t *testing.T) {
	for _, m := range []mistake{
		{name: "not ready", make: func(w *world) {
			w.remove("webhook-secret")
			w.launch()
		}, says: []string{"running service: takes no webhooks, or not all: no webhook secret is loaded; the file of webhook.secrets is not there yet", "/webhook-secret", "by itself"},
			mend: func(w *world) {
				w.write("webhook-secret", secret)
				w.eventually("pdhook is ready", func() bool { status, _ := w.get("/readyz"); return status == http.StatusOK })
			}},
		{name: "the secret of a subscription is lost", make: func(w *world) {
			w.pd.UseWebhookTLS(&tls.Config{RootCAs: w.roots}) // for the new one
			w.remove("webhook-secret")
			w.launch()
			w.configure() // with the ports that were found
		}, says: []string{"webhook secrets: ", "put its secret back", "pdhook subscribe --url https://HOST/webhooks/pagerduty", "--rotate beside the running pdhook"},
			mend: func(w *world) {
				w.subscribeSays(0, []string{"--url", w.sub.URL, "--rotate"}, "a test ping: it arrived")
			}},
		{name: "another token", make: func(w *world) {
			w.token = "the-token-of-admin"
			w.conf["admin.token"] = quote(w.path("token"))
			w.write("token", w.token)
			w.start()
			w.write("other-token", "another-token")
			w.conf["admin.token"] = quote(w.path("other-token"))
		}, says: []string{"running service: ", "asks for another token", "give the token that the running pdhook has in admin.token", "SIGHUP"},
			mend: func(w *world) { w.conf["admin.token"] = quote(w.path("token")) }},
		{name: "the service has lost Teleport", make: func(w *world) {
			w.start()
			w.teleport.Stop()
			w.eventually("pdhook sees it", func() bool { return w.status().Teleport.LastError != "" })
		}, says: []string{"running service: Teleport: ", "SIGHUP"},
			mend: func(w *world) {
				if err := w.teleport.Start(); err != nil {
					w.t.Fatal(err)
				}
				w.eventually("pdhook is back", func() bool { s := w.status().Teleport; return s.Watching && s.LastError == "" })
			}},
		{name: "the store of a service that listens elsewhere", make: func(w *world) {
			w.start()
			w.conf["admin.listen"], w.conf["webhook.listen"] = `"127.0.0.1:0"`, `"127.0.0.1:0"`
		}, says: []string{"store: ", "another pdhook runs on ", "stop it or set another store.path"},
			mend: func(w *world) { w.proc.stop() }},
		{name: "a port that the service does not listen on", make: func(w *world) {
			w.start()
			w.conf["webhook.listen"] = `"127.0.0.1:0"`
		}, mark: "!", says: []string{"webhook.listen: the running pdhook does not listen on", "restart it"},
			mend: func(w *world) { w.conf["webhook.listen"] = quote(w.proc.says("pdhook is starting").text("webhooks")) }},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.found(t, newWorld(t))
		})
	}
}

func TestCheckEndsSoonWhenNothingAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang})
	t.Cleanup(w.pd.ClearFaults)
	w.teleport.Fail("Ping", teleporttest.Fault{Times: teleporttest.Always, Hang: true})
	began := time.Now()
	c := w.check("--service", "Payments API")
	if took := time.Since(began); took > 40*time.Second || c.code != 1 {
		t.Errorf("got exit code %d after %s, want 1 after at most 20 s, or some more on a slow machine", c.code, took)
	}
	for _, part := range []string{"✗ Teleport connection: ", "✗ PagerDuty key: ", "! subscription: not seen", "! services and schedules: not seen"} {
		if !strings.Contains(c.text, part) {
			t.Errorf("%q is not in\n%s", part, c.text)
		}
	}
}

func deny(p teleporttest.Permission) func(*world) { return func(w *world) { w.teleport.Deny(bot, p) } }

func allow(p teleporttest.Permission) func(*world) {
	return func(w *world) { w.teleport.Allow(bot, p) }
}

// rotate makes the cluster one that the identity does not belong to.
func rotate(w *world) {
	if err := w.teleport.RotateCA(); err != nil {
		w.t.Fatal(err)
	}
}

// otherRegion is a PagerDuty that knows no key of the account's.
func otherRegion(w *world) {
	there := pagerdutytest.New(pagerdutytest.Options{APIKey: "a-key-of-others"})
	there.Start()
	w.t.Cleanup(there.Close)
	w.conf["pagerduty.api_endpoint"] = quote(there.URL())
}

// scopeless makes the key one that may not ask who is on call.
func scopeless(w *world) {
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusForbidden, Route: "GET /oncalls"})
}

// resubscribe does what pdhook subscribe does.
func resubscribe(w *world) {
	w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) {
		s.URL, s.Events, s.Inactive = w.sub.URL, everyEvent(w.t), false
	})
}

// certifiedUntil writes a certificate that ends so long from now.
func certifiedUntil(left time.Duration) func(*world) {
	return func(w *world) {
		if _, err := tlstest.WriteCertificateUntil(w.path("tls.crt"), w.path("tls.key"), time.Now().Add(left)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) chmod(name string, mode os.FileMode) {
	w.t.Helper()
	if err := os.Chmod(w.path(name), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) mkdir(name string) {
	w.t.Helper()
	if err := os.Mkdir(w.path(name), 0o700); err != nil {
		w.t.Fatal(err)
	}
}

// people hires n.
func people(w *world, n int) (all []pagerdutytest.Target) {
	for i := range n {
		all = append(all, w.pd.AddUser(fmt.Sprint("Person ", i), fmt.Sprintf("person%d@example.com", i)))
	}
	return all
}
