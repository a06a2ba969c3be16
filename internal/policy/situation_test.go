package policy

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

var (
	now   = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	alice = access.User{ID: "UALICE", Name: "Alice", Email: "alice@example.com", Account: "acme"}
	bob   = access.User{ID: "UBOB", Name: "Bob", Email: "bob@example.com", Account: "acme"}

	payments = access.Service{ID: "SPAY", Name: "payments", Policy: "PPAY", Account: "acme"}
	shipping = access.Service{ID: "SSHIP", Name: "shipping", Policy: "PSHIP", Account: "acme"}

	errDown = errors.New("PagerDuty answers 503")
)

// known is a fact read a second ago.
func known[T any](value T) access.Fact[T] {
	return access.Fact[T]{Value: value, ReadAt: now.Add(-time.Second)}
}

func unknown[T any](err error) access.Fact[T] {
	return access.Fact[T]{Err: err, ReadAt: now.Add(-time.Second)}
}

func notFound[T any]() access.Fact[T] {
	return unknown[T](fmt.Errorf("asking: %w", access.ErrNotFound))
}

// shift is alice's duty for payments at level 1, from an hour ago to an hour from now.
func shift(changes ...func(*access.OnCall)) access.OnCall {
	e := access.OnCall{User: alice, Policy: "PPAY", Schedule: "SCHED", Level: 1, Start: now.Add(-time.Hour), End: now.Add(time.Hour)}
	for _, change := range changes {
		change(&e)
	}
	return e
}

func level(n int) func(*access.OnCall)          { return func(e *access.OnCall) { e.Level = n } }
func of(p access.PolicyID) func(*access.OnCall) { return func(e *access.OnCall) { e.Policy = p } }
func by(u access.User) func(*access.OnCall)     { return func(e *access.OnCall) { e.User = u } }
func from(start, end time.Duration) func(*access.OnCall) {
	return func(e *access.OnCall) { e.Start, e.End = now.Add(start), now.Add(end) }
}
func direct(e *access.OnCall) { e.Schedule, e.Start, e.End = "", time.Time{}, time.Time{} }

// situation is what a decision is made in: alice, on call for payments, asks for one role that names it.
type situation struct {
	Rules
	Facts
}

func approvable() situation {
	return situation{
		Rules: Rules{NotifyService: "notify", Services: "services", Schedules: "schedules", UserEmail: "email",
			MaxAccess: 24 * time.Hour, MaxRequestAge: 12 * time.Hour, Notify: NotifyAlways,
			RequireIncident: RequireNone, OnIncidentResolved: ResolvedNote},
		Facts: Facts{
			Now: now, Cause: "request created", Reviewer: "bot",
			Request: access.Request{ID: "R", User: alice.Email, Roles: []string{"dev"}, State: access.Pending,
				Created: now.Add(-time.Minute), Expires: now.Add(time.Hour), AccessExpires: now.Add(8 * time.Hour),
				Annotations: map[string][]string{"services": {"payments"}}},
			User:     known(alice),
			Services: []NamedService{{Ref: "payments", Fact: known(payments)}},
			OnCalls:  known(access.OnCalls{Entries: []access.OnCall{shift()}, Now: now}),
		},
	}
}

func (s *situation) onCall(entries ...access.OnCall) { s.OnCalls.Value.Entries = entries }

func (s *situation) annotate(name string, values ...string) { s.Request.Annotations[name] = values }

func (s *situation) bothServices() {
	s.annotate("services", "payments", "shipping")
	s.Facts.Services = append(s.Facts.Services, NamedService{Ref: "shipping", Fact: known(shipping)})
}

// turn is alice's shift on a schedule, from an hour ago to an hour from now.
func turn(changes ...func(*access.Shift)) access.Shift {
	s := access.Shift{User: alice.ID, Start: now.Add(-time.Hour), End: now.Add(time.Hour)}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func whose(u access.UserID) func(*access.Shift) { return func(s *access.Shift) { s.User = u } }
func lasts(start, end time.Duration) func(*access.Shift) {
	return func(s *access.Shift) { s.Start, s.End = now.Add(start), now.Add(end) }
}

// schedule names a schedule with these shifts, beside what is named already.
func (s *situation) schedule(ref string, shifts ...access.Shift) {
	schedule := access.Schedule{ID: "SNIGHT", Name: "night", Account: "acme", Shifts: shifts}
	if ref == "day" {
		schedule.ID, schedule.Name = "SDAY", ref
	}
	s.annotate("schedules", append(s.Request.Annotations["schedules"], ref)...)
	s.Facts.Schedules = append(s.Facts.Schedules, NamedSchedule{Ref: ref, Fact: known(access.Duty{Schedule: schedule, Now: now})})
}

func (s *situation) scheduleAlone(ref string, shifts ...access.Shift) {
	s.annotate("services")
	s.Facts.Services = nil
	s.schedule(ref, shifts...)
}

// outage is a triggered incident on payments that eve opened.
func outage(changes ...func(*IncidentFact)) IncidentFact {
	i := IncidentFact{Incident: access.Incident{ID: "Q1", Service: payments.ID, ServiceName: payments.Name, Status: access.Triggered, TriggeredBy: "UEVE"}}
	for _, change := range changes {
		change(&i)
	}
	return i
}

func id(q access.IncidentID) func(*IncidentFact) { return func(i *IncidentFact) { i.ID = q } }
func status(st access.IncidentStatus) func(*IncidentFact) {
	return func(i *IncidentFact) { i.Status = st }
}
func triggeredBy(u access.UserID) func(*IncidentFact) {
	return func(i *IncidentFact) { i.TriggeredBy = u }
}
func on(s access.Service) func(*IncidentFact) {
	return func(i *IncidentFact) { i.Service, i.ServiceName = s.ID, s.Name }
}
func ackedBy(users ...access.User) func(*IncidentFact) {
	return func(i *IncidentFact) { i.Status, i.Acknowledged = access.Acknowledged, users }
}
func assignedTo(users ...access.User) func(*IncidentFact) {
	return func(i *IncidentFact) { i.Assigned = users }
}
func notification(i *IncidentFact)    { i.Notification = true }
func triggerNotShown(i *IncidentFact) { i.TriggeredBy, i.TriggerNotShown = "", true }

func (s *situation) require(r RequireIncident)      { s.RequireIncident = r }
func (s *situation) open(incidents ...IncidentFact) { s.Facts.Incidents = known(incidents) }

const (
	onCallSince = "alice@example.com is on call for payments (level 1, since 2026-03-01T02:00:00Z)"
	notOnCall   = "alice@example.com is not on call for payments"
	onNight     = "alice@example.com is on call on the schedule night (since 2026-03-01T02:00:00Z)"
	notOnNight  = "alice@example.com is not on call on the schedule night"
)

// Services hides the promoted names of both halves behind the one that the rows mean.
func (s *situation) Services() []NamedService { return s.Facts.Services }

// row is a line of the decision table: what is given, and what is decided in which words.
type row struct {
	name     string
	given    func(s *situation)
	verdict  access.Verdict
	sentence string
}

func decides(t *testing.T, rows []row) {
	t.Helper()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			s := approvable()
			tt.given(&s)
			d := Decide(s.Rules, s.Facts)
			if d.Verdict != tt.verdict || d.Sentence != tt.sentence {
				t.Errorf("got  %s: %s\nwant %s: %s", d.Verdict, d.Sentence, tt.verdict, tt.sentence)
			}
			if (d.Evidence != nil) != (tt.verdict == access.Approve) {
				t.Errorf("evidence = %+v with verdict %s", d.Evidence, d.Verdict)
			}
			if d.Request != "R" || d.Cause != "request created" || !d.Time.Equal(now) {
				t.Errorf("the decision is of %s, %q, %s", d.Request, d.Cause, d.Time)
			}
		})
	}
}
