package policy

import (
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestDecision(t *testing.T) {
	decides(t, []row{
		{"on call for the named service: approved", func(*situation) {}, access.Approve, onCallSince},

		{"user: e-mail in other case", func(s *situation) { s.Request.User = "Alice@Example.COM" }, access.Approve,
			"Alice@Example.COM is on call for payments (level 1, since 2026-03-01T02:00:00Z)"},
		{"user: a letter that folds outside ASCII is another", func(s *situation) { s.Request.User = "ALICE@EXAMPLE.COM"; s.User.Value.Email = "alıce@example.com" },
			access.CouldNotTell, "PagerDuty answered with another user than ALICE@EXAMPLE.COM"},
		{"user: name that is no e-mail", func(s *situation) { s.Request.User, s.User = "alice", access.Fact[access.User]{} }, access.No,
			"user name alice is no e-mail address, and the role has no annotation email"},
		{"user: annotated e-mail where the name is none", func(s *situation) { s.Request.User = "alice"; s.annotate("email", "alice@example.com") },
			access.Approve, onCallSince},
		{"user: annotated e-mail alone counts, without fall-back", func(s *situation) {
			s.annotate("email", "alice@corp.example.com")
			s.User = notFound[access.User]()
		}, access.No, "PagerDuty knows no user with the login e-mail alice@corp.example.com"},
		{"user: two annotated e-mails", func(s *situation) { s.annotate("email", "alice@example.com", "bob@example.com") }, access.CouldNotTell,
			"annotation email holds 2 e-mail addresses, one is expected"},
		{"user: annotation present but empty", func(s *situation) { s.annotate("email", " ") }, access.CouldNotTell,
			"annotation email holds 0 e-mail addresses, one is expected"},
		{"user: one e-mail annotated twice", func(s *situation) { s.annotate("email", "alice@example.com", " ALICE@example.com") }, access.Approve, onCallSince},
		{"user: unknown to PagerDuty", func(s *situation) { s.User = notFound[access.User]() }, access.No,
			"PagerDuty knows no user with the login e-mail alice@example.com"},
		{"user: could not be read", func(s *situation) { s.User = unknown[access.User](errDown) }, access.CouldNotTell,
			"the PagerDuty user alice@example.com could not be read: PagerDuty answers 503"},
		{"user: was not read", func(s *situation) { s.User = access.Fact[access.User]{Value: alice} }, access.CouldNotTell,
			"the PagerDuty user alice@example.com was not read"},
		{"user: ambiguous", func(s *situation) {
			s.User = unknown[access.User](&access.AmbiguousError{Kind: "user", Name: "alice@example.com", IDs: []string{"U1", "U2"}})
		}, access.CouldNotTell, `the PagerDuty user alice@example.com could not be read: user "alice@example.com" is ambiguous: U1, U2`},
		{"user: PagerDuty answers with another", func(s *situation) { s.User = known(bob) }, access.CouldNotTell,
			"PagerDuty answered with another user than alice@example.com"},
		{"user: PagerDuty answers without an ID", func(s *situation) { s.User.Value.ID = "" }, access.CouldNotTell,
			"PagerDuty answered with another user than alice@example.com"},

		{"roles: on the list", func(s *situation) { s.AutoApproveRoles = []string{"ops", "dev"} }, access.Approve, onCallSince},
		{"roles: not on the list", func(s *situation) { s.AutoApproveRoles = []string{"Dev"} }, access.No,
			"role dev is not among the roles that are approved automatically"},
		{"roles: one of two not on the list", func(s *situation) {
			s.Request.Roles, s.AutoApproveRoles = []string{"dev", "root"}, []string{"dev"}
		}, access.No, "role root is not among the roles that are approved automatically"},
		{"roles: a list without entries approves none", func(s *situation) { s.AutoApproveRoles = []string{} }, access.No,
			"role dev is not among the roles that are approved automatically"},
		{"roles: none requested", func(s *situation) { s.Request.Roles = nil }, access.No, "the request names no role"},
		{"roles: several, on call for every service", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.bothServices()
			s.onCall(shift(), shift(of("PSHIP")))
		}, access.Approve, onCallSince},
		{"roles: several, on call for one service of two", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.bothServices()
		}, access.No, "a request for several roles must qualify for every service and schedule they name (alice@example.com is not on call for shipping); ask for one role per request"},
		{"roles: several, one service could not be read", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.bothServices()
			s.Services()[1].Fact = unknown[access.Service](errDown)
		}, access.CouldNotTell, `a request for several roles must qualify for every service and schedule they name (the service "shipping" could not be read: PagerDuty answers 503); ask for one role per request`},
		{"roles: several, on call for the service and on the schedule", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.schedule("night", turn())
		}, access.Approve, onCallSince},
		{"roles: several, on call for the service, not on the schedule", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.schedule("night")
		}, access.No, "a request for several roles must qualify for every service and schedule they name (alice@example.com is not on call on the schedule night); ask for one role per request"},
		{"roles: several, on the schedule, not on call for the service", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.onCall()
			s.schedule("night", turn())
		}, access.No, "a request for several roles must qualify for every service and schedule they name (alice@example.com is not on call for payments); ask for one role per request"},
		{"roles: several, and a schedule that could not be read", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.schedule("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](errDown)
		}, access.CouldNotTell, `a request for several roles must qualify for every service and schedule they name (the schedule "night" could not be read: PagerDuty answers 503); ask for one role per request`},
		{"roles: several, and a schedule that PagerDuty does not know", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.schedule("night")
			s.Facts.Schedules[0].Fact = notFound[access.Duty]()
		}, access.No, `a request for several roles must qualify for every service and schedule they name (PagerDuty knows no schedule "night"); ask for one role per request`},
		{"roles: several, on call for nothing", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.onCall()
			s.schedule("night")
		}, access.No, notOnCall},

		{"on call: nobody is", func(s *situation) { s.onCall() }, access.No, notOnCall},
		{"on call: no service is named", func(s *situation) { s.annotate("services"); s.Facts.Services = nil }, access.No,
			"the requested role names no service or schedule to be on call for"},
		{"on call: for the second service", func(s *situation) { s.bothServices(); s.onCall(shift(of("PSHIP"))) }, access.Approve,
			"alice@example.com is on call for shipping (level 1, since 2026-03-01T02:00:00Z)"},
		{"on call: for an unrelated policy, by an ignored filter", func(s *situation) { s.onCall(shift(of("POTHER"))) }, access.No, notOnCall},
		{"on call: somebody else, by an ignored filter", func(s *situation) { s.onCall(shift(by(bob))) }, access.No, notOnCall},
		{"on call: an entry with alice's ID and another's e-mail", func(s *situation) {
			s.onCall(shift(by(access.User{ID: "UALICE", Email: "bob@example.com"})))
		}, access.No, notOnCall},
		{"on call: an entry with alice's e-mail and another's ID", func(s *situation) {
			s.onCall(shift(by(access.User{ID: "UBOB", Email: "alice@example.com"})))
		}, access.No, notOnCall},
		{"on call: at the highest level allowed", func(s *situation) { s.MaxEscalationLevel = 2; s.onCall(shift(level(2))) }, access.Approve,
			"alice@example.com is on call for payments (level 2, since 2026-03-01T02:00:00Z)"},
		{"on call: one level above", func(s *situation) { s.MaxEscalationLevel = 2; s.onCall(shift(level(3))) }, access.No,
			"alice@example.com is on call for payments only at level 3, at most 2 is allowed"},
		{"on call: any level without a limit", func(s *situation) { s.onCall(shift(level(9))) }, access.Approve,
			"alice@example.com is on call for payments (level 9, since 2026-03-01T02:00:00Z)"},
		{"on call: the lowest of levels 3 and 1 counts", func(s *situation) { s.MaxEscalationLevel = 1; s.onCall(shift(level(3)), shift()) }, access.Approve, onCallSince},
		{"on call: an entry without a level", func(s *situation) { s.onCall(shift(level(0))) }, access.No, notOnCall},
		{"on call: starts in a second", func(s *situation) { s.onCall(shift(from(time.Second, time.Hour))) }, access.No,
			notOnCall + ", next from 2026-03-01T03:00:01Z"},
		{"on call: starts now", func(s *situation) { s.onCall(shift(from(0, time.Hour))) }, access.Approve,
			"alice@example.com is on call for payments (level 1, since 2026-03-01T03:00:00Z)"},
		{"on call: ended now", func(s *situation) { s.onCall(shift(from(-time.Hour, 0))) }, access.No, notOnCall},
		{"on call: a later shift at too high a level is not announced", func(s *situation) {
			s.MaxEscalationLevel = 1
			s.onCall(shift(from(time.Hour, 2*time.Hour), level(2)))
		}, access.No, notOnCall},
		{"on call: always, as a target of the policy itself", func(s *situation) { s.onCall(shift(direct)) }, access.Approve,
			"alice@example.com is on call for payments (level 1, always)"},
		{"on call: PagerDuty's clock decides, not ours", func(s *situation) { s.OnCalls.Value.Now = now.Add(2 * time.Hour) }, access.No, notOnCall},
		{"on call: one name unknown, on call for the other", func(s *situation) {
			s.bothServices()
			s.Services()[1].Fact = notFound[access.Service]()
		}, access.Approve, onCallSince},
		{"on call: the only name unknown", func(s *situation) { s.Services()[0].Fact = notFound[access.Service]() }, access.No,
			`PagerDuty knows no service "payments"`},
		{"on call: name ambiguous", func(s *situation) {
			s.Services()[0].Fact = unknown[access.Service](&access.AmbiguousError{Kind: "service", Name: "payments", IDs: []string{"S1", "S2"}})
		}, access.CouldNotTell, `the service "payments" could not be read: service "payments" is ambiguous: S1, S2`},
		{"on call: service without a policy", func(s *situation) { s.Services()[0].Fact.Value.Policy = "" }, access.CouldNotTell,
			`PagerDuty shows no escalation policy of service "payments"`},
		{"on call: could not be read", func(s *situation) { s.OnCalls = unknown[access.OnCalls](errDown) }, access.CouldNotTell,
			"who is on call for payments could not be read: PagerDuty answers 503"},
		{"on call: an answer without PagerDuty's time", func(s *situation) { s.OnCalls.Value.Now = time.Time{} }, access.CouldNotTell,
			"who is on call for payments was not read"},
		{"on call: one service not on call, the other could not be read", func(s *situation) {
			s.bothServices()
			s.onCall()
			s.Services()[1].Fact = unknown[access.Service](errDown)
		}, access.CouldNotTell, `the service "shipping" could not be read: PagerDuty answers 503`},

		{"names: another service than the facts are for", func(s *situation) { s.annotate("services", "shipping") }, access.CouldNotTell,
			`the service "shipping" was not read`},
		{"names: no service any more, whatever the facts are for", func(s *situation) { s.annotate("services") }, access.No,
			"the requested role names no service or schedule to be on call for"},
		{"names: a schedule that the facts are not for", func(s *situation) { s.annotate("services"); s.annotate("schedules", "night") }, access.CouldNotTell,
			`the schedule "night" was not read`},
		{"names: several roles name a service that the facts are not for", func(s *situation) {
			s.Request.Roles = []string{"dev", "ops"}
			s.annotate("services", "payments", "shipping")
		}, access.CouldNotTell,
			`a request for several roles must qualify for every service and schedule they name (the service "shipping" was not read); ask for one role per request`},

		{"window: the access starts later", func(s *situation) { s.Request.AssumeStart = now.Add(time.Second) }, access.No,
			"the access starts later, at 2026-03-01T03:00:01Z"},
		{"window: the access starts now", func(s *situation) { s.Request.AssumeStart = now }, access.Approve, onCallSince},
		{"window: ends exactly at max_access", func(s *situation) { s.Request.AccessExpires = now.Add(24 * time.Hour) }, access.Approve, onCallSince},
		{"window: ends one second later", func(s *situation) { s.Request.AccessExpires = now.Add(24*time.Hour + time.Second) }, access.No,
			"the access would last until 2026-03-02T03:00:01Z, at most 24h from now is allowed"},
		{"window: any end without a limit", func(s *situation) { s.MaxAccess = 0; s.Request.AccessExpires = now.Add(9000 * time.Hour) }, access.Approve, onCallSince},
		{"window: no end is known", func(s *situation) { s.Request.AccessExpires = time.Time{} }, access.CouldNotTell, "Teleport gives no end of the requested access"},
		{"window: no end is known, none is asked for", func(s *situation) { s.MaxAccess = 0; s.Request.AccessExpires = time.Time{} }, access.Approve, onCallSince},
		{"window: as old as allowed", func(s *situation) { s.Request.Created = now.Add(-12 * time.Hour) }, access.Approve, onCallSince},
		{"window: older", func(s *situation) { s.Request.Created = now.Add(-12*time.Hour - time.Minute) }, access.No,
			"the request was made at 2026-02-28T14:59:00Z, an age of at most 12h is allowed"},
		{"window: older by PagerDuty's clock, by ours not", func(s *situation) {
			s.Request.Created = now.Add(-12 * time.Hour)
			s.onCall(shift(from(-time.Hour, 3*time.Hour)))
			s.OnCalls.Value.Now = now.Add(2 * time.Hour)
		}, access.No, "the request was made at 2026-02-28T15:00:00Z, an age of at most 12h is allowed"},
		{"window: ends later by PagerDuty's clock, by ours not", func(s *situation) {
			s.Request.AccessExpires = now.Add(24 * time.Hour)
			s.OnCalls.Value.Now = now.Add(-30 * time.Minute)
		}, access.No, "the access would last until 2026-03-02T03:00:00Z, at most 24h from now is allowed"},
		{"window: starts later by the clock of a schedule, by ours not", func(s *situation) {
			s.scheduleAlone("night", turn())
			s.OnCalls = access.Fact[access.OnCalls]{}
			s.Request.AssumeStart = now
			s.Facts.Schedules[0].Fact.Value.Now = now.Add(-time.Minute)
		}, access.No, "the access starts later, at 2026-03-01T03:00:00Z"},
		{"window: starts later by ours, by PagerDuty's clock not", func(s *situation) {
			s.Request.AssumeStart = now.Add(time.Minute)
			s.OnCalls.Value.Now = now.Add(time.Minute)
		}, access.Approve, onCallSince},
		{"window: any age without a limit", func(s *situation) { s.MaxRequestAge = 0; s.Request.Created = time.Time{} }, access.Approve, onCallSince},
		{"window: no creation time", func(s *situation) { s.Request.Created = time.Time{} }, access.CouldNotTell, "Teleport gives no creation time of the request"},
		{"window: approved already", func(s *situation) { s.Request.State = access.Approved }, access.No, "the request is approved already"},

		{"reviews: somebody approved", func(s *situation) { s.Request.Reviews = []access.Review{{Author: "bob", State: access.Approved}} }, access.Approve, onCallSince},
		{"reviews: somebody said no", func(s *situation) {
			s.Request.Reviews = []access.Review{{Author: "carol", State: access.Approved}, {Author: "bob", State: access.Denied}}
		}, access.No, "bob has denied the request"},
		{"reviews: pdhook has reviewed", func(s *situation) { s.Request.Reviews = []access.Review{{Author: "bot", State: access.Approved}} }, access.Already,
			"pdhook has already reviewed the request"},
		{"reviews: pdhook has approved, as said", func(s *situation) {
			said := ReviewReason(Decide(s.Rules, s.Facts))
			s.Request.Reviews = []access.Review{{Author: "carol", State: access.Approved, Reason: "fine"}, {Author: "bot", State: access.Approved, Reason: said}}
			s.onCall() // by now nobody is
		}, access.Already, onCallSince},

		{"account: the right one", func(s *situation) { s.Account = "acme" }, access.Approve, onCallSince},
		{"account: another one", func(s *situation) { s.Account = "umbrella" }, access.No, "the API key belongs to account acme, pagerduty.account is umbrella"},
		{"account: a service of another one", func(s *situation) { s.Account = "acme"; s.Services()[0].Fact.Value.Account = "umbrella" }, access.No,
			"the API key belongs to account umbrella, pagerduty.account is acme"},
		{"account: a schedule of another one", func(s *situation) {
			s.Account = "acme"
			s.schedule("night", turn())
			s.Facts.Schedules[0].Fact.Value.Schedule.Account = "umbrella"
		}, access.No, "the API key belongs to account umbrella, pagerduty.account is acme"},
		{"account: of a schedule not shown", func(s *situation) {
			s.Account = "acme"
			s.schedule("night", turn())
			s.Facts.Schedules[0].Fact.Value.Schedule.Account = ""
		}, access.CouldNotTell, "PagerDuty does not show the account of its answers"},
		{"account: a schedule of the right one", func(s *situation) { s.Account = "acme"; s.scheduleAlone("night", turn()) }, access.Approve, onNight},
		{"account: not shown", func(s *situation) { s.Account = "acme"; s.User.Value.Account = "" }, access.CouldNotTell,
			"PagerDuty does not show the account of its answers"},

		{"a failed check outweighs one that could not be told", func(s *situation) {
			s.User = unknown[access.User](errDown)
			s.Request.Reviews = []access.Review{{Author: "bob", State: access.Denied}}
		}, access.No, "bob has denied the request"},
	})
}

func TestDecisionSaysWhatItWantedAndSaw(t *testing.T) {
	s := approvable()
	s.require(RequireAcknowledged)
	s.schedule("night", turn())
	s.open(outage(), outage(id("Q2"), notification))
	checks := Decide(s.Rules, s.Facts).Checks
	onCall, incident := checks[2], checks[3]
	if len(onCall.Children) != 2 || onCall.Children[1].Name != "schedule night" || onCall.Children[1].Saw != "UALICE by schedule SNIGHT until 2026-03-01T04:00:00Z" {
		t.Errorf("on call = %+v", onCall)
	}
	if incident.Want != "acknowledged" || incident.Saw != "Q1 is not acknowledged by alice@example.com, Q2 is pdhook's own notification" || !incident.ReadAt.Equal(now.Add(-time.Second)) {
		t.Errorf("incident = %+v", incident)
	}
}

func TestDecisionNamesItsChecksInOrder(t *testing.T) {
	s := approvable()
	s.Account = "acme"
	var names []string
	for _, c := range Decide(s.Rules, s.Facts).Checks {
		names = append(names, c.Name)
		if c.Sentence == "" || c.Status != access.Passed {
			t.Errorf("check %s: %s %q", c.Name, c.Status, c.Sentence)
		}
	}
	if want := []string{"user", "roles", "on call", "incident", "window", "reviews", "account"}; !slices.Equal(names, want) || !slices.Equal(Checks(), want) {
		t.Errorf("checks = %v, listed as %v, want %v", names, Checks(), want)
	}
}
