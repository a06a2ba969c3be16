package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestEveryAnswerOfTheWebhookEndpoint(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const (
		tooLarge = "body is too large"
		noHeader = "signature header is missing or malformed"
		noMatch  = "no signature matches"
	)
	good := event("01GOOD", "incident.acknowledged")
	wrong := pagerdutytest.Sign("another-secret-of-32-characters!", []byte(good))
	right := pagerdutytest.Sign(secret, []byte(good))
	sized := func(n int) string {
		body := event("01SIZED", "incident.acknowledged")
		return body + strings.Repeat(" ", n-len(body))
	}
	for _, c := range []struct {
		name    string
		post    post
		status  int
		message string // of the error
	}{
		{name: "an event", post: signedBy(secret, good), status: 202},
		{name: "the same event again", post: signedBy(secret, good), status: 202},
		{name: "an unknown type", post: signedBy(secret, event("01NEW", "incident.teleported")), status: 202},
		{name: "a known type in an unknown shape", post: signedBy(secret, `{"event":{"id":"01ODD","event_type":"service.updated","data":7}}`), status: 202},
		{name: "a second signature that fits", post: post{body: good, signed: []string{wrong + ", " + right}}, status: 202},
		{name: "a second header line that fits", post: post{body: good, signed: []string{"v2=1", right}}, status: 202},
		{name: "upper case digits", post: post{body: good, signed: []string{"v1=" + strings.ToUpper(right[3:])}}, status: 202},
		{name: "512 KiB", post: signedBy(secret, sized(512<<10)), status: 202},

		{name: "no signature", post: post{body: good}, status: 400, message: noHeader},
		{name: "a signature that is too short", post: post{body: good, signed: []string{right[:66]}}, status: 400, message: noHeader},
		{name: "a signature that is no hex", post: post{body: good, signed: []string{"v1=" + strings.Repeat("g", 64)}}, status: 400, message: noHeader},
		{name: "a signature of another version", post: post{body: good, signed: []string{"v2=" + right[3:]}}, status: 400, message: noHeader},
		{name: "signed, but no JSON", post: signedBy(secret, "hello"), status: 400, message: "not a JSON object"},
		{name: "signed, but empty", post: signedBy(secret, ""), status: 400, message: "not a JSON object"},
		{name: "signed, but a list", post: signedBy(secret, "[]"), status: 400, message: "not a JSON object"},
		{name: "signed, but without event", post: signedBy(secret, "{}"), status: 400, message: `object "event"`},
		{name: "signed, but without event.id", post: signedBy(secret, `{"event":{"event_type":"incident.triggered"}}`), status: 400, message: "event.id"},
		{name: "signed, but without event.event_type", post: signedBy(secret, `{"event":{"id":"01X"}}`), status: 400, message: "event.event_type"},
		{name: "another secret", post: post{body: good, signed: []string{wrong}}, status: 403, message: noMatch},
		{name: "the signature of another body", post: post{body: good + " ", signed: []string{right}}, status: 403, message: noMatch},
		{name: "a byte over 512 KiB", post: signedBy(secret, sized(512<<10+1)), status: 413, message: tooLarge},
		{name: "a byte over 512 KiB of undeclared length", post: post{body: sized(512<<10 + 1), stream: true, signed: []string{right}}, status: 413, message: tooLarge},
		{name: "GET", post: post{method: "GET"}, status: 405, message: "method"},
		{name: "PUT", post: post{method: "PUT", body: good, signed: []string{right}}, status: 405, message: "method"},
		{name: "OPTIONS", post: post{method: "OPTIONS"}, status: 405, message: "method"},
		{name: "another path", post: post{path: "/", body: good, signed: []string{right}}, status: 404, message: "nothing is served"},
		{name: "the path with a slash", post: post{path: "/webhooks/pagerduty/"}, status: 404, message: "nothing is served"},

		// The first match wins.
		{name: "path before method", post: post{method: "DELETE", path: "/other"}, status: 404, message: "nothing is served"},
		{name: "method before size", post: post{method: "PUT", body: sized(512<<10 + 1)}, status: 405, message: "method"},
		{name: "size before signature", post: post{body: sized(512<<10 + 1)}, status: 413, message: tooLarge},
		{name: "shape of the signature before the body", post: post{body: "hello"}, status: 400, message: noHeader},
		{name: "signature before the body", post: post{body: "hello", signed: []string{right}}, status: 403, message: noMatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := w.post(c.post)
			if got.status != c.status {
				t.Fatalf("got %d %s, want %d", got.status, got.body, c.status)
			}
			if c.status == http.StatusAccepted {
				if got.body != "" {
					t.Errorf("got body %q, want none", got.body)
				}
				return
			}
			wantRefusal(t, got, c.message)
			if allow := got.header.Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (allow == "POST") {
				t.Errorf("got Allow %q", allow)
			}
			if strings.Contains(got.body, pagerdutytest.Sign(secret, []byte(c.post.body))[3:]) {
				t.Errorf("the answer %s tells the signature", got.body)
			}
		})
	}
	if got := w.counted("unknown", "ignored"); got != "1" {
		t.Errorf("got %s ignored webhooks, want the one of unknown type", got)
	}
	if got := w.counted("service.updated", "malformed"); got != "1" {
		t.Errorf("got %s malformed webhooks, want the one of unknown shape", got)
	}
	if strings.Contains(w.proc.output(), secret) {
		t.Error("the log tells the secret")
	}
}

// wantRefusal checks the form of an error: what is wrong, never what would be right.
func wantRefusal(t *testing.T, got answered, message string) {
	t.Helper()
	var refusal struct{ Error struct{ Message string } }
	if err := json.Unmarshal([]byte(got.body), &refusal); err != nil {
		t.Fatalf("the answer %q is no JSON: %v", got.body, err)
	}
	if !strings.Contains(refusal.Error.Message, message) || message == "" {
		t.Errorf("got message %q, want %q in it", refusal.Error.Message, message)
	}
	if strings.Contains(got.body, secret) {
		t.Errorf("the answer %s tells the secret", got.body)
	}
	if retry := got.header.Get("Retry-After"); (got.status == http.StatusServiceUnavailable) != (retry == "30") {
		t.Errorf("got Retry-After %q with status %d", retry, got.status)
	}
}

func TestAnEventIsProcessedOnceHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`))
	var all sync.WaitGroup
	for range 9 { // side by side
		all.Go(func() {
			a, err := w.try(w.asPagerDuty(&tls.Config{}), signedBy(secret, event("01TWICE", "service.updated")))
			if err != nil || a.status != http.StatusAccepted {
				t.Errorf("got %d, %v; want 202", a.status, err)
			}
		})
	}
	all.Wait()
	w.accepts(event("01TWICE", "service.updated"))
	w.accepts(event("01LATER", "service.updated"))
	w.dispatched("01LATER")
	got := w.proc.find(func(l logLine) bool {
		return l.text("msg") == "webhook dispatched" && l.text("event_id") == "01TWICE"
	})
	if len(got) != 1 {
		t.Errorf("the event was dispatched %d times, want once", len(got))
	}
	if got := w.counted("service.updated", "duplicate"); got != "9" {
		t.Errorf("got %s duplicates, want 9", got)
	}
}

func TestWhatWasAnswered202IsOnDiskWhenPdhookIsKilled(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("dana@example.com", "payments-admin")
	w.opened(id)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang}) // nothing can take effect before the end
	w.comesOnCall(w.dana)
	accepted := make(chan string)
	go func() {
		defer close(accepted)
		client := w.asPagerDuty(&tls.Config{})
		for n := 0; ; n++ {
			body := fmt.Sprintf(`{"event":{"id":"01KILL%d","event_type":"service.updated","data":{"id":%q}}}`, n, w.paymentsAPI.ID)
			a, err := w.try(client, signedBy(secret, body))
			if err != nil {
				return
			}
			if a.status == http.StatusAccepted {
				accepted <- body
			}
		}
	}()
	var kept []string
	for body := range accepted {
		if kept = append(kept, body); len(kept) == 25 {
			go w.proc.kill()
		}
	}
	<-w.proc.exited
	if len(kept) < 25 {
		t.Fatalf("only %d events were accepted", len(kept))
	}
	w.pd.ClearFaults()
	w.start()
	w.reaches(id, types.RequestState_APPROVED)
	for _, body := range kept {
		w.accepts(body)
	}
	if got, want := w.counted("service.updated", "duplicate"), fmt.Sprint(len(kept)); got != want {
		t.Errorf("after the restart %s of %s accepted events are known", got, want)
	}
}

func TestWebhooksWaitForASecretFileThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("webhook-secret")
	w.start()
	good := signedBy(secret, event("01GOOD", "service.updated"))
	for name, p := range map[string]post{"signed": good, "unsigned": {}, "too large": {body: strings.Repeat(" ", 512<<10+1)}} {
		got := w.post(p)
		if got.status != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d, want 503", name, got.status)
		}
		wantRefusal(t, got, "signatures cannot be checked at the moment")
	}
	for want, p := range map[int]post{http.StatusNotFound: {path: "/other"}, http.StatusMethodNotAllowed: {method: "GET"}} {
		if got := w.post(p); got.status != want {
			t.Errorf("got %d, want %d", got.status, want)
		}
	}
	if status, body := w.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "no webhook secret is loaded") {
		t.Errorf("/readyz: got %d %s, want 503 with the reason", status, body)
	}
	id := w.waits() // access requests do not wait for webhooks
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	w.eventually("PagerDuty tries to deliver it", func() bool {
		return slices.ContainsFunc(w.pd.Deliveries(), func(d pagerdutytest.Delivery) bool { return d.Attempts > 1 && d.Status == 503 })
	})
	w.write("webhook-secret", secret)
	w.eventually("pdhook is ready", func() bool {
		status, _ := w.get("/readyz")
		return status == http.StatusOK
	})
	if got := w.post(good); got.status != http.StatusAccepted {
		t.Errorf("got %d, want 202", got.status)
	}
	w.approvedBecauseOf(id, "webhook incident.triggered") // by what PagerDuty tried again
	if w.pd.TemporarilyDisabled(w.sub.ID) {
		t.Error("PagerDuty has given up on the subscription")
	}
}

func TestAWebhookThatMayBeSignedWithAMissingSecretComesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	missing := w.path("next-secret")
	w.conf["webhook.secrets"] = "[" + quote(missing) + "," + quote(w.path("webhook-secret")) + "]"
	w.start()
	const next = "the-next-secret-of-32-characters"
	if got := w.post(signedBy(secret, event("01HERE", "service.updated"))); got.status != http.StatusAccepted {
		t.Errorf("signed with the secret that is there: got %d, want 202", got.status)
	}
	got := w.post(signedBy(next, event("01NEXT", "service.updated")))
	if got.status != http.StatusServiceUnavailable {
		t.Errorf("signed with the missing secret: got %d, want 503", got.status)
	}
	wantRefusal(t, got, "signatures cannot be checked at the moment")
	if status, body := w.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), missing) {
		t.Errorf("/readyz: got %d %s, want 503 with the file", status, body)
	}
	if line := w.proc.says("Webhooks cannot be taken, or not all of them"); line.text("level") != "WARN" || !strings.Contains(line.text("reasons"), missing) {
		t.Errorf("got %v, want a WARN with the file", line)
	}
	w.write("next-secret", next)
	w.proc.says("Webhooks are taken again")
	if got := w.post(signedBy(next, event("01NEXT", "service.updated"))); got.status != http.StatusAccepted {
		t.Errorf("signed with the secret that came: got %d, want 202", got.status)
	}
}

func TestAStoreThatIsTakenAwayEndsPdhook(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("dana@example.com", "payments-admin")
	w.opened(id)
	if err := os.Rename(w.path("store"), w.path("store-aside")); err != nil {
		t.Fatal(err)
	}
	if got, err := w.try(w.asPagerDuty(&tls.Config{}), signedBy(secret, event("01LOST", "service.updated"))); err == nil && got.status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503, as nothing is kept", got.status)
	}
	if code := w.proc.wait(25 * time.Second); code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	var told []string
	for line := range strings.Lines(w.proc.output()) {
		if strings.HasPrefix(line, "pdhook: ") {
			told = append(told, line)
		}
	}
	if len(told) != 1 || !holds(told[0], []string{w.path("store"), "moved or replaced while running", "put the old directory back"}) {
		t.Errorf("got %q, want one line with the path and the way out", told)
	}
	w.start() // with a new store
	w.pd.Acknowledge(w.opened(id).ID, w.kim.ID)
	w.settled()
}

func TestASecretIsRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	const next = "the-next-secret-of-32-characters"
	w := startWorld(t)
	answers := func(key string, want int) {
		t.Helper()
		if got := w.post(signedBy(key, event("01ROTATE", "service.updated"))); got.status != want {
			t.Errorf("signed by %q: got %d, want %d", key, got.status, want)
		}
	}
	answers(next, http.StatusForbidden)

	w.write("next-secret", next)
	w.conf["webhook.secrets"] = "[" + quote(w.path("webhook-secret")) + "," + quote(w.path("next-secret")) + "]"
	w.reload(1)
	answers(secret, http.StatusAccepted)
	answers(next, http.StatusAccepted)

	w.write("webhook-secret", "short")
	w.hangUp()
	w.proc.says("The new configuration is refused, the old one stays")
	answers(secret, http.StatusAccepted)

	w.conf["webhook.secrets"] = "[" + quote(w.path("next-secret")) + "]"
	w.reload(2)
	answers(secret, http.StatusForbidden)
	answers(next, http.StatusAccepted)
}

// reload has pdhook read its configuration again, for the n-th time.
func (w *world) reload(n int) {
	w.t.Helper()
	w.configure()
	w.hangUp()
	w.eventually("the configuration is read again", func() bool {
		return len(w.proc.find(func(l logLine) bool { return l.text("msg") == "The configuration was read again" })) == n
	})
}

func TestWebhooksAreSentAwayWhilePdhookStops(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang, Route: "GET /users"})
	w.request("dana@example.com", "payments-admin")
	w.eventually("the request is being worked on", func() bool {
		return slices.ContainsFunc(w.pd.Requests(), func(r pagerdutytest.Request) bool { return r.Query.Get("query") == w.dana.Email })
	})
	if err := w.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n := 0
	w.eventually("webhooks get 503", func() bool {
		n++
		return w.post(signedBy(secret, event(fmt.Sprintf("01STOP%d", n), "service.updated"))).status == http.StatusServiceUnavailable
	})
	got := w.post(post{body: strings.Repeat(" ", 512<<10+1)})
	if got.status != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503 before all else", got.status)
	}
	wantRefusal(t, got, "shutting down")
	if got := w.post(post{path: "/other"}); got.status != http.StatusNotFound {
		t.Errorf("got %d, want 404", got.status)
	}
	if status, body := w.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(string(body), "shutting down") {
		t.Errorf("/readyz: got %d %s", status, body)
	}
	w.pd.ClearFaults()
	if code := w.proc.wait(25 * time.Second); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
}
