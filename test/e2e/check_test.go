package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// checked is what pdhook check printed.
type checked struct {
	code int
	text string
}

// check runs pdhook check. The machine trusts the authority of pdhook's certificate, as if it were a public one.
func (w *world) check(args ...string) checked {
	w.t.Helper()
	env := append([]string{"SSL_CERT_FILE=" + w.path("tls.crt")}, w.env...)
	code, text := run(w.t.(*testing.T), env, append([]string{"check", "--config", w.configure()}, args...)...)
	for _, s := range []string{pagerdutytest.DefaultAPIKey, secret} {
		if strings.Contains(text, s) {
			w.t.Errorf("it tells the secret %q", s)
		}
	}
	return checked{code, text}
}

// lines gives the findings that begin with a mark, each with its way out in one line.
func (c checked) lines(mark string) (all []string) {
	on := false
	for line := range strings.Lines(c.text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, mark+" "):
			all, on = append(all, line), true
		case strings.HasPrefix(line, "    ") && on:
			all[len(all)-1] += "\n" + strings.TrimPrefix(line, "    ")
		default:
			on = false
		}
	}
	return all
}

// isGreen checks that nothing is found wrong, and nothing to look at.
func (w *world) isGreen(c checked) {
	w.t.Helper()
	if c.code != 0 || len(c.lines("✗"))+len(c.lines("!")) > 0 || len(c.lines("✓")) < 15 {
		w.t.Errorf("got exit code %d and\n%s", c.code, c.text)
	}
}

func TestCheckIsGreenBeforeTheStartAndBesideTheService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subscribe()
	before := w.check("--service", "Payments API")
	w.isGreen(before)
	for _, part := range []string{
		"✓ configuration: " + w.path("pdhook.toml"), "user pdhook, valid until", "cluster teleport.example.com", "Teleport has 0 requests",
		"✓ PagerDuty account: acme", "incidents are opened as pdhook <pdhook@example.com>", "store will be made", "none at " + strings.Trim(w.conf["admin.listen"], `"`), w.sub.ID,
	} {
		if !strings.Contains(before.text, part) {
			t.Errorf("%q is not in\n%s", part, before.text)
		}
	}
	if w.read("store/MANIFEST") != "" || strings.Contains(before.text, "\x1b") {
		t.Errorf("a store was made, or there are colours in\n%q", before.text)
	}
	w.changedNothing()
	w.start()
	w.opened(w.request("dana@example.com", "payments-admin"))
	w.settled()
	beside := w.check()
	w.isGreen(beside)
	for _, part := range []string{"takes webhooks, and its connections stand", "is in use, as pdhook runs", "Teleport has 1 request", "1 named, all known to PagerDuty"} {
		if !strings.Contains(beside.text, part) {
			t.Errorf("%q is not in\n%s", part, beside.text)
		}
	}
}

// changedNothing checks that only questions were asked, and one thing that cannot have an effect.
func (w *world) changedNothing() {
	w.t.Helper()
	for _, r := range w.pd.Requests() {
		if r.Method != http.MethodGet && (r.Route != "PUT /incidents/{id}" || r.Status != http.StatusNotFound) {
			w.t.Errorf("PagerDuty was sent %s %s %s", r.Method, r.Path, r.Body)
		}
	}
	for _, method := range []string{"CreateAccessRequestV2", "SetAccessRequestState", "UpsertLock"} {
		if n := w.teleport.Calls(method); n > 0 {
			w.t.Errorf("Teleport was called %d times for %s", n, method)
		}
	}
}

func TestCheckTouchesNoRequestOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.subscribe()
	id := w.request("kim@example.com", "payments-admin") // whom a service would approve
	before := w.teleport.Request(id)
	w.isGreen(w.check())
	after := w.teleport.Request(id)
	if len(w.teleport.PluginData(id)) > 0 || len(after.GetReviews()) > 0 || after.GetState() != before.GetState() {
		t.Errorf("the request became %v with plugin data %v", after, w.teleport.PluginData(id))
	}
	w.changedNothing()
}

func TestCheckGivesDataWhereAskedTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var got struct {
		OK       bool
		Findings []struct{ Check, Status, Saw, Mend string }
	}
	c := w.check("--json")
	text, _, _ := strings.Cut(c.text, "pdhook: ") // on stderr
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v in %s", err, c.text)
	}
	last := got.Findings[len(got.Findings)-2]
	if c.code != 1 || got.OK || last.Check != "subscription" || last.Status != "failed" || !strings.Contains(last.Mend, "pdhook subscribe") {
		t.Errorf("got %d %+v", c.code, got)
	}
}
