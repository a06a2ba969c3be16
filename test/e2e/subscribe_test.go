package e2e

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

const (
	creatingSubscription = "POST /webhook_subscriptions"
	updatingSubscription = "PUT /webhook_subscriptions/{id}"
	deletingSubscription = "DELETE /webhook_subscriptions/{id}"
	pingingSubscription  = "POST /webhook_subscriptions/{id}/ping"
)

// unsubscribed is a world without a subscription to pdhook and without a signing secret.
func unsubscribed(w *world) {
	w.pd.UseWebhookTLS(&tls.Config{RootCAs: w.roots})
	w.remove("webhook-secret")
	w.sub = w.pd.Subscribe(pagerdutytest.Subscription{URL: "https://elsewhere.example.com/hook", Events: webhook.EventTypes(), Description: "not ours"})
}

// hook is where PagerDuty reaches pdhook.
func (w *world) hook() string { return "https://" + w.endpoint() + "/webhooks/pagerduty" }

// subscribes runs pdhook subscribe beside what runs.
func (w *world) subscribes(flags ...string) (code int, out string) {
	w.t.Helper()
	t := w.t.(*testing.T)
	code, out = run(t, w.env, slices.Concat([]string{"subscribe", "--config", w.configure()}, flags)...)
	for _, s := range w.pd.Subscriptions() {
		if strings.Contains(out, s.Secret) {
			t.Error("a signing secret is printed")
		}
	}
	return code, out
}

// says runs pdhook subscribe, which has to end with the code and say the words in this order.
func (w *world) subscribeSays(code int, flags []string, words ...string) string {
	w.t.Helper()
	got, out := w.subscribes(flags...)
	if got != code {
		w.t.Fatalf("got exit code %d, want %d:\n%s", got, code, out)
	}
	rest := out
	for _, word := range words {
		_, after, found := strings.Cut(rest, word)
		if !found {
			w.t.Errorf("got\n%s\nwant %q in it, in order", out, words)
			break
		}
		rest = after
	}
	return out
}

// ours gives the subscriptions that lead to pdhook.
func (w *world) ours() []pagerdutytest.Subscription {
	return slices.DeleteFunc(w.pd.Subscriptions(), func(s pagerdutytest.Subscription) bool { return s.URL != w.hook() })
}

// theOne checks that one subscription leads to pdhook, is in use, and that the file holds its secret alone.
func (w *world) theOne() pagerdutytest.Subscription {
	w.t.Helper()
	s := w.theOneInUse()
	if w.read("webhook-secret") != s.Secret+"\n" {
		w.t.Errorf("the file does not hold the secret of %s alone", s.ID)
	}
	return s
}

// theOneInUse is theOne but for the secrets that the file may hold beside.
func (w *world) theOneInUse() pagerdutytest.Subscription {
	w.t.Helper()
	all := w.ours()
	if len(all) != 1 {
		w.t.Fatalf("%d subscriptions lead to pdhook, want one", len(all))
	}
	s := all[0]
	if s.Inactive || s.Description != "pdhook" || w.pd.TemporarilyDisabled(s.ID) || !slices.Equal(s.Events, webhook.EventTypes()) {
		w.t.Errorf("got the subscription %s (%q), inactive %t, with %q", s.ID, s.Description, s.Inactive, s.Events)
	}
	return s
}

// pings gives how many test events pdhook has accepted.
func (w *world) pings() int {
	_, body := w.get("/api/v1/webhooks?limit=1000")
	return strings.Count(string(body), `"pagey.ping"`)
}

func TestFromNoSubscriptionToWebhooksThatTakeEffect(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	if status, _ := w.get("/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("got /readyz %d without a secret", status)
	}
	out := w.subscribeSays(0, []string{"--url", w.hook()},
		"Created webhook subscription", "Wrote its signing secret to "+w.path("webhook-secret"), "The running pdhook has read", "Switched it on", "test ping: it arrived")
	s := w.theOne()
	if info, err := os.Stat(w.path("webhook-secret")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got the file %v, %v, want mode 0600", info, err)
	}
	w.takesWebhooks()
	w.shownSubscription("that all is well", func(shown subscriptionStatus) bool { return shown.Problem == "" && shown.ID == s.ID })
	id := w.request(w.dana.Email, "payments-admin")
	w.opened(id)
	w.decided(id)
	w.comesOnCall(w.dana)
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	w.approvedBecauseOf(id, "webhook incident.triggered")

	writes := func() int { return w.pd.CountRequests(creatingSubscription) + w.pd.CountRequests(updatingSubscription) }
	before := writes()
	w.subscribeSays(0, []string{"--url", w.hook()}, "Webhook subscription "+s.ID+" is as it should be", "test ping: it arrived")
	if w.theOne().ID != s.ID || writes() != before || w.pings() != 2 {
		t.Errorf("the second run made %d changes, and there are %d pings", writes()-before, w.pings())
	}
	if strings.Contains(w.proc.output(), s.Secret) {
		t.Error("the signing secret is logged")
	}
	t.Logf("what a user sees:\n%s", out)
}

func TestSubscribingBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, unsubscribed)
	admin := w.conf["admin.listen"]
	w.conf["admin.listen"] = quote("127.0.0.1:1")
	w.subscribeSays(0, []string{"--url", w.hook()}, "Created", "Switched it on", "not tested: pdhook is not running", "Start pdhook, then run this again")
	s := w.ours()[0]
	if s.Inactive || w.read("webhook-secret") != s.Secret+"\n" {
		t.Errorf("got %s, inactive %t, want it in use with its secret in the file", s.ID, s.Inactive)
	}
	w.conf["admin.listen"] = admin
	w.start()
	w.takesWebhooks()
	w.subscribeSays(0, []string{"--url", w.hook()}, "as it should be", "test ping: it arrived")
	w.theOne()
}

func TestTheResultOfSubscribeAsJSON(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	type result struct {
		ID        string `json:"subscription_id"`
		URL       string
		Filter    string
		File      string `json:"secret_file"`
		Tested    bool
		Done      []string
		NotUndone []string `json:"not_undone"`
	}
	run := func(want int, flags ...string) (r result) {
		code, out := w.subscribes(append(flags, "--url", w.hook(), "--json")...)
		text, _, _ := strings.Cut(out, "\npdhook: ")
		if err := json.Unmarshal([]byte(text), &r); err != nil || code != want {
			t.Fatalf("got exit code %d and %v: %s", code, err, out)
		}
		return r
	}
	r := run(0, "--filter", "service:payments api")
	s := w.theOne()
	if r.ID != s.ID || r.URL != w.hook() || r.Filter != "service:id:"+w.paymentsAPI.ID || r.File != w.path("webhook-secret") || !r.Tested || len(r.Done) < 5 || r.NotUndone == nil {
		t.Errorf("got %+v", r)
	}
	if s.Service != w.paymentsAPI.ID {
		t.Errorf("the subscription is for service %q, want %s", s.Service, w.paymentsAPI.ID)
	}
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: pingingSubscription, Status: http.StatusForbidden})
	if r := run(1); r.Tested || r.ID != s.ID {
		t.Errorf("got %+v after a ping that was refused", r)
	}
}

func TestARotationUnderAStreamOfWebhooksHasNoneRefused(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
	old := w.theOne()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				w.pd.AddIncident(w.search.ID, pagerdutytest.IncidentOptions{Title: "Search is slow"})
			}
		}
	}()
	w.subscribeSays(0, []string{"--url", w.hook(), "--rotate"},
		"Created", "Switched it on beside webhook subscription "+old.ID, "test ping: it arrived", "Deleted webhook subscription "+old.ID, "Removed the old signing secret")
	close(stop)
	<-stopped
	now := w.theOne()
	if now.ID == old.ID || now.Secret == old.Secret {
		t.Error("subscription and secret are the old ones")
	}
	w.eventually("PagerDuty has delivered all", func() bool {
		return !slices.ContainsFunc(w.pd.Deliveries(), func(d pagerdutytest.Delivery) bool {
			return d.Subscription == now.ID && d.State == pagerdutytest.Queued
		})
	})
	arrived, by := map[string]bool{}, map[string]int{}
	for _, d := range w.pd.Deliveries() {
		if d.Subscription == w.sub.ID {
			continue // elsewhere
		}
		arrived[d.EventID] = arrived[d.EventID] || d.State == pagerdutytest.Delivered
		if d.Status != 0 && d.Status != http.StatusAccepted {
			t.Errorf("%s through %s was answered %d", d.EventType, d.Subscription, d.Status)
		}
		by[d.Subscription]++
	}
	for event, did := range arrived {
		if !did {
			t.Errorf("event %s did not arrive", event)
		}
	}
	if by[old.ID] < 10 || by[now.ID] < 10 {
		t.Errorf("the stream went through the subscriptions like this: %v", by)
	}
	if got := w.pd.Subscriptions(); len(got) != 2 || got[0].Description != "not ours" {
		t.Errorf("got %d subscriptions, want the other one left alone", len(got))
	}
}

func TestWithoutAPingThatArrivesSubscribeUndoesWhatItDid(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	nobody := "https://127.0.0.1:1/hook"
	before := w.pd.Subscriptions()
	undone := func() {
		t.Helper()
		if got := w.pd.Subscriptions(); len(got) != len(before) || w.read("webhook-secret") != "" {
			t.Errorf("got %d subscriptions, want %d, and no secret", len(got), len(before))
		}
	}
	w.subscribeSays(1, []string{"--url", nobody, "--wait", "1s"}, "does not end in /webhooks/pagerduty", "Switched it on",
		"Undone: webhook subscription", "Undone: "+w.path("webhook-secret"), "no test ping arrived", "PagerDuty sends to "+nobody, "public DNS", "certificate", "ingress", "replicas")
	undone()

	for i, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		p := launch(t, w.env, "subscribe", "--config", w.configure(), "--url", nobody, "--wait", "10m")
		w.eventually("it waits for the ping", func() bool { return w.pd.CountRequests(pingingSubscription) == 3+i }) // two of the first run
		if err := p.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(patience); code != 1 || !strings.Contains(p.output(), "Undone: webhook subscription") {
			t.Errorf("%v: got exit code %d:\n%s", sig, code, p.output())
		}
		undone()
	}
}

func TestASubscribeWhoseOutputNobodyReadsGoesOnToItsEnd(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	p := launch(t, w.env, "subscribe", "--config", w.configure(), "--url", w.hook())
	p.leaveAlone()
	if code := p.wait(2 * patience); code != 0 {
		t.Errorf("got exit code %d", code)
	}
	w.theOne()
}

func TestASubscribeThatPagerDutyOrItsCallerStopsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	url := "https://127.0.0.1:8081/webhooks/pagerduty"
	for _, c := range []struct {
		name  string
		set   setting
		flags []string
		words []string
	}{
		{"ten subscriptions already", func(w *world) {
			for range 9 {
				w.pd.Subscribe(pagerdutytest.Subscription{URL: "https://elsewhere.example.com/hook", Events: webhook.EventTypes()})
			}
		}, nil, []string{"2019", "allows 10 webhook subscriptions", "--filter"}},
		{"a key without the right", func(w *world) {
			w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Route: creatingSubscription, Status: http.StatusForbidden})
		}, nil, []string{"403", "webhook_subscriptions.read and .write", "Manager", "Admin or Owner"}},
		{"an unknown service", func(*world) {}, []string{"--filter", "service:Payment"}, []string{`"Payment"`, "not found", "--filter service:id:ID"}},
		{"an unknown team", func(*world) {}, []string{"--filter", "team:id:PGONE"}, []string{"PGONE", "not found"}},
		{"a team name that two have", func(w *world) { w.pd.AddTeam("Core"); w.pd.AddTeam("core") }, []string{"--filter", "team:Core"}, []string{"ambiguous", "--filter team:id:ID"}},
		{"a file that pdhook does not read", func(*world) {}, []string{"--secret-file", "/tmp/other"}, []string{"/tmp/other is none of webhook.secrets", "webhook-secret"}},
		{"a secret in the configuration", with("webhook.secrets", `["a-signing-secret-in-the-file"]`), nil, []string{"webhook.secrets holds the signing secret itself"}},
		{"a directory that is not there", func(w *world) { w.conf["webhook.secrets"] = "[" + quote(w.path("nowhere/secret")) + "]" }, nil, []string{"nothing was changed", "nowhere: no such file"}},
		{"nothing to rotate", func(*world) {}, []string{"--rotate"}, []string{"none to rotate"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, unsubscribed, with("admin.listen", `"127.0.0.1:1"`), c.set)
			before := len(w.pd.Subscriptions())
			w.subscribeSays(1, append(c.flags, "--url", url), c.words...)
			if len(w.pd.Subscriptions()) != before || w.read("webhook-secret") != "" {
				t.Error("something was changed")
			}
		})
	}
}

func TestADryRunDoesNotKeepAPersonFromSubscribing(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed, with("policy.dry_run", "true"))
	w.subscribeSays(0, []string{"--url", w.hook()}, "Created", "test ping: it arrived")
	w.theOne()
}

func TestTheTokenOfTheRunningServiceIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, unsubscribed)
	w.write("token", "a-token-of-the-admin")
	w.conf["admin.token"], w.token = quote(w.path("token")), "a-token-of-the-admin"
	w.start()
	w.subscribeSays(0, []string{"--url", w.hook()}, "Created", "test ping: it arrived")
	w.write("token", "a-token-of-somebody-else")
	w.subscribeSays(1, []string{"--url", w.hook()}, "asks for another token")
}

func TestASubscriptionThatLostItsSecretIsRotated(t *testing.T) {
	t.Parallel()
	w := startWorld(t, unsubscribed)
	w.subscribeSays(0, []string{"--url", w.hook()}, "test ping: it arrived")
	old := w.theOne()
	w.remove("webhook-secret")
	w.subscribeSays(1, []string{"--url", w.hook()}, old.ID, "shows a signing secret only once", "--rotate")
	w.subscribeSays(0, []string{"--url", w.hook(), "--rotate"}, "Created", "Deleted webhook subscription "+old.ID)
	if w.theOne().ID == old.ID {
		t.Error("it is the old one")
	}
}

func TestACreationWhoseAnswerIsLostMakesOneSubscription(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]pagerdutytest.FaultKind{"connection reset": pagerdutytest.ResetAfter, "503": pagerdutytest.StatusAfter, "no use": pagerdutytest.EmptyObject} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, unsubscribed)
			w.pd.Fault(pagerdutytest.Fault{Kind: kind, Status: http.StatusServiceUnavailable, Route: creatingSubscription, Times: 1})
			w.subscribeSays(0, []string{"--url", w.hook()}, "had left unfinished", "Created", "test ping: it arrived")
			w.theOne()
			for _, s := range w.pd.Subscriptions() {
				if s.Description == access.UnfinishedSubscription {
					t.Errorf("subscription %s is left", s.ID)
				}
			}
		})
	}
}

// takesWebhooks waits until /readyz is 200.
func (w *world) takesWebhooks() {
	w.t.Helper()
	w.eventually("pdhook can take webhooks", func() bool {
		status, _ := w.get("/readyz")
		return status == http.StatusOK
	})
}
