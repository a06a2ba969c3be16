package e2e

import (
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// pending is a reason why a request is not decided yet.
type pending struct {
	why  string
	with []setting
	make func(w *world) (request string) // once pdhook runs

	headline string // that the page gives it
	sentence string // and the reason, which explain gives too
	remedy   string // what would make it approvable, by both; "" when nothing would
}

const (
	kimMail, danaMail, leeMail = "kim@example.com", "dana@example.com", "lee@example.com"

	isNot     = "Not approved automatically: "
	isUnclear = "Could not be evaluated: "
)

func TestThePageTellsWhyARequestStillWaits(t *testing.T) {
	for _, p := range []pending{
		{why: "not on call", make: asking(danaMail, "payments-admin"),
			headline: isNot, sentence: "dana@example.com is not on call for Payments API: level 1 is kim@example.com",
			remedy: "dana@example.com comes on call for the escalation policy of Payments API: no shift is announced"},
		{why: "the shift starts later",
			make: func(w *world) string {
				w.pd.SetOnCall(w.primary.ID, w.dana.ID, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
				return w.request(danaMail, "payments-admin")
			},
			headline: isNot, sentence: "dana@example.com is not on call for Payments API, next from", remedy: "the next shift starts"},
		{why: "on call too far behind", make: reloads("policy.max_escalation_level", "1", asking(leeMail, "payments-admin")),
			headline: isNot, sentence: "lee@example.com is on call for Payments API only at level 2, at most 1 is allowed", remedy: "comes on call for the escalation policy of Payments API at level 1"},
		{why: "no PagerDuty user", make: asking("nobody@example.com", "payments-admin"),
			headline: isNot, sentence: "PagerDuty knows no user with the login e-mail nobody@example.com", remedy: "somebody gives PagerDuty a user with the login e-mail nobody@example.com"},
		{why: "a service that is not there", make: names("pagerduty_services", "Payment API"),
			headline: isNot, sentence: `PagerDuty knows no service "Payment API"`, remedy: "an admin corrects the name in the annotation pagerduty_services"},
		{why: "two schedules of one name",
			make: func(w *world) string {
				w.pd.AddShiftSchedule("Payments primary")
				return names("pagerduty_schedules", "Payments primary")(w)
			},
			headline: isUnclear, sentence: `the schedule "Payments primary" could not be read`, remedy: "an admin writes which schedule is meant into the annotation pagerduty_schedules: id:"},
		{why: "a role that names nothing to be on call for", make: asking(kimMail, "payments-notify-only"),
			headline: isNot, sentence: "the requested role names no service or schedule to be on call for", remedy: "an admin adds the annotation pagerduty_services or pagerduty_schedules"},
		{why: "a role that only people approve", make: reloads("policy.auto_approve_roles", `["other"]`, asking(kimMail, "payments-admin")),
			headline: isNot, sentence: "role payments-admin is not among the roles that are approved automatically", remedy: "an admin adds payments-admin to policy.auto_approve_roles"},
		{why: "no incident", make: reloads("policy.require_incident", `"open"`, asking(kimMail, "payments-admin")),
			headline: isNot, sentence: "no incident is open on Payments API", remedy: "an incident opens on Payments API, by an alert or somebody else than kim@example.com"},
		{why: "an incident that the requester has not acknowledged", with: []setting{with("policy.require_incident", `"acknowledged"`)},
			make: func(w *world) string {
				w.alert(w.paymentsAPI)
				return w.request(kimMail, "payments-admin")
			},
			headline: isNot, sentence: "is not acknowledged by kim@example.com", remedy: "kim@example.com acknowledges incident"},
		{why: "access for too long", make: reloads("policy.max_access", `"1h"`, asking(kimMail, "payments-admin")),
			headline: isNot, sentence: "at most 1h from now is allowed", remedy: "a new request"},
		{why: "access that starts later",
			make: func(w *world) string {
				return w.teleport.CreateRequest(teleporttest.Request{User: kimMail, Roles: []string{"payments-admin"}, AssumeStart: time.Now().Add(time.Hour)})
			},
			headline: isNot, sentence: "the access starts later, at"},
		{why: "somebody has denied it", with: []setting{with("policy.require_incident", `"open"`)},
			make: func(w *world) string {
				id := w.teleport.CreateRequest(teleporttest.Request{User: kimMail, Roles: []string{"payments-admin"}, Thresholds: []types.AccessReviewThreshold{{Approve: 1, Deny: 2}}})
				if err := w.teleport.Review(id, leeMail, types.RequestState_DENIED, "not tonight"); err != nil {
					w.t.Fatal(err)
				}
				w.alert(w.paymentsAPI)
				return id
			},
			headline: isNot, sentence: "lee@example.com has denied the request"},
		{why: "PagerDuty is away",
			make: func(w *world) string {
				w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: 503, Route: "GET /oncalls"})
				w.t.Cleanup(w.pd.ClearFaults)
				return w.request(kimMail, "payments-admin")
			},
			headline: isUnclear, sentence: "who is on call for Payments API could not be read", remedy: "PagerDuty answers; pdhook asks again by itself"},
		{why: "PagerDuty refuses the key",
			make: func(w *world) string {
				w.write("api-key", "a-key-of-yesterday")
				w.hangUp()
				w.proc.says("The configuration was read again")
				return w.request(kimMail, "payments-admin")
			},
			headline: isUnclear, sentence: "PagerDuty refused the API key"},
		{why: "a key of another account", make: reloads("pagerduty.account", `"globex"`, asking(kimMail, "payments-admin")),
			headline: isNot, sentence: "the API key belongs to account acme, pagerduty.account is globex", remedy: "an admin sets pagerduty.api_key to a key of account globex"},
		{why: "Teleport wants more reviews",
			make: func(w *world) string {
				return w.teleport.CreateRequest(teleporttest.Request{User: kimMail, Roles: []string{"payments-admin"}, Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
			},
			headline: "Reviewed automatically, but more approvals are needed", sentence: "kim@example.com is on call for Payments API"},
		{why: "Teleport refuses the review",
			make: func(w *world) string {
				w.teleport.Deny(bot, teleporttest.ReviewRequests)
				return w.request(kimMail, "payments-admin")
			},
			headline: "Qualifies, but is not approved: ", sentence: "Teleport refuses pdhook's review", remedy: "an admin lets the Teleport role of pdhook review payments-admin"},
		{why: "a dry run", make: reloads("policy.dry_run", "true", asking(kimMail, "payments-admin")),
			headline: "Would be approved automatically, but this is a dry run: kim@example.com", sentence: "kim@example.com is on call for Payments API"},
	} {
		t.Run(p.why, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, p.with...)
			w.configure() // with the ports that were found
			id := p.make(w)
			w.reads(p.headline, p.sentence)
			w.explained(id, "is pending", p.sentence)
			if p.remedy != "" {
				w.reads("Approvable once ", p.remedy)
				w.explained(id, "→ ", p.remedy)
			}
			w.stays(id)
		})
	}
}

// asking has a user ask for a role.
func asking(user, role string) func(*world) string {
	return func(w *world) string { return w.request(user, role) }
}

// reloads changes a key of the running pdhook first.
func reloads(key, value string, then func(*world) string) func(*world) string {
	return func(w *world) string {
		w.reconfigure(key, value)
		w.proc.says("The configuration was read again")
		return then(w)
	}
}

// names has kim ask for a role with this annotation alone.
func names(annotation, value string) func(*world) string {
	return func(w *world) string {
		w.teleport.SetRole("certain", map[string][]string{annotation: {value}})
		return w.request(kimMail, "certain")
	}
}

var (
	unseen = regexp.MustCompile(`(?s)<(script|style)\b.*?</(script|style)>`)
	markup = regexp.MustCompile(`<[^>]*>`)
)

// reads waits until the texts stand on the status page as a person reads it.
func (w *world) reads(texts ...string) {
	w.t.Helper()
	seen := ""
	w.t.Cleanup(func() {
		if w.t.Failed() {
			w.t.Logf("the page when it was looked for %q:\n%s", texts, seen)
		}
	})
	w.eventually("the page tells "+strings.Join(texts, ", "), func() bool {
		_, page := w.get("/")
		plain := html.UnescapeString(markup.ReplaceAllString(unseen.ReplaceAllString(string(page), " "), " "))
		seen = strings.Join(strings.Fields(plain), " ")
		for _, text := range texts {
			if !strings.Contains(seen, strings.TrimSpace(text)) {
				return false
			}
		}
		return true
	})
}
