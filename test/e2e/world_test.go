package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/ports"
	"github.com/pdhook/pdhook/test/teleporttest"
)

const (
	bot    = "pdhook"             // the Teleport user that pdhook is
	botPD  = "pdhook@example.com" // and the PagerDuty user
	secret = "a-signing-secret-of-32-characters"
)

// world is a Teleport cluster, a PagerDuty account, and pdhook between them.
//
// kim is on call for Payments API by a schedule, lee stands behind kim at level 2; sam is on call for
// Search API. dana is on call for nothing. The role payments-admin notifies and approves by Payments API.
type world struct {
	t        testing.TB
	dir      string
	teleport *teleporttest.Server
	pd       *pagerdutytest.Server
	ahead    *atomic.Int64     // nanoseconds by which PagerDuty's clock is ahead
	conf     map[string]string // "section.key" to a TOML value
	roots    *x509.CertPool    // trusts pdhook's webhook certificate
	under    []string          // a program that becomes pdhook, with its arguments; usually none
	proc     *process
	env      []string // of pdhook, beside the test's own
	token    string   // of [admin], where it is needed
	admin    string   // http://host:port
	sub      pagerdutytest.Subscription

	agent               pagerdutytest.User // whom pdhook writes as
	dana, kim, lee, sam pagerdutytest.User
	primary             pagerdutytest.Schedule
	payments, searching pagerdutytest.Policy
	paymentsAPI, search pagerdutytest.Service
}

// setting changes the configuration or the systems before pdhook starts.
type setting func(*world)

// with sets a key of the configuration to a TOML value.
func with(key, value string) setting { return func(w *world) { w.conf[key] = value } }

// without removes a key.
func without(key string) setting { return func(w *world) { delete(w.conf, key) } }

// newWorld sets up both systems and a configuration; pdhook is not started.
func newWorld(t testing.TB, settings ...setting) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), ahead: new(atomic.Int64)}
	w.setUpPagerDuty()
	w.setUpTeleport()
	w.setUpFiles()
	for _, s := range settings {
		s(w)
	}
	t.Cleanup(func() {
		if v := w.pd.Violations(); len(v) > 0 {
			t.Errorf("requests that PagerDuty's OpenAPI document forbids: %s", strings.Join(v, "; "))
		}
	})
	return w
}

// startWorld is newWorld with pdhook running, its watch open, and PagerDuty's webhooks pointed at it.
func startWorld(t testing.TB, settings ...setting) *world {
	t.Helper()
	w := newWorld(t, settings...)
	w.start()
	return w
}

func (w *world) setUpPagerDuty() {
	w.pd = pagerdutytest.New(pagerdutytest.Options{
		OpenAPI: pagerdutytest.FindOpenAPI(), WebhookRetry: 200 * time.Millisecond,
		Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	})
	w.pd.Start()
	w.t.Cleanup(w.pd.Close)
	w.agent = w.pd.AddUser("pdhook", botPD)
	w.dana = w.pd.AddUser("Dana", "dana@example.com")
	w.kim = w.pd.AddUser("Kim", "kim@example.com")
	w.lee = w.pd.AddUser("Lee", "lee@example.com")
	w.sam = w.pd.AddUser("Sam", "sam@example.com")
	w.primary = w.pd.AddSchedule("Payments primary")
	w.pd.SetOnCall(w.primary.ID, w.kim.ID, time.Time{}, time.Time{})
	w.payments = w.pd.AddPolicy("Payments", []pagerdutytest.Target{w.primary}, []pagerdutytest.Target{w.lee})
	w.searching = w.pd.AddPolicy("Search", []pagerdutytest.Target{w.sam})
	w.paymentsAPI = w.pd.AddService("Payments API", w.payments.ID)
	w.search = w.pd.AddService("Search API", w.searching.ID)
}

func (w *world) setUpTeleport() {
	var err error
	if w.teleport, err = teleporttest.New(teleporttest.Options{}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.teleport.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.teleport.Close)
	w.writeIdentity(teleporttest.IdentityOptions{})
	w.teleport.SetRole("payments-admin", map[string][]string{
		"pagerduty_notify_service": {"Payments API"},
		"pagerduty_services":       {"Payments API"},
	})
	w.teleport.SetRole("payments-notify-only", map[string][]string{"pagerduty_notify_service": {"Payments API"}})
}

func (w *world) writeIdentity(o teleporttest.IdentityOptions) {
	w.t.Helper()
	if err := w.teleport.WriteIdentity(w.path("identity"), bot, o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) setUpFiles() {
	w.write("api-key", pagerdutytest.DefaultAPIKey+"\n")
	w.write("webhook-secret", secret+"\n")
	w.roots = writeCertificate(w.t, w.path("tls.crt"), w.path("tls.key"))
	w.conf = map[string]string{
		"teleport.addr":                      quote(w.teleport.Addr()),
		"teleport.identity":                  quote(w.path("identity")),
		"teleport.refresh_identity_interval": `"1s"`,
		"pagerduty.api_key":                  quote(w.path("api-key")),
		"pagerduty.user_email":               quote(botPD),
		"pagerduty.api_endpoint":             quote(w.pd.URL()),
		"webhook.listen":                     quote(ports.Held(w.t)),
		"webhook.secrets":                    "[" + quote(w.path("webhook-secret")) + "]",
		"webhook.tls_cert":                   quote(w.path("tls.crt")),
		"webhook.tls_key":                    quote(w.path("tls.key")),
		"store.path":                         quote(w.path("store")),
		"admin.listen":                       quote(ports.Held(w.t)),
		"log.format":                         `"json"`,
		"policy.oncall_poll_interval":        `"1h"`, // tests of the poll set it; others must not pass by it
	}
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// configure writes the configuration file and gives its path.
func (w *world) configure() string {
	sections := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(w.conf)) {
		section, name, _ := strings.Cut(key, ".")
		sections[section] = append(sections[section], name+" = "+w.conf[key])
	}
	var text strings.Builder
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		fmt.Fprintf(&text, "[%s]\n%s\n", section, strings.Join(sections[section], "\n"))
	}
	w.write("pdhook.toml", text.String())
	return w.path("pdhook.toml")
}

// launch starts pdhook and waits only for its ports.
func (w *world) launch() {
	w.t.Helper()
	w.subscribe()
	w.proc = launchUnder(w.t, w.under, w.env, "start", "--config", w.configure())
	w.admin = "http://" + w.proc.says("pdhook is starting").text("admin")
}

// subscribe makes the one subscription, before pdhook looks for it.
func (w *world) subscribe() {
	if w.sub.ID != "" {
		return
	}
	scheme := "https://"
	if w.conf["webhook.insecure_http"] == "true" {
		scheme = "http://"
	}
	w.sub = w.pd.Subscribe(pagerdutytest.Subscription{
		URL: scheme + w.endpoint() + "/webhooks/pagerduty", Secret: secret, Events: everyEvent(w.t),
		TLS: &tls.Config{RootCAs: w.roots},
	})
}

// start starts pdhook and waits until it has listed what Teleport has.
func (w *world) start() {
	w.t.Helper()
	w.launch()
	w.eventually("pdhook watches and has listed all requests", func() bool {
		s := w.status()
		return s.Teleport.Watching && !s.Teleport.LastResync.IsZero()
	})
}

// status is pdhook's own account of itself.
func (w *world) status() (s struct {
	Teleport struct {
		Connected  bool
		Watching   bool
		LastResync time.Time `json:"last_resync"`
		LastError  string    `json:"last_error"`
	}
	PagerDuty struct {
		Reachable bool
		Account   string
		LastError string `json:"last_error"`
	}
	Pending int
}) {
	w.t.Helper()
	status, body := w.get("/status")
	if status != http.StatusOK {
		return s
	}
	if err := json.Unmarshal(body, &s); err != nil {
		w.t.Fatalf("/status: %v", err)
	}
	return s
}

// get asks [admin].
func (w *world) get(path string) (int, []byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.admin+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.token != "" {
		req.SetBasicAuth("", w.token)
	}
	return fetch(req)
}

// eventually waits for a condition, which is looked at every few milliseconds.
func (w *world) eventually(what string, condition func() bool) {
	w.t.Helper()
	w.within(patience, what, condition)
}

// within is eventually for what takes longer.
func (w *world) within(limit time.Duration, what string, condition func() bool) {
	w.t.Helper()
	deadline := time.After(limit)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			w.t.Fatalf("waited %s in vain until %s", limit, what)
		}
	}
}

// request has a user ask for a role.
func (w *world) request(user string, roles ...string) string {
	return w.teleport.CreateRequest(teleporttest.Request{User: user, Roles: roles, Reason: "checkout fails"})
}

// reaches waits until Teleport has the request in the state.
func (w *world) reaches(id string, state types.RequestState) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.teleport.AwaitState(ctx, id, state); err != nil {
		w.t.Fatalf("request %s does not become %s: %v", id, state, err)
	}
}

// stays checks that the request is still pending after pdhook has surely looked at it: it has decided so.
func (w *world) stays(id string) {
	w.t.Helper()
	if state := w.teleport.Request(id).GetState(); state != types.RequestState_PENDING {
		w.t.Errorf("request %s is %s, want it pending", id, state)
	}
}

// incidents gives the incidents that the request opened.
func (w *world) incidents(id string) []pagerdutytest.Incident {
	return w.pd.IncidentsByKey("teleport-access-request/" + id)
}

// opened waits for the request's one incident and gives it.
func (w *world) opened(id string) pagerdutytest.Incident {
	w.t.Helper()
	w.eventually("the request has an incident", func() bool { return len(w.incidents(id)) > 0 })
	return w.incidents(id)[0]
}

// ended waits until the request has this many incidents, all resolved, and gives them.
func (w *world) ended(id string, n int) []pagerdutytest.Incident {
	w.t.Helper()
	w.eventually(fmt.Sprintf("the request has %d resolved incidents", n), func() bool {
		all := w.incidents(id)
		return len(all) == n && !slices.ContainsFunc(all, func(i pagerdutytest.Incident) bool { return i.Status != "resolved" })
	})
	return w.incidents(id)
}

// notes gives the texts of an incident's notes.
func (w *world) notes(incident string) []string {
	var texts []string
	for _, n := range w.pd.Notes(incident) {
		texts = append(texts, n.Content)
	}
	return texts
}

// settled waits until pdhook has nothing left to do and has looked at everything once more: a webhook about
// the service changes nothing, but makes every pending request that names it be looked at.
func (w *world) settled() {
	w.t.Helper()
	w.eventually("no webhook is on its way", func() bool { return w.pd.WaitDelivered(time.Second) == nil })
	w.eventually("the queue is empty", w.idle)
}

// idle reports whether no request waits for a look.
func (w *world) idle() bool {
	w.t.Helper()
	_, body := w.get("/status")
	return strings.Contains(string(body), `"depth": 0`) && strings.Contains(string(body), `"failing": 0`)
}

// decided waits until pdhook has logged a decision on the request and recorded what it did because of it, and gives
// its reason.
func (w *world) decided(id string) string {
	w.t.Helper()
	var found []logLine
	w.eventually("pdhook decides on the request", func() bool {
		found = w.proc.find(func(l logLine) bool { return l.text("msg") == "Decided" && l.text("request_id") == id })
		_, recorded := w.get("/api/v1/requests/" + id)
		return len(found) > 0 && strings.Contains(string(recorded), `"verdict"`)
	})
	return found[len(found)-1].text("why")
}
