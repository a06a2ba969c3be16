package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestDecisionEvidenceIsTheLowestEntryAndItsOldestFact(t *testing.T) {
	s := approvable()
	s.bothServices()
	s.onCall(shift(level(2)), shift(level(1), of("PSHIP")), shift(level(3), of("PSHIP")))
	s.Facts.Services[1].Fact.ReadAt = now.Add(-3 * time.Second)
	s.User.ReadAt = now.Add(-2 * time.Second)
	e := Decide(s.Rules, s.Facts).Evidence
	if e == nil || e.User.ID != "UALICE" || e.Service.ID != "SSHIP" || e.OnCall.Policy != "PSHIP" || e.OnCall.Level != 1 {
		t.Fatalf("evidence = %+v, want level 1 for shipping", e)
	}
	if age := now.Sub(e.ReadAt); age != 3*time.Second {
		t.Errorf("the oldest fact is %s old, want 3s", age)
	}
}

func TestDecisionEvidenceIsAsOldAsTheOldestOfAllFacts(t *testing.T) {
	old := now.Add(-9 * time.Second)
	for name, age := range map[string]func(*situation){
		"user":      func(s *situation) { s.User.ReadAt = old },
		"service":   func(s *situation) { s.Facts.Services[0].Fact.ReadAt = old },
		"schedule":  func(s *situation) { s.Facts.Schedules[0].Fact.ReadAt = old },
		"on-calls":  func(s *situation) { s.OnCalls.ReadAt = old },
		"incidents": func(s *situation) { s.Facts.Incidents.ReadAt = old },
	} {
		s := approvable()
		s.require(RequireOpen)
		s.schedule("night", turn())
		s.open(outage())
		age(&s)
		e := Decide(s.Rules, s.Facts).Evidence
		if e == nil || !e.ReadAt.Equal(old) {
			t.Errorf("with an old %s: evidence = %+v, want it read at %s", name, e, old)
		}
	}
}

func TestDecisionEvidenceOfAScheduleNamesIt(t *testing.T) {
	s := approvable()
	s.scheduleAlone("night", turn())
	e := Decide(s.Rules, s.Facts).Evidence
	want := access.OnCall{User: alice, Schedule: "SNIGHT", Start: now.Add(-time.Hour), End: now.Add(time.Hour)}
	if e == nil || e.Schedule != "night" || e.Service != (access.Service{}) || e.OnCall != want {
		t.Errorf("evidence = %+v, want the shift on night", e)
	}
}

func TestDecisionEvidenceHoldsTheIncidentsThatCount(t *testing.T) {
	s := approvable()
	s.require(RequireOpen)
	s.open(outage(notification), outage(id("Q2")), outage(id("Q3"), status(access.Resolved)), outage(id("Q4"), ackedBy(bob)))
	if got := idsOf(Decide(s.Rules, s.Facts).Evidence.Incidents); !slices.Equal(got, []string{"Q2", "Q4"}) {
		t.Errorf("basis = %v, want Q2 and Q4", got)
	}
	var storm []IncidentFact
	for n := range 500 {
		storm = append(storm, outage(id(access.IncidentID(fmt.Sprintf("Q%013d", n)))))
	}
	s.open(storm...)
	d := Decide(s.Rules, s.Facts)
	if got := len(d.Evidence.Incidents); got != mostIncidents {
		t.Errorf("the basis of a storm holds %d incidents, want %d", got, mostIncidents)
	}
	if reason := ReviewReason(d); len(reason) > 4096 || !strings.Contains(reason, "\npdhook: basis=Q0000000000000,") {
		t.Errorf("the reason has %d bytes: %s", len(reason), reason)
	}
}

func TestDecisionSentencesAndEvidenceAgree(t *testing.T) {
	s := approvable()
	s.bothServices()
	s.onCall(shift(level(2)), shift(level(1), of("PSHIP")))
	d := Decide(s.Rules, s.Facts)
	if want := fmt.Sprintf("for %s (level %d", d.Evidence.Service.Name, d.Evidence.OnCall.Level); !strings.Contains(d.Sentence, want) {
		t.Errorf("the sentence is %q, the evidence says %q", d.Sentence, want)
	}
}
