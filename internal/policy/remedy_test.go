package policy

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/access"
)

func TestEveryCheckThatFailsSaysWhatWouldMakeItPass(t *testing.T) {
	ambiguous := func(kind string) error {
		return &access.AmbiguousError{Kind: kind, Name: "x", IDs: []string{"P1", "P2"}}
	}
	permanent := &access.Failure{Class: access.Permanent, Err: errDown}
	const asksAgain, mends = "PagerDuty answers; pdhook asks again by itself", "an admin mends what the sentence says; pdhook asks again by itself"
	for _, tt := range []struct {
		name  string
		given func(s *situation)
		check string // "/" and the name of a child behind that of its parent
		want  string
	}{
		{"no e-mail address", func(s *situation) { s.Request.User, s.User = "alice", access.Fact[access.User]{} }, "user",
			"an admin adds the annotation email to the role, with the trait that holds the login e-mail in PagerDuty"},
		{"two e-mail addresses", func(s *situation) { s.annotate("email", "a@example.com", "b@example.com") }, "user",
			"an admin makes the annotation email of the role hold exactly one e-mail address for alice@example.com"},
		{"no PagerDuty user", func(s *situation) { s.User = notFound[access.User]() }, "user",
			"somebody gives PagerDuty a user with the login e-mail alice@example.com, or an admin adds the annotation email to the role, with the trait that holds it"},
		{"no PagerDuty user of the annotation", func(s *situation) {
			s.annotate("email", "a@example.com")
			s.User = notFound[access.User]()
		}, "user", "somebody gives PagerDuty a user with the login e-mail a@example.com, or an admin corrects what the annotation email gives"},
		{"user not read", func(s *situation) { s.User = unknown[access.User](errDown) }, "user", asksAgain},
		{"user not read, for good", func(s *situation) { s.User = unknown[access.User](permanent) }, "user", mends},
		{"two users", func(s *situation) { s.User = unknown[access.User](ambiguous("user")) }, "user", "somebody leaves one PagerDuty user with the login e-mail x"},
		{"another user", func(s *situation) { s.User = known(bob) }, "user", asksAgain},

		{"role not on the list", func(s *situation) { s.AutoApproveRoles = []string{"ops"} }, "roles", "an admin adds dev to policy.auto_approve_roles"},
		{"some roles not on the list", func(s *situation) {
			s.Request.Roles, s.AutoApproveRoles = []string{"db", "dev", "root"}, []string{"dev"}
		}, "roles", "an admin adds db and root to policy.auto_approve_roles; or a new request for dev alone"},
		{"no role", func(s *situation) { s.Request.Roles = nil }, "roles", "a new request for a role"},

		{"no annotation", func(s *situation) { s.annotate("services"); s.Facts.Services = nil }, "on call",
			"an admin adds the annotation services or schedules to the role that lets alice@example.com request dev"},
		{"not on call, a shift is announced", func(s *situation) { s.onCall(shift(from(time.Hour, 2*time.Hour))) }, "on call",
			"alice@example.com comes on call for the escalation policy of payments: the next shift starts 2026-03-01T04:00:00Z, an override counts at the next poll"},
		{"not on call, no shift is announced", func(s *situation) { s.onCall() }, "on call/service payments",
			"alice@example.com comes on call for the escalation policy of payments: no shift is announced while the request lives, an override counts at the next poll"},
		{"on call at too high a level", func(s *situation) { s.MaxEscalationLevel = 2; s.onCall(shift(level(3))) }, "on call",
			"alice@example.com comes on call for the escalation policy of payments at one of the levels 1 to 2: no shift is announced while the request lives, an override counts at the next poll"},
		{"on call at another level than the first", func(s *situation) { s.MaxEscalationLevel = 1; s.onCall(shift(level(2))) }, "on call",
			"alice@example.com comes on call for the escalation policy of payments at level 1: no shift is announced while the request lives, an override counts at the next poll"},
		{"on call for none of several", func(s *situation) { s.bothServices(); s.onCall() }, "on call", "one of the services and schedules that the role names is enough"},
		{"on call for one of several, by several roles", func(s *situation) {
			s.Request.Roles = []string{"dev", "ship"}
			s.bothServices()
		}, "on call", "a new request for each role"},
		{"service unknown", func(s *situation) { s.Services()[0].Fact = notFound[access.Service]() }, "on call/service payments",
			"an admin corrects the name in the annotation services, or gives PagerDuty a service of that name"},
		{"service ambiguous", func(s *situation) { s.Services()[0].Fact = unknown[access.Service](ambiguous("service")) }, "on call/service payments",
			"an admin writes which service is meant into the annotation services: id:P1 or id:P2"},
		{"service not read", func(s *situation) { s.Services()[0].Fact = unknown[access.Service](errDown) }, "on call/service payments", asksAgain},
		{"on call not read", func(s *situation) { s.OnCalls = unknown[access.OnCalls](errDown) }, "on call", asksAgain},
		{"user unknown, thus on call unknown", func(s *situation) { s.User = notFound[access.User]() }, "on call", `the check "user" passes first`},
		{"not on the schedule, a shift is announced", func(s *situation) { s.scheduleAlone("night", turn(lasts(time.Hour, 2*time.Hour))) }, "on call/schedule night",
			"alice@example.com comes on call on the schedule night: the next shift starts 2026-03-01T04:00:00Z, an override counts at the next poll"},
		{"schedule unknown", func(s *situation) {
			s.scheduleAlone("night")
			s.Facts.Schedules[0].Fact = notFound[access.Duty]()
		}, "on call/schedule night", "an admin corrects the name in the annotation schedules, or gives PagerDuty a schedule of that name"},
		{"schedule ambiguous", func(s *situation) {
			s.scheduleAlone("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](ambiguous("schedule"))
		}, "on call/schedule night", "an admin writes which schedule is meant into the annotation schedules: id:P1 or id:P2"},

		{"no incident", func(s *situation) { s.require(RequireOpen); s.open() }, "incident",
			"an incident opens on payments, by an alert or somebody else than alice@example.com"},
		{"no incident, own ones count", func(s *situation) { s.require(RequireOpen); s.OwnIncidents = true; s.open() }, "incident", "an incident opens on payments"},
		{"none to acknowledge", func(s *situation) { s.require(RequireAcknowledged); s.open(outage(notification)) }, "incident",
			"an incident opens on payments, by an alert or somebody else than alice@example.com, and alice@example.com acknowledges it"},
		{"not acknowledged", func(s *situation) {
			s.require(RequireAcknowledged)
			s.open(outage(), outage(id("Q2"), triggeredBy(alice.ID)), outage(id("Q3")))
		}, "incident", "alice@example.com acknowledges incident Q1 on payments or Q3 on payments"},
		{"not assigned", func(s *situation) { s.require(RequireAssigned); s.open(outage(assignedTo(bob))) }, "incident",
			"incident Q1 on payments is assigned to alice@example.com"},
		{"none to be assigned", func(s *situation) { s.require(RequireAssigned); s.open() }, "incident",
			"an incident opens on payments, by an alert or somebody else than alice@example.com, and is assigned to alice@example.com"},
		{"only schedules", func(s *situation) { s.require(RequireOpen); s.scheduleAlone("night", turn()) }, "incident",
			"an admin adds the annotation services, with the service whose incidents count, to the role"},
		{"incidents not read", func(s *situation) {
			s.require(RequireOpen)
			s.Facts.Incidents = unknown[[]IncidentFact](errDown)
		}, "incident", asksAgain},
		{"not on call, thus no incident", func(s *situation) { s.require(RequireOpen); s.onCall() }, "incident", `the check "on call" passes first`},

		{"starts later", func(s *situation) { s.Request.AssumeStart = now.Add(time.Hour) }, "window", "it is decided when the access starts, at 2026-03-01T04:00:00Z"},
		{"too long", func(s *situation) { s.Request.AccessExpires = now.Add(25 * time.Hour) }, "window", "a new request that asks for at most 24h"},
		{"too old", func(s *situation) { s.Request.Created = now.Add(-13 * time.Hour) }, "window", "a new request"},

		{"denied by a person", func(s *situation) { s.Request.Reviews = []access.Review{{Author: "bob", State: access.Denied}} }, "reviews", ""},

		{"another account", func(s *situation) { s.Account = "umbrella" }, "account",
			"an admin sets pagerduty.api_key to a key of account umbrella, or corrects pagerduty.account"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := approvable()
			tt.given(&s)
			c, found := checkNamed(Decide(s.Rules, s.Facts).Checks, tt.check)
			if !found || c.Status == access.Passed || c.Remedy != tt.want {
				t.Errorf("%s (%s)\ngot  %q\nwant %q", c.Sentence, c.Status, c.Remedy, tt.want)
			}
		})
	}
}

// checkNamed finds a check by "name" or "parent/child".
func checkNamed(checks []access.Check, path string) (access.Check, bool) {
	for _, c := range checks {
		if c.Name == path {
			return c, true
		}
		if found, ok := checkNamed(c.Children, path[min(len(c.Name)+1, len(path)):]); ok {
			return found, true
		}
	}
	return access.Check{}, false
}

func TestARemedyStandsWhereSomethingCanBeDoneAndNowhereElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		var look func(checks []access.Check)
		look = func(checks []access.Check) {
			for _, c := range checks {
				if hopeless := c.Name == "reviews"; (c.Remedy == "") != (c.Status == access.Passed || hopeless) {
					t.Fatalf("%s is %s, %q: remedy %q", c.Name, c.Status, c.Sentence, c.Remedy)
				}
				look(c.Children)
			}
		}
		look(Decide(s.Rules, s.Facts).Checks)
	})
}

func TestADecisionThatDoesNotChangeReadsTheSameLater(t *testing.T) {
	for name, given := range map[string]func(*situation){
		"next shift":   func(s *situation) { s.onCall(shift(from(time.Hour, 2*time.Hour))) },
		"too old":      func(s *situation) { s.Request.Created = now.Add(-13 * time.Hour) },
		"too long":     func(s *situation) { s.Request.AccessExpires = now.Add(48 * time.Hour) },
		"starts later": func(s *situation) { s.Request.AssumeStart = now.Add(time.Hour) },
	} {
		s := approvable()
		given(&s)
		before := Conclude(s.Rules, Work{Request: s.Request, Decision: Decide(s.Rules, s.Facts)}, nil)
		s.Now = now.Add(3 * time.Minute)
		after := Conclude(s.Rules, Work{Request: s.Request, Decision: Decide(s.Rules, s.Facts)}, nil)
		if after.Time = before.Time; !reflect.DeepEqual(before, after) {
			t.Errorf("%s:\nbefore %+v\nafter  %+v", name, before, after)
		}
	}
}

func TestASpanIsWrittenAsInTheConfiguration(t *testing.T) {
	for d, want := range map[time.Duration]string{24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 20 * time.Minute: "20m",
		90 * time.Second: "1m30s", time.Hour + 10*time.Second: "1h0m10s", 10 * time.Second: "10s"} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %q, want %q", d, got, want)
		}
	}
}
