package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

const (
	listing  = "GET /webhook_subscriptions"
	enabling = "POST /webhook_subscriptions/{id}/enable"
)

// subscriptionStatus is what /status shows of the subscription.
type subscriptionStatus struct {
	ID       string
	URL      string
	Active   bool
	Disabled bool     `json:"temporarily_disabled"`
	Missing  []string `json:"missing_event_types"`
	Problem  string
	LastLook string `json:"last_look"`
}

// shownSubscription waits until a look is over after which /status shows the subscription in the wanted way.
func (w *world) shownSubscription(what string, wanted func(subscriptionStatus) bool) (s subscriptionStatus) {
	w.t.Helper()
	w.eventually("/status shows of the subscription "+what, func() bool {
		var all struct {
			Webhook struct{ Subscription subscriptionStatus }
		}
		if _, body := w.get("/status"); json.Unmarshal(body, &all) != nil {
			return false
		}
		s = all.Webhook.Subscription
		return s.LastLook != "" && wanted(s)
	})
	return s
}

// count gives the log lines with a message.
func (p *process) count(message string) int {
	return len(p.find(func(l logLine) bool { return l.text("msg") == message }))
}

const (
	enabledAgain   = "PagerDuty had disabled the webhook subscription; it is enabled again"
	needsAttention = "The webhook subscription needs attention"
)

func TestASubscriptionThatPagerDutyDisabledIsEnabledAndWhatWasMissedTakesEffect(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request(w.dana.Email, "payments-admin")
	incident := w.opened(id)
	w.decided(id)
	w.settled()
	w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) { s.Secret = "not the one that pdhook has been given" })
	for range 3 {
		w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	}
	w.eventually("PagerDuty disables the subscription", func() bool { return w.pd.TemporarilyDisabled(w.sub.ID) })
	w.pd.ChangeSubscription(w.sub.ID, func(s *pagerdutytest.Subscription) { s.Secret = secret })

	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang, Route: enabling})
	w.looksAgain(incident.ID, w.hangUp) // dana is not on call yet
	w.eventually("pdhook enables the subscription", func() bool { return w.pd.CountRequests(enabling) == 1 })
	w.comesOnCall(w.dana)
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"}) // of which PagerDuty tells nobody
	w.pd.ClearFaults()
	w.approvedBecauseOf(id, "webhooks were lost")
	if line := w.proc.says(enabledAgain); line.text("level") != "WARN" || line.text("subscription_id") != w.sub.ID || !strings.Contains(line.text("hint"), "webhook.secrets") {
		t.Errorf("got the line %v", line)
	}
	w.shownSubscription("that all is well", func(s subscriptionStatus) bool { return s.Problem == "" && s.Active && !s.Disabled })

	late := w.request(w.sam.Email, "payments-admin") // and webhooks come again
	w.opened(late)
	w.decided(late)
	w.comesOnCall(w.sam)
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	w.approvedBecauseOf(late, "webhook incident.triggered")
	if got := w.proc.count(enabledAgain); got != 1 {
		t.Errorf("it is told %d times", got)
	}
}

func TestASubscriptionIsEnabledAtTheStartAlsoWhenTheAnswerIsLost(t *testing.T) {
	for name, faults := range map[string][]pagerdutytest.Fault{
		"answered":             nil,
		"the answer is lost":   {{Kind: pagerdutytest.ResetAfter, Route: enabling, Times: 1}},
		"the answer is a 503":  {{Kind: pagerdutytest.StatusAfter, Status: 503, Route: enabling, Times: 1}},
		"the answer is no use": {{Kind: pagerdutytest.HTML, Route: enabling, Times: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.subscribe()
			w.pd.DisableSubscription(w.sub.ID)
			for _, f := range faults {
				w.pd.Fault(f)
			}
			w.start()
			w.proc.says(enabledAgain)
			w.shownSubscription("that all is well", func(s subscriptionStatus) bool { return s.Problem == "" && !s.Disabled })
			if w.pd.TemporarilyDisabled(w.sub.ID) || w.pd.CountRequests(enabling) != 1 || w.proc.count(enabledAgain) != 1 {
				t.Errorf("got %d writes, %d lines, disabled: %v", w.pd.CountRequests(enabling), w.proc.count(enabledAgain), w.pd.TemporarilyDisabled(w.sub.ID))
			}
			if w.proc.count(needsAttention) > 0 {
				t.Error("trouble is told that is over")
			}
		})
	}
}

func TestWhatPdhookCannotMendOnTheSubscriptionIsToldOnceAndLeftAsItIs(t *testing.T) {
	for _, c := range []struct {
		name    string
		setting setting
		level   string
		problem string // in the log line and in /status
		hint    string
		writes  bool // of which PagerDuty refuses all
	}{
		{"its owner has switched it off", subscribed(func(s *pagerdutytest.Subscription) { s.Inactive = true }), "WARN", "switched off (active is false)", "its owner", false},
		{"event types are missing", subscribed(func(s *pagerdutytest.Subscription) {
			s.Events = []string{"incident.triggered", "incident.resolved", "incident.annotated"}
		}), "WARN", "lacks event types that pdhook uses: incident.acknowledged,", "adds them", false},
		{"it leads elsewhere", subscribed(func(s *pagerdutytest.Subscription) { s.URL = "https://other.example.com/hook" }), "WARN", "none of the 1 webhook subscriptions", "another account or region", false},
		{"the key may not enable it", func(w *world) {
			w.subscribe()
			w.pd.DisableSubscription(w.sub.ID)
			w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusForbidden, Route: enabling})
		}, "ERROR", "may not enable it", "webhook_subscriptions.write", true},
		{"the key may not read it", func(w *world) {
			w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusForbidden, Route: listing})
		}, "INFO", "cannot be read", "webhook_subscriptions.read", false},
		{"a dry run", func(w *world) {
			w.conf["policy.dry_run"] = "true"
			w.subscribe()
			w.pd.DisableSubscription(w.sub.ID)
		}, "WARN", "a dry run enables nothing", "enable it in PagerDuty", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, c.setting)
			line := w.proc.says(needsAttention)
			if line.text("level") != c.level || !strings.Contains(line.text("problem"), c.problem) || !strings.Contains(line.text("hint"), c.hint) {
				t.Errorf("got the line %v", line)
			}
			shown := w.shownSubscription("the problem", func(s subscriptionStatus) bool { return strings.Contains(s.Problem, c.problem) })
			looks := w.pd.CountRequests(listing)
			w.hangUp()
			w.shownSubscription("another look", func(s subscriptionStatus) bool {
				return w.pd.CountRequests(listing) > looks && s.LastLook != shown.LastLook
			})
			if got := w.proc.count(needsAttention); got != 1 {
				t.Errorf("it is told %d times", got)
			}
			for _, r := range w.pd.Requests() {
				if strings.HasPrefix(r.Path, "/webhook_subscriptions") && r.Method != http.MethodGet && !c.writes {
					t.Errorf("pdhook sent %s %s", r.Method, r.Path)
				}
			}
			if s := w.status(); s.PagerDuty.LastError != "" || !s.PagerDuty.Reachable {
				t.Errorf("it counts as trouble with PagerDuty: %+v", s.PagerDuty)
			}
			w.shownSubscription("the problem still", func(s subscriptionStatus) bool { return s.Problem == shown.Problem })
		})
	}
}

// subscribed changes the subscription before pdhook starts.
func subscribed(change func(*pagerdutytest.Subscription)) setting {
	return func(w *world) {
		w.subscribe()
		w.pd.ChangeSubscription(w.sub.ID, change)
		w.sub = w.pd.Subscriptions()[0]
	}
}

func TestThePasswordInTheSubscriptionsURLIsToldNowhere(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`), subscribed(func(s *pagerdutytest.Subscription) {
		s.URL = strings.Replace(s.URL, "https://", "https://hook:pa55word@", 1) + "?token=t0ken"
		s.Events = s.Events[:1]
	}))
	shown := w.shownSubscription("the missing event types", func(s subscriptionStatus) bool { return len(s.Missing) > 0 })
	if !strings.HasPrefix(shown.URL, "https://127.0.0.1:") || !strings.HasSuffix(shown.URL, "/webhooks/pagerduty") {
		t.Errorf("got the URL %q", shown.URL)
	}
	_, status := w.get("/status")
	for _, word := range []string{"pa55word", "t0ken"} {
		if strings.Contains(string(status), word) || strings.Contains(w.proc.output(), word) {
			t.Errorf("%s is told", word)
		}
	}
}

func TestASubscriptionOfAnotherPdhookIsLeftAloneOnceItIsKnownWhichOneDelivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	foreign := w.pd.Subscribe(pagerdutytest.Subscription{
		URL: "https://staging.example.com/webhooks/pagerduty", Service: w.search.ID, Events: []string{"incident.resolved"},
	})
	w.start()
	w.shownSubscription("the other", func(s subscriptionStatus) bool { return s.ID == foreign.ID }) // nobody knows yet that it is not ours
	incident := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	w.delivered("incident.triggered", incident.ID)
	w.hangUp()
	w.shownSubscription("ours alone", func(s subscriptionStatus) bool { return s.ID == w.sub.ID && s.Problem == "" })
	w.pd.DisableSubscription(foreign.ID)
	w.pd.DisableSubscription(w.sub.ID)
	w.hangUp()
	w.eventually("ours is enabled", func() bool { return !w.pd.TemporarilyDisabled(w.sub.ID) })
	w.proc.says(enabledAgain)
	if !w.pd.TemporarilyDisabled(foreign.ID) {
		t.Error("the other is enabled, too")
	}
}
