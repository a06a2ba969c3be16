package pagerduty

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func onDuty(s access.Schedule, now time.Time) (users []string) {
	for _, shift := range s.Shifts {
		if shift.At(now) {
			users = append(users, string(shift.User))
		}
	}
	slices.Sort(users)
	return users
}

func TestSchedulesThatNoPolicyUsesAreReadWithOverridesAndGaps(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	hour := time.Hour
	now := time.Now()
	for _, add := range []func(string) pagerdutytest.Schedule{a.AddSchedule, a.AddShiftSchedule} {
		s := add(fmt.Sprintf("Spare %d", len(a.Requests())))
		read := func(want ...string) {
			t.Helper()
			for _, ref := range []string{s.Name, "id:" + s.ID} {
				got, at, err := a.client.Schedule(t.Context(), ref, time.Time{})
				if err != nil || string(got.ID) != s.ID || got.Name != s.Name || got.Account != "acme" || !slices.Equal(onDuty(got, at), want) {
					t.Errorf("%s: got %+v, %v, want %v on duty", ref, got, err, want)
				}
			}
		}
		read()
		a.SetOnCall(s.ID, a.alice.ID, now.Add(-hour), now.Add(hour))
		read(a.alice.ID)
		a.SetOnCall(s.ID, a.bob.ID, now.Add(-2*hour), time.Time{}) // several people at once, one without an end
		read(a.alice.ID, a.bob.ID)
		a.Override(s.ID, a.bot.ID, now.Add(-hour/2), now.Add(hour/2))
		read(a.bot.ID)
		a.ClearSchedule(s.ID)
		a.SetOnCall(s.ID, a.alice.ID, now.Add(-2*hour), now.Add(-hour)) // a gap
		a.SetOnCall(s.ID, a.bob.ID, now.Add(hour), now.Add(2*hour))
		read()
	}
}

func TestAnEmptyMemberIsNobody(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	s := a.AddShiftSchedule("Spare")
	a.SetOnCall(s.ID, "", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	got, _, err := a.client.Schedule(t.Context(), "spare", time.Time{})
	if err != nil || len(got.Shifts) != 0 {
		t.Errorf("got %+v, %v, want no shift", got, err)
	}
}

func TestShiftsShowTheirOwnBoundsAndTheNextStart(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	begin := time.Now().Add(-3 * time.Hour).Truncate(time.Second)
	next := time.Now().Add(5 * time.Hour).Truncate(time.Second)
	for _, upgrade := range []bool{false, true} {
		if upgrade {
			a.UpgradeSchedule(a.primary.ID)
		}
		a.ClearSchedule(a.primary.ID)
		a.SetOnCall(a.primary.ID, a.alice.ID, begin, next)
		a.SetOnCall(a.primary.ID, a.bob.ID, next, next.Add(48*time.Hour))
		got, _, err := a.client.Schedule(t.Context(), "Primary", next.Add(time.Minute))
		want := []access.Shift{
			{User: access.UserID(a.alice.ID), Start: begin.UTC(), End: next.UTC()},
			{User: access.UserID(a.bob.ID), Start: next.UTC(), End: next.Add(48 * time.Hour).UTC()},
		}
		if err != nil || !slices.Equal(got.Shifts, want) {
			t.Errorf("upgraded %t: got %+v, %v, want %+v", upgrade, got.Shifts, err, want)
		}
		entries, _, err := a.client.OnCalls(t.Context(), access.OnCallQuery{Users: []access.UserID{access.UserID(a.bob.ID)}, Until: next.Add(time.Minute)})
		if err != nil || !slices.ContainsFunc(entries, func(e access.OnCall) bool { return e.Start.Equal(next) && string(e.Schedule) == a.primary.ID }) {
			t.Errorf("upgraded %t: got entries %+v, %v, want the shift on Primary", upgrade, entries, err)
		}
	}
}

func TestTwoSchedulesOfOneNameAcrossKindsAreAmbiguous(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	other := a.AddShiftSchedule("PRIMARY")
	_, _, err := a.client.Schedule(t.Context(), "primary", time.Time{})
	want := []string{a.primary.ID, other.ID}
	slices.Sort(want)
	if got, ok := errors.AsType[*access.AmbiguousError](err); !ok || !slices.Equal(got.IDs, want) {
		t.Errorf("got %v, want it ambiguous between %v", err, want)
	}
}

func TestALostPageOrIgnoredFiltersNeverHideASchedule(t *testing.T) {
	for _, shiftBased := range []bool{false, true} {
		a := newAccount(t, pagerdutytest.Options{})
		add := a.AddSchedule
		if shiftBased {
			add = a.AddShiftSchedule
		}
		for n := range 120 {
			add(fmt.Sprintf("Night %d", n))
		}
		s := add("Night")
		a.SetOnCall(s.ID, a.alice.ID, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.LosePage})
		if _, _, err := a.client.Schedule(t.Context(), "Night", time.Time{}); err == nil || errors.Is(err, access.ErrNotFound) {
			t.Errorf("shift-based %t: got %v, want could not tell without the second page", shiftBased, err)
		}
		a.ClearFaults()
		a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.IgnoreFilters})
		if got, _, err := a.client.Schedule(t.Context(), "Night", time.Time{}); !shiftBased && (err != nil || string(got.ID) != s.ID) {
			t.Errorf("got %+v, %v, want Night among all schedules", got, err)
		} else if shiftBased && (err == nil || errors.Is(err, access.ErrNotFound)) { // without include[] there is no final schedule
			t.Errorf("got %+v, %v, want could not tell", got, err)
		}
	}
}

func TestOpenIncidentsOfAnAccount(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	ours := a.open(t)
	alert := a.AddIncident(a.payments.ID, pagerdutytest.IncidentOptions{Title: "disk full"})
	a.Acknowledge(alert.ID, a.alice.ID)
	over := a.AddIncident(a.payments.ID, pagerdutytest.IncidentOptions{Title: "over", By: a.bob.ID})
	a.Resolve(over.ID, a.bob.ID)
	other := a.AddService("Other", a.policy.ID)
	for n := range 110 {
		a.AddIncident(other.ID, pagerdutytest.IncidentOptions{Title: "other", Key: fmt.Sprint(n)})
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.IgnoreFilters, Route: "GET /incidents", Times: 2})
	for range 2 {
		got, err := a.client.OpenIncidents(t.Context(), []access.ServiceID{access.ServiceID(a.payments.ID)})
		if err != nil || len(got) != 2 || string(got[0].ID) != alert.ID || got[1].ID != ours.ID {
			t.Fatalf("got %+v, %v, want the alert, then our own", got, err)
		}
		if got[0].TriggeredBy != "" || got[0].TriggerNotShown || string(got[1].TriggeredBy) != a.bot.ID {
			t.Errorf("got triggered by %q and %q, want an integration and the bot", got[0].TriggeredBy, got[1].TriggeredBy)
		}
		alice := access.User{ID: access.UserID(a.alice.ID), Name: "Alice"}
		if !slices.Equal(got[0].Acknowledged, []access.User{alice}) || !slices.Equal(got[0].Assigned, []access.User{alice}) || !slices.Equal(got[1].Assigned, []access.User{alice}) {
			t.Errorf("got %+v, want the alert with Alice, ours assigned to her", got)
		}
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.LosePage})
	if got, err := a.client.OpenIncidents(t.Context(), []access.ServiceID{access.ServiceID(a.payments.ID), access.ServiceID(other.ID)}); err == nil {
		t.Errorf("got %d incidents, want could not tell without the second page", len(got))
	}
}

func TestWhoResolvedAnIncidentLastIsFoundAndItIsReopened(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.OddLogEntries})
	opened := a.open(t)
	resolver := func() access.User {
		t.Helper()
		who, err := a.client.Resolver(t.Context(), opened.ID)
		if err != nil {
			t.Errorf("reading who resolved it: %v", err)
		}
		return who
	}
	if _, err := a.client.Resolver(t.Context(), opened.ID); err == nil {
		t.Error("got no error for an incident that was never resolved")
	}
	a.Acknowledge(string(opened.ID), a.bob.ID)
	a.Resolve(string(opened.ID), a.alice.ID)
	if who := resolver(); string(who.ID) != a.alice.ID || who.Name != "Alice" {
		t.Errorf("got %+v, want Alice", who)
	}
	if err := a.client.Reopen(t.Context(), opened.ID); err != nil {
		t.Fatalf("reopening: %v", err)
	}
	if got, err := a.client.Incident(t.Context(), opened.ID, ""); err != nil || got.Status != access.Triggered {
		t.Errorf("got %+v, %v, want it triggered again", got, err)
	}
	a.Resolve(string(opened.ID), "")
	if who := resolver(); who.ID != "" {
		t.Errorf("got %+v, want nobody: a time-out resolved it last", who)
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.RefuseReopen})
	if err := a.client.Reopen(t.Context(), opened.ID); !access.IsPermanent(err) || access.IsUnclear(err) {
		t.Errorf("got %v, want a permanent error", err)
	}
}
