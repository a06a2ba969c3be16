package policy

import (
	"flag"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/access"
)

// TestMain draws more than rapid does by default: most situations are refused, and each takes microseconds.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "3000"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// anyFact draws a fact that is known, could not be read, is surely not there, or was never asked for.
func anyFact[T any](t *rapid.T, label string, value T) access.Fact[T] {
	switch rapid.IntRange(0, 24).Draw(t, label) {
	case 22:
		return unknown[T](errDown)
	case 23:
		return notFound[T]()
	case 24:
		return access.Fact[T]{Value: value}
	}
	return known(value)
}

// often draws the usual value, or seldom one of the others: approvals would be too rare to learn from otherwise.
func often[T any](t *rapid.T, label string, usual T, others ...T) T {
	if n := rapid.IntRange(0, 5+len(others)).Draw(t, label); n > 5 {
		return others[n-6]
	}
	return usual
}

func anySituation(t *rapid.T) situation {
	s := approvable()
	s.MaxEscalationLevel = rapid.IntRange(0, 3).Draw(t, "max level")
	s.Account = often(t, "account", "", "acme", "umbrella")
	s.RequireIncident = rapid.SampledFrom([]RequireIncident{RequireNone, RequireOpen, RequireAcknowledged, RequireAssigned}).Draw(t, "require incident")
	s.OwnIncidents = rapid.Bool().Draw(t, "own incidents")
	s.AutoApproveRoles = often(t, "auto-approve roles", nil, []string{"dev"}, []string{"dev", "ship"})
	s.Request.User = often(t, "requester", "alice@example.com", "ALICE@example.com", "bob@example.com", "alice")
	s.Request.Roles = often(t, "roles", []string{"dev"}, []string{"dev", "ship"})
	s.Request.Reviews = often(t, "reviews", nil, []access.Review{{Author: "bob", State: access.Approved}}, []access.Review{{Author: "bob", State: access.Denied}})
	s.Facts.User = anyFact(t, "user fact", often(t, "user", alice, bob))
	s.Facts.Services = nil
	s.annotate("services")
	for _, service := range often(t, "services", []access.Service{payments, shipping}, []access.Service{payments}, nil) {
		s.annotate("services", append(s.Request.Annotations["services"], service.Name)...)
		s.Facts.Services = append(s.Facts.Services, NamedService{Ref: service.Name, Fact: anyFact(t, service.Name, service)})
	}
	s.OnCalls = anyFact(t, "on call", access.OnCalls{Entries: rapid.SliceOfN(rapid.Custom(anyEntry), 1, 5).Draw(t, "entries"), Now: now})
	for _, ref := range rapid.SampledFrom([][]string{{"night"}, {}, {"night", "day"}}).Draw(t, "schedules") {
		s.schedule(ref, rapid.SliceOfN(rapid.Custom(anyTurn), 0, 3).Draw(t, "turns")...)
		last := &s.Facts.Schedules[len(s.Facts.Schedules)-1].Fact
		*last = anyFact(t, ref, last.Value)
	}
	s.Facts.Incidents = anyFact(t, "open incidents", rapid.SliceOfN(rapid.Custom(anyIncident), 1, 5).Draw(t, "incidents"))
	for _, readAt := range s.readTimes() {
		if !readAt.IsZero() {
			*readAt = now.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "age")) * time.Second)
		}
	}
	return s
}

// readTimes gives when each fact was read.
func (s *situation) readTimes() []*time.Time {
	times := []*time.Time{&s.Facts.User.ReadAt, &s.OnCalls.ReadAt, &s.Facts.Incidents.ReadAt}
	for i := range s.Facts.Services {
		times = append(times, &s.Facts.Services[i].Fact.ReadAt)
	}
	for i := range s.Facts.Schedules {
		times = append(times, &s.Facts.Schedules[i].Fact.ReadAt)
	}
	return times
}

func anyEntry(t *rapid.T) access.OnCall {
	start := time.Duration(rapid.IntRange(-2, 1).Draw(t, "start")) * time.Hour
	return shift(
		by(often(t, "entry of", alice, bob)),
		of(rapid.SampledFrom([]access.PolicyID{"PPAY", "PSHIP", "POTHER"}).Draw(t, "entry policy")),
		level(rapid.IntRange(0, 4).Draw(t, "entry level")),
		from(start, start+2*time.Hour))
}

func anyTurn(t *rapid.T) access.Shift {
	start := time.Duration(rapid.IntRange(-2, 1).Draw(t, "start")) * time.Hour
	return turn(whose(often(t, "turn of", alice.ID, bob.ID, "")), lasts(start, start+2*time.Hour))
}

func anyIncident(t *rapid.T) IncidentFact {
	people := rapid.SampledFrom([][]access.User{{alice}, {bob, alice}, {bob}, nil})
	i := outage(
		id(rapid.SampledFrom([]access.IncidentID{"Q1", "Q2", "Q3", "Q4"}).Draw(t, "incident")),
		on(rapid.SampledFrom([]access.Service{payments, payments, shipping, {ID: "SOTHER", Name: "other"}}).Draw(t, "incident on")),
		ackedBy(people.Draw(t, "acknowledged by")...), assignedTo(people.Draw(t, "assigned to")...),
		status(often(t, "status", access.Acknowledged, access.Triggered, access.Resolved, "new")),
		triggeredBy(often[access.UserID](t, "triggered by", "UEVE", "", alice.ID)))
	i.Notification = often(t, "notification", false, true)
	i.TriggerNotShown = often(t, "trigger not shown", false, true)
	return i
}

// onCallFor says by the facts alone whether the requester is on call now for the service.
func (s *situation) onCallFor(n NamedService) bool {
	return s.OnCalls.Known() && n.Fact.Known() && slices.ContainsFunc(s.OnCalls.Value.Entries, func(o access.OnCall) bool {
		return o.Policy == n.Fact.Value.Policy && o.User == s.Facts.User.Value && !o.Start.After(now) && o.End.After(now) &&
			o.Level >= 1 && (s.MaxEscalationLevel == 0 || o.Level <= s.MaxEscalationLevel)
	})
}

// onDutyBy says by the facts alone whether the requester is on call now on the schedule.
func (s *situation) onDutyBy(n NamedSchedule) bool {
	return n.Fact.Known() && slices.ContainsFunc(n.Fact.Value.Schedule.Shifts, func(sh access.Shift) bool {
		return sh.User == s.Facts.User.Value.ID && !sh.Start.After(now) && sh.End.After(now)
	})
}

func (s *situation) counts(i IncidentFact) bool {
	requester := s.Facts.User.Value.ID
	is := func(u access.User) bool { return u.ID == requester }
	switch {
	case i.Notification, i.TriggerNotShown, i.TriggeredBy == requester && !s.OwnIncidents:
		return false
	case s.RequireIncident == RequireAcknowledged:
		return i.Status == access.Acknowledged && slices.ContainsFunc(i.Acknowledged, is)
	case s.RequireIncident == RequireAssigned:
		return i.Status != access.Resolved && slices.ContainsFunc(i.Assigned, is)
	}
	return i.Status == access.Triggered || i.Status == access.Acknowledged
}

func TestDecisionToApproveAlwaysRestsOnFactsThatQualify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		d := Decide(s.Rules, s.Facts)
		if d.Verdict != access.Approve {
			return
		}
		for _, c := range d.Checks {
			if c.Status != access.Passed {
				t.Fatalf("approved although check %s says %q", c.Name, c.Sentence)
			}
		}
		e := d.Evidence
		service := slices.IndexFunc(s.Facts.Services, func(n NamedService) bool { return n.Fact.Known() && n.Fact.Value == e.Service })
		schedule := slices.IndexFunc(s.Facts.Schedules, func(n NamedSchedule) bool {
			return n.Fact.Known() && n.Fact.Value.Schedule.Name == e.Schedule && n.Fact.Value.Schedule.ID == e.OnCall.Schedule
		})
		switch {
		case e.User != s.Facts.User.Value || !s.Facts.User.Known() || !access.SameName(s.Request.User, e.User.Email):
			t.Fatalf("approved %s as %s", s.Request.User, e.User.Email)
		case e.Schedule == "" && (service < 0 || !s.onCallFor(s.Facts.Services[service]) || !slices.Contains(s.OnCalls.Value.Entries, e.OnCall) || e.OnCall.Policy != e.Service.Policy):
			t.Fatalf("the evidence %+v is not among the facts", e)
		case e.Schedule != "" && (schedule < 0 || !s.onDutyBy(s.Facts.Schedules[schedule]) || e.OnCall.User != e.User):
			t.Fatalf("the evidence %+v is not among the facts", e)
		case e.Schedule == "" && e.OnCall.Level > s.MaxEscalationLevel && s.MaxEscalationLevel > 0:
			t.Fatalf("approved at level %d", e.OnCall.Level)
		case s.Account != "" && s.Account != "acme":
			t.Fatalf("approved with a key of account acme, %s is wanted", s.Account)
		}
		for _, role := range s.Request.Roles {
			if s.AutoApproveRoles != nil && !slices.Contains(s.AutoApproveRoles, role) {
				t.Fatalf("role %s was approved", role)
			}
		}
		onDuty := slices.ContainsFunc(s.Facts.Schedules, s.onDutyBy)
		if len(s.Request.Roles) > 1 {
			onDuty = !slices.ContainsFunc(s.Facts.Schedules, func(n NamedSchedule) bool { return !s.onDutyBy(n) })
			if !onDuty || slices.ContainsFunc(s.Facts.Services, func(n NamedService) bool { return !s.onCallFor(n) }) {
				t.Fatal("approved for several roles without being on call for all that they name")
			}
		}
		if s.RequireIncident == RequireNone {
			return
		}
		if len(e.Incidents) == 0 || !s.Facts.Incidents.Known() {
			t.Fatal("approved without an incident")
		}
		matches := false
		for _, i := range e.Incidents {
			fact := slices.IndexFunc(s.Facts.Incidents.Value, func(f IncidentFact) bool { return s.counts(f) && reflect.DeepEqual(f.Incident, i) })
			qualifies := slices.ContainsFunc(s.Facts.Services, func(n NamedService) bool {
				return n.Fact.Known() && n.Fact.Value.ID == i.Service && (onDuty || s.onCallFor(n))
			})
			if fact < 0 || !qualifies {
				t.Fatalf("incident %+v does not count", i)
			}
			matches = matches || e.Schedule != "" || i.Service == e.Service.ID
		}
		if !matches {
			t.Fatalf("no incident of the basis is on %s", e.Service.Name)
		}
	})
}

func TestDecisionEvidenceIsReadAtTheOldestOfTheFacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		d := Decide(s.Rules, s.Facts)
		if d.Verdict != access.Approve {
			return
		}
		used := []time.Time{s.Facts.User.ReadAt}
		if d.Evidence.Schedule == "" {
			used = append(used, s.OnCalls.ReadAt)
		}
		if s.RequireIncident != RequireNone {
			used = append(used, s.Facts.Incidents.ReadAt)
		}
		for _, n := range s.Facts.Services {
			if n.Fact.Known() && n.Fact.Value == d.Evidence.Service {
				used = append(used, n.Fact.ReadAt)
			}
		}
		for _, n := range s.Facts.Schedules {
			if n.Fact.Known() && n.Fact.Value.Schedule.Name == d.Evidence.Schedule {
				used = append(used, n.Fact.ReadAt)
			}
		}
		if oldest := slices.MinFunc(used, time.Time.Compare); d.Evidence.ReadAt.After(oldest) {
			t.Fatalf("the evidence is read at %s, a fact behind it at %s", d.Evidence.ReadAt, oldest)
		}
		if !slices.ContainsFunc(s.readTimes(), func(at *time.Time) bool { return at.Equal(d.Evidence.ReadAt) }) {
			t.Fatalf("nothing was read at %s", d.Evidence.ReadAt)
		}
	})
}

func TestDecisionIsNeverImprovedByAFactThatFailsOrCannotBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		if Decide(s.Rules, s.Facts).Verdict == access.Approve {
			return
		}
		failed := errDown
		if rapid.Bool().Draw(t, "for certain") {
			failed = fmt.Errorf("asking: %w", access.ErrNotFound)
		}
		which := rapid.IntRange(-3, len(s.Facts.Services)+len(s.Facts.Schedules)-1).Draw(t, "fact")
		switch {
		case which == -3:
			s.Facts.User.Err = failed
		case which == -2:
			s.OnCalls.Err = failed
		case which == -1:
			s.Facts.Incidents.Err = failed
		case which < len(s.Facts.Services):
			s.Facts.Services[which].Fact.Err = failed
		default:
			s.Facts.Schedules[which-len(s.Facts.Services)].Fact.Err = failed
		}
		if d := Decide(s.Rules, s.Facts); d.Verdict == access.Approve {
			t.Fatalf("approved once fact %d could not be read: %s", which, d.Sentence)
		}
	})
}

func TestDecisionIsNeverImprovedByAnotherNameOrAnIncidentThatDoesNotCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		if Decide(s.Rules, s.Facts).Verdict == access.Approve {
			return
		}
		switch rapid.IntRange(0, 4).Draw(t, "what is added") {
		case 0:
			s.Facts.Services = append(s.Facts.Services, NamedService{Ref: "broken", Fact: unknown[access.Service](errDown)})
		case 1:
			s.Facts.Services = append(s.Facts.Services, NamedService{Ref: "nowhere", Fact: notFound[access.Service]()})
		case 2:
			s.Facts.Schedules = append(s.Facts.Schedules, NamedSchedule{Ref: "broken", Fact: unknown[access.Duty](errDown)})
		case 3:
			s.Facts.Schedules = append(s.Facts.Schedules, NamedSchedule{Ref: "nowhere", Fact: notFound[access.Duty]()})
		case 4:
			s.Facts.Incidents.Value = append(s.Facts.Incidents.Value, rapid.Custom(anyIncident).Filter(func(i IncidentFact) bool { return !s.counts(i) }).Draw(t, "incident"))
		}
		if d := Decide(s.Rules, s.Facts); d.Verdict == access.Approve {
			t.Fatalf("approved once it was added: %s", d.Sentence)
		}
	})
}

// Without this the properties above might hold because nothing is ever approved.
func TestDecisionOfRandomFactsIsOftenToApprove(t *testing.T) {
	approved, withIncident := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		if d := Decide(s.Rules, s.Facts); d.Verdict == access.Approve {
			approved++
			withIncident += min(1, len(d.Evidence.Incidents))
		}
	})
	if approved == 0 || withIncident == 0 {
		t.Errorf("%d approvals, %d of them with an incident", approved, withIncident)
	}
}
