package policy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/access"
)

// anyFact draws a fact that is known, could not be read, is surely not there, or was never asked for.
func anyFact[T any](t *rapid.T, label string, value T) access.Fact[T] {
	switch rapid.SampledFrom([]string{"known", "known", "known", "error", "not found", "not read"}).Draw(t, label) {
	case "error":
		return unknown[T](errDown)
	case "not found":
		return notFound[T]()
	case "not read":
		return access.Fact[T]{Value: value}
	}
	return known(value)
}

func anySituation(t *rapid.T) situation {
	s := approvable()
	s.MaxEscalationLevel = rapid.IntRange(0, 3).Draw(t, "max level")
	s.Account = rapid.SampledFrom([]string{"", "acme", "umbrella"}).Draw(t, "account")
	s.Request.User = rapid.SampledFrom([]string{"alice@example.com", "ALICE@example.com", "bob@example.com", "alice"}).Draw(t, "requester")
	s.Request.Roles = rapid.SampledFrom([][]string{{"dev"}, {"dev", "ship"}}).Draw(t, "roles")
	s.Request.Reviews = rapid.SampledFrom([][]access.Review{nil, {{Author: "bob", State: access.Approved}}, {{Author: "bob", State: access.Denied}}}).Draw(t, "reviews")
	s.Facts.User = anyFact(t, "user fact", rapid.SampledFrom([]access.User{alice, alice, bob}).Draw(t, "user"))
	s.Facts.Services = nil
	for _, service := range rapid.SampledFrom([][]access.Service{{payments}, {payments, shipping}, {}}).Draw(t, "services") {
		s.Facts.Services = append(s.Facts.Services, NamedService{Ref: service.Name, Fact: anyFact(t, service.Name, service)})
	}
	var entries []access.OnCall
	for range rapid.IntRange(0, 4).Draw(t, "entries") {
		start := time.Duration(rapid.IntRange(-3, 3).Draw(t, "start")) * time.Hour
		entries = append(entries, shift(
			by(rapid.SampledFrom([]access.User{alice, bob}).Draw(t, "entry of")),
			of(rapid.SampledFrom([]access.PolicyID{"PPAY", "PSHIP", "POTHER"}).Draw(t, "entry policy")),
			level(rapid.IntRange(0, 4).Draw(t, "entry level")),
			from(start, start+2*time.Hour)))
	}
	s.OnCalls = anyFact(t, "on call", OnCalls{Entries: entries, Now: now})
	return s
}

func TestDecisionToApproveAlwaysRestsOnAMatchingCurrentEntry(t *testing.T) {
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
		if !slices.Contains(s.OnCalls.Value.Entries, e.OnCall) || !s.OnCalls.Known() {
			t.Fatalf("the evidence %+v is not among the facts", e.OnCall)
		}
		named := slices.ContainsFunc(s.Facts.Services, func(n NamedService) bool { return n.Fact.Known() && n.Fact.Value == e.Service })
		switch {
		case !named || e.OnCall.Policy != e.Service.Policy:
			t.Fatalf("the evidence is for %s, which is not named", e.OnCall.Policy)
		case e.OnCall.User != e.User || !access.SameName(e.User.Email, s.Request.User) || !s.Facts.User.Known():
			t.Fatalf("the evidence is of %s, the requester is %s", e.User.Email, s.Request.User)
		case e.OnCall.Level < 1 || (s.MaxEscalationLevel > 0 && e.OnCall.Level > s.MaxEscalationLevel):
			t.Fatalf("the evidence has level %d of %d", e.OnCall.Level, s.MaxEscalationLevel)
		case e.OnCall.Start.After(now) || !e.OnCall.End.After(now):
			t.Fatalf("the entry is not current: %s to %s", e.OnCall.Start, e.OnCall.End)
		case s.Account != "" && s.Account != e.User.Account:
			t.Fatalf("the account is %s", e.User.Account)
		}
		if len(s.Request.Roles) > 1 {
			for _, n := range s.Facts.Services {
				if !slices.ContainsFunc(s.OnCalls.Value.Entries, func(o access.OnCall) bool {
					return n.Fact.Known() && o.Policy == n.Fact.Value.Policy && o.User == e.User && o.At(now) && o.Level >= 1
				}) {
					t.Fatalf("approved for several roles without being on call for %s", n.Ref)
				}
			}
		}
	})
}

func TestDecisionIsNeverImprovedByAFactThatCannotBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySituation(t)
		if Decide(s.Rules, s.Facts).Verdict == access.Approve {
			return
		}
		which := rapid.IntRange(-2, len(s.Facts.Services)-1).Draw(t, "unknown fact")
		switch which {
		case -2:
			s.Facts.User = unknown[access.User](errDown)
		case -1:
			s.OnCalls = unknown[OnCalls](errDown)
		default:
			s.Facts.Services[which].Fact = unknown[access.Service](errDown)
		}
		if d := Decide(s.Rules, s.Facts); d.Verdict == access.Approve {
			t.Fatalf("approved once fact %d could not be read: %s", which, d.Sentence)
		}
	})
}
