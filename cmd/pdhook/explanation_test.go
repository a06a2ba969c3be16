package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/policy"
)

var (
	night = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	dana  = access.User{ID: "PDANA", Name: "Dana", Email: "dana@example.com"}
	kim   = access.User{ID: "PKIM", Name: "Kim", Email: "kim@example.com"}
)

// story is a request of dana's with what pdhook read about it.
type story struct {
	rules  policy.Rules
	facts  policy.Facts
	work   policy.Work
	failed error // of the review
	shown  admin.Request
}

func read[T any](v T) access.Fact[T] { return access.Fact[T]{Value: v, ReadAt: night} }

// tale begins with dana on call for Payments API, which is enough.
func tale() *story {
	s := &story{
		rules: policy.Rules{NotifyService: "pagerduty_notify_service", Services: "pagerduty_services", Schedules: "pagerduty_schedules",
			UserEmail: "pagerduty_user_email", MaxAccess: 24 * time.Hour, MaxRequestAge: 12 * time.Hour, RequireIncident: policy.RequireNone},
		facts: policy.Facts{
			Now: night, Cause: access.CauseCreated, Reviewer: "pdhook",
			Request: access.Request{ID: "0195523d-6d2a-7e1c-9f57-2f8a8c1d4b10", User: dana.Email, Roles: []string{"payments-admin"}, State: access.Pending,
				Reason: "checkout fails", Created: night.Add(-4 * time.Minute), Expires: night.Add(8 * time.Hour), AccessExpires: night.Add(8 * time.Hour),
				Annotations: map[string][]string{"pagerduty_services": {"Payments API"}}, SuggestedReviewers: []string{"bob"}},
			User:     read(dana),
			Services: []policy.NamedService{{Ref: "Payments API", Fact: read(access.Service{ID: "PPAY", Name: "Payments API", Policy: "PPOLICY"})}},
			OnDuty: map[access.PolicyID]access.Fact[access.OnCalls]{"PPOLICY": read(access.OnCalls{Now: night,
				Entries: []access.OnCall{{User: kim, Policy: "PPOLICY", Level: 1, End: night.Add(5 * time.Hour)}}})},
		},
		shown: admin.Request{
			URL: "https://teleport.example.com/web/requests/0195523d-6d2a-7e1c-9f57-2f8a8c1d4b10",
			Incidents: []admin.Incident{{ID: "Q1ABC", Service: "Payments API", Status: access.Acknowledged,
				URL: "https://acme.pagerduty.com/incidents/Q1ABC", AcknowledgedBy: []string{"Kim"}}},
			LastLook: night.Add(-12 * time.Second), NextLook: night.Add(48 * time.Second), NextLookWhy: access.CausePoll, SuggestedReviewers: []string{"bob"},
		},
	}
	s.onCall(access.OnCall{User: dana, Policy: "PPOLICY", Schedule: "PSCHED", Level: 1, Start: night.Add(-time.Hour), End: night.Add(time.Hour)})
	return s
}

func (s *story) onCall(entries ...access.OnCall) {
	s.facts.OnCalls = read(access.OnCalls{Now: night, Entries: entries})
}

func (s *story) require(r policy.RequireIncident, open ...access.Incident) {
	s.rules.RequireIncident = r
	var facts []policy.IncidentFact
	for _, i := range open {
		facts = append(facts, policy.IncidentFact{Incident: i})
	}
	s.facts.Incidents = read(facts)
}

// told gives the request as the service shows it.
func (s *story) told() admin.Request {
	req, r := s.facts.Request, s.shown
	s.work.Request, s.work.Decision = req, policy.Decide(s.rules, s.facts)
	d := policy.Conclude(s.rules, s.work, s.failed)
	d.Time = night.Add(-12 * time.Second)
	r.ID, r.User, r.Roles, r.State, r.Reason, r.Created, r.Expires = req.ID, req.User, req.Roles, req.State, req.Reason, req.Created, req.Expires
	r.Reviews, r.DryRun, r.Decision = req.Reviews, s.rules.DryRun, &d
	return r
}

// stories are the reasons for which requests wait, or did.
var stories = map[string]func(s *story){
	"not-on-call": func(s *story) { s.onCall() },
	"on-call-later": func(s *story) {
		s.onCall(access.OnCall{User: dana, Policy: "PPOLICY", Level: 1, Start: night.Add(19 * time.Hour)})
	},
	"level-too-high": func(s *story) {
		s.rules.MaxEscalationLevel = 1
		s.onCall(access.OnCall{User: dana, Policy: "PPOLICY", Level: 2})
	},
	"no-user": func(s *story) { s.facts.User = access.Fact[access.User]{Err: access.ErrNotFound, ReadAt: night} },
	"service-unknown": func(s *story) {
		s.facts.Services[0].Fact = access.Fact[access.Service]{Err: access.ErrNotFound, ReadAt: night}
	},
	"service-ambiguous": func(s *story) {
		s.facts.Services[0].Fact = access.Fact[access.Service]{ReadAt: night,
			Err: &access.AmbiguousError{Kind: "service", Name: "Payments API", IDs: []string{"PAAA", "PBBB"}}}
	},
	"no-annotation":    func(s *story) { s.facts.Request.Annotations, s.facts.Services = nil, nil },
	"role-not-allowed": func(s *story) { s.rules.AutoApproveRoles = []string{"search-admin", "db-reader"} },
	"no-incident":      func(s *story) { s.require(policy.RequireOpen) },
	"not-acknowledged": func(s *story) {
		s.require(policy.RequireAcknowledged, access.Incident{ID: "Q7", Service: "PPAY", ServiceName: "Payments API", Status: access.Triggered})
	},
	"access-too-long": func(s *story) { s.facts.Request.AccessExpires = night.Add(72 * time.Hour) },
	"too-old":         func(s *story) { s.facts.Request.Created = night.Add(-13 * time.Hour) },
	"denied-by-a-person": func(s *story) {
		s.facts.Request.Reviews = []access.Review{{Author: "bob", State: access.Denied, Reason: "ask Kim", Time: night.Add(-time.Minute)}}
	},
	"pagerduty-unreachable": func(s *story) {
		s.facts.OnCalls = access.Fact[access.OnCalls]{Err: errors.New("PagerDuty answers 503 Service Unavailable"), ReadAt: night}
		s.shown.Failing = "evaluating the request: PagerDuty answers 503 Service Unavailable"
		s.shown.NextLook, s.shown.NextLookWhy = night.Add(time.Second), access.CauseRetry
		s.shown.Incidents, s.shown.Unnotified = nil, []string{"Payments API: PagerDuty answers 503 Service Unavailable"}
	},
	"more-approvals": func(s *story) {
		s.facts.Request.Reviews = []access.Review{{Author: "pdhook", State: access.Approved, Time: night.Add(-3 * time.Minute),
			Reason: "Approved by pdhook: dana@example.com is on call for Payments API (level 1, since 2026-03-01T02:00:00Z)."}}
	},
	"review-refused": func(s *story) { s.failed = fmt.Errorf("submitting the approval: %w", access.ErrDenied) },
	"dry-run":        func(s *story) { s.rules.DryRun = true; s.shown.Incidents = nil },
	"several-services": func(s *story) {
		s.facts.Request.Annotations["pagerduty_schedules"] = []string{"Payments night"}
		s.facts.Schedules = []policy.NamedSchedule{{Ref: "Payments night", Fact: access.Fact[access.Duty]{Err: access.ErrNotFound, ReadAt: night}}}
		s.onCall()
	},
	"approved": func(s *story) { s.facts.Reviewed = false },
}

func TestTheExplanationOfEachReasonForWhichARequestWaits(t *testing.T) {
	for name, tell := range stories {
		t.Run(name, func(t *testing.T) {
			s := tale()
			tell(s)
			r := s.told()
			if name == "approved" {
				r.State, r.Reviewed, r.NextLook = access.Approved, true, time.Time{}
				r.Decision.Checks, r.Decision.Instead = policy.Decide(s.rules, s.facts).Checks, ""
			}
			golden(t, name, explanation(r, false, 100, night))
		})
	}
}

// golden compares a text with the one that is kept; UPDATE_GOLDEN=1 keeps it instead.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "explain", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheExplanationFitsTheTerminal(t *testing.T) {
	for name, tell := range stories {
		s := tale()
		tell(s)
		for _, width := range []int{40, 60, 80, 132} {
			for line := range strings.Lines(explanation(s.told(), false, width, night)) {
				line = strings.TrimSuffix(line, "\n")
				words := strings.Fields(strings.TrimLeft(line, "│├└─ "))
				if utf8.RuneCountInString(line) > width && len(words) > 1 && utf8.RuneCountInString(line)-len(words[len(words)-1]) > width-narrowest {
					t.Errorf("%s: a line is wider than %d columns: %q", name, width, line)
				}
			}
		}
	}
}

func TestColourChangesNoWord(t *testing.T) {
	for name, tell := range stories {
		s := tale()
		tell(s)
		r := s.told()
		plainly, coloured := explanation(r, false, 80, night), explanation(r, true, 80, night)
		if !strings.Contains(coloured, "\x1b[") {
			t.Errorf("%s: nothing is coloured", name)
		}
		var bare strings.Builder
		for i, part := range strings.Split(coloured, "\x1b[") {
			if i > 0 {
				_, part, _ = strings.Cut(part, "m")
			}
			bare.WriteString(part)
		}
		if got := trimmed(bare.String()); got != plainly {
			t.Errorf("%s: without its colours it is\n%s\nwant\n%s", name, got, plainly)
		}
	}
}

// trimmed takes the blanks from the ends of lines.
func trimmed(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}

func TestATerminalObeysNothingThatOthersWrote(t *testing.T) {
	const bad = "a\x1b[31mb\u009b31mc\u202ed\ne\x07"
	r := tale().told()
	r.User, r.Roles, r.Reason, r.URL, r.Failing, r.Unnotified = bad, []string{bad}, bad, bad, bad, []string{bad}
	r.ID, r.State, r.ResolveReason, r.NextLookWhy = bad, bad, bad, bad
	r.Reviews = []access.Review{{Author: bad, State: bad, Reason: bad}}
	r.Incidents = []admin.Incident{{ID: bad, Service: bad, Status: bad, URL: bad, AcknowledgedBy: []string{bad}, MergedInto: bad}}
	check := access.Check{Name: bad, Status: access.Failed, Want: bad, Saw: bad + "!", Sentence: "no " + bad + "?", Remedy: bad}
	check.Children = []access.Check{{Name: bad, Status: access.Failed, Sentence: bad, Remedy: bad + "?"}}
	r.Decision = &access.Decision{Verdict: access.No, Sentence: bad, Cause: bad, Instead: bad, Checks: []access.Check{check}}
	for _, state := range []access.State{access.Pending, bad} {
		r.State = state
		for what, text := range map[string]string{"explain": explanation(r, false, 0, night), "requests": table([]admin.Request{r}, false, 0, night)} {
			if i := strings.IndexFunc(text, func(c rune) bool {
				return c != '\n' && unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)
			}); i >= 0 {
				t.Errorf("%s: there is %q in\n%q", what, text[i], text)
			}
		}
	}
}
