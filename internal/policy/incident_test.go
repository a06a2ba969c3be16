package policy

import (
	"slices"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestDecisionWithIncident(t *testing.T) {
	decides(t, []row{
		{"incident: none required, none there", func(s *situation) { s.open() }, access.Approve, onCallSince},
		{"incident open: one is triggered", func(s *situation) { s.require(RequireOpen); s.open(outage()) }, access.Approve,
			onCallSince + ", incident Q1 on payments (triggered by UEVE) is open"},
		{"incident open: one is acknowledged by somebody else", func(s *situation) { s.require(RequireOpen); s.open(outage(ackedBy(bob))) }, access.Approve,
			onCallSince + ", incident Q1 on payments (triggered by UEVE) is open"},
		{"incident open: triggered by no person", func(s *situation) { s.require(RequireOpen); s.open(outage(triggeredBy(""))) }, access.Approve,
			onCallSince + ", incident Q1 on payments (triggered automatically) is open"},
		{"incident open: several", func(s *situation) {
			s.require(RequireOpen)
			s.open(outage(), outage(id("Q2"), triggeredBy("")))
		}, access.Approve, onCallSince + ", incidents Q1 on payments (triggered by UEVE), Q2 on payments (triggered automatically) are open"},
		{"incident open: none is", func(s *situation) { s.require(RequireOpen); s.open() }, access.No, "no incident is open on payments"},
		{"incident open: a resolved one that a filter let through", func(s *situation) { s.require(RequireOpen); s.open(outage(status(access.Resolved))) }, access.No,
			"no incident is open on payments"},
		{"incident open: one with a status that nobody asked for", func(s *situation) { s.require(RequireOpen); s.open(outage(status("suspended"))) }, access.No,
			"no incident is open on payments"},
		{"incident open: one without an ID, which could not be shown later", func(s *situation) { s.require(RequireOpen); s.open(outage(id(""))) }, access.No,
			"no incident is open on payments"},
		{"incident open: one on another service that a filter let through", func(s *situation) { s.require(RequireOpen); s.open(outage(on(shipping))) }, access.No,
			"no incident is open on payments"},
		{"incident open: on a named service for which the requester is not on call", func(s *situation) {
			s.require(RequireOpen)
			s.bothServices()
			s.open(outage(on(shipping)))
		}, access.No, "no incident is open on payments"},
		{"incident open: on the second service for which the requester is on call, which is told", func(s *situation) {
			s.require(RequireOpen)
			s.bothServices()
			s.onCall(shift(), shift(level(2), of("PSHIP")))
			s.open(outage(on(shipping)))
		}, access.Approve, "alice@example.com is on call for shipping (level 2, since 2026-03-01T02:00:00Z), incident Q1 on shipping (triggered by UEVE) is open"},
		{"incident open: on a service for which the requester's level is too high", func(s *situation) {
			s.require(RequireOpen)
			s.MaxEscalationLevel = 1
			s.bothServices()
			s.onCall(shift(), shift(level(2), of("PSHIP")))
			s.open(outage(on(shipping)))
		}, access.No, "no incident is open on payments"},
		{"incident open: pdhook's own notification", func(s *situation) { s.require(RequireOpen); s.open(outage(notification)) }, access.No,
			"no open incident on payments counts: Q1 is pdhook's own notification"},
		{"incident open: pdhook's own notification, where own incidents count", func(s *situation) {
			s.require(RequireOpen)
			s.OwnIncidents = true
			s.open(outage(notification))
		}, access.No, "no open incident on payments counts: Q1 is pdhook's own notification"},
		{"incident open: triggered by the requester", func(s *situation) { s.require(RequireOpen); s.open(outage(triggeredBy("UALICE"))) }, access.No,
			"no open incident on payments counts: Q1 was triggered by alice@example.com"},
		{"incident open: triggered by the requester, where that counts", func(s *situation) {
			s.require(RequireOpen)
			s.OwnIncidents = true
			s.open(outage(triggeredBy("UALICE")))
		}, access.Approve, onCallSince + ", incident Q1 on payments (triggered by UALICE) is open"},
		{"incident open: who triggered it is not shown", func(s *situation) { s.require(RequireOpen); s.open(outage(triggerNotShown)) }, access.CouldNotTell,
			"PagerDuty does not show who triggered incident Q1"},
		{"incident open: who triggered it is not shown, and own incidents count: it may be pdhook's", func(s *situation) {
			s.require(RequireOpen)
			s.OwnIncidents = true
			s.open(outage(triggerNotShown))
		}, access.CouldNotTell, "PagerDuty does not show who triggered incident Q1"},
		{"incident open: one counts next to others that do not", func(s *situation) {
			s.require(RequireOpen)
			s.open(outage(notification), outage(id("Q2"), triggerNotShown), outage(id("Q3"), triggeredBy("UALICE")), outage(id("Q4")), outage(id("Q5"), on(shipping)))
		}, access.Approve, onCallSince + ", incident Q4 on payments (triggered by UEVE) is open"},
		{"incident open: of many that do not count three are told", func(s *situation) {
			s.require(RequireOpen)
			s.open(outage(notification), outage(id("Q2"), notification), outage(id("Q3"), notification), outage(id("Q4"), notification), outage(id("Q5"), notification))
		}, access.No, "no open incident on payments counts: Q1 is pdhook's own notification, Q2 is pdhook's own notification, Q3 is pdhook's own notification, and 2 more"},
		{"incident open: could not be read", func(s *situation) { s.require(RequireOpen); s.Facts.Incidents = unknown[[]IncidentFact](errDown) }, access.CouldNotTell,
			"what is open on payments could not be read: PagerDuty answers 503"},
		{"incident open: read in part", func(s *situation) { s.require(RequireOpen); s.open(outage()); s.Facts.Incidents.Err = errDown }, access.CouldNotTell,
			"what is open on payments could not be read: PagerDuty answers 503"},
		{"incident open: was not read", func(s *situation) { s.require(RequireOpen); s.Facts.Incidents = access.Fact[[]IncidentFact]{} }, access.CouldNotTell,
			"what is open on payments was not read"},
		{"incident open: one is, but the requester is not on call", func(s *situation) { s.require(RequireOpen); s.onCall(); s.open(outage()) }, access.No, notOnCall},
		{"incident open: none, but another named service could not be read", func(s *situation) {
			s.require(RequireOpen)
			s.bothServices()
			s.Services()[1].Fact = unknown[access.Service](errDown)
			s.open()
		}, access.CouldNotTell, `no incident is open on payments, and the service "shipping" could not be read: PagerDuty answers 503`},
		{"incident open: one is, although another named service could not be read", func(s *situation) {
			s.require(RequireOpen)
			s.bothServices()
			s.Services()[1].Fact = unknown[access.Service](errDown)
			s.open(outage())
		}, access.Approve, onCallSince + ", incident Q1 on payments (triggered by UEVE) is open"},
		{"incident open: none, but a schedule that might widen where could not be read", func(s *situation) {
			s.require(RequireOpen)
			s.bothServices()
			s.schedule("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](errDown)
			s.open()
		}, access.CouldNotTell, `no incident is open on payments, and the schedule "night" could not be read: PagerDuty answers 503`},

		{"incident acknowledged: by the requester", func(s *situation) { s.require(RequireAcknowledged); s.open(outage(ackedBy(alice))) }, access.Approve,
			onCallSince + ", incident Q1 on payments (triggered by UEVE) is acknowledged by alice@example.com"},
		{"incident acknowledged: by the requester and another", func(s *situation) { s.require(RequireAcknowledged); s.open(outage(ackedBy(bob, alice))) }, access.Approve,
			onCallSince + ", incident Q1 on payments (triggered by UEVE) is acknowledged by alice@example.com"},
		{"incident acknowledged: by another", func(s *situation) { s.require(RequireAcknowledged); s.open(outage(ackedBy(bob))) }, access.No,
			"no open incident on payments counts: Q1 is not acknowledged by alice@example.com"},
		{"incident acknowledged: by the requester, but triggered again", func(s *situation) {
			s.require(RequireAcknowledged)
			s.open(outage(ackedBy(alice), status(access.Triggered)))
		}, access.No, "no open incident on payments counts: Q1 is not acknowledged by alice@example.com"},
		{"incident acknowledged: none is open", func(s *situation) { s.require(RequireAcknowledged); s.open() }, access.No, "no incident is open on payments"},
		{"incident acknowledged: it is, but the requester triggered it", func(s *situation) {
			s.require(RequireAcknowledged)
			s.open(outage(ackedBy(alice), triggeredBy("UALICE")))
		}, access.No, "no open incident on payments counts: Q1 was triggered by alice@example.com"},
		{"incident acknowledged: by another, and who triggered it is not shown", func(s *situation) {
			s.require(RequireAcknowledged)
			s.open(outage(ackedBy(bob), triggerNotShown))
		}, access.No, "no open incident on payments counts: Q1 is not acknowledged by alice@example.com"},
		{"incident acknowledged: pdhook's own, by the requester", func(s *situation) { s.require(RequireAcknowledged); s.open(outage(ackedBy(alice), notification)) },
			access.No, "no open incident on payments counts: Q1 is pdhook's own notification"},

		{"incident assigned: to the requester", func(s *situation) { s.require(RequireAssigned); s.open(outage(assignedTo(bob, alice))) }, access.Approve,
			onCallSince + ", incident Q1 on payments (triggered by UEVE) is assigned to alice@example.com"},
		{"incident assigned: to another", func(s *situation) { s.require(RequireAssigned); s.open(outage(assignedTo(bob))) }, access.No,
			"no open incident on payments counts: Q1 is not assigned to alice@example.com"},
		{"incident assigned: to nobody, acknowledged by the requester", func(s *situation) { s.require(RequireAssigned); s.open(outage(ackedBy(alice))) }, access.No,
			"no open incident on payments counts: Q1 is not assigned to alice@example.com"},

		{"incident by schedule: on a named service", func(s *situation) {
			s.require(RequireOpen)
			s.onCall()
			s.schedule("night", turn())
			s.open(outage())
		}, access.Approve, onNight + ", incident Q1 on payments (triggered by UEVE) is open"},
		{"incident by schedule: none on a named service", func(s *situation) {
			s.require(RequireOpen)
			s.onCall()
			s.schedule("night", turn())
			s.open(outage(on(shipping)))
		}, access.No, "no incident is open on payments"},
		{"incident by schedule: on call for one service, the incident is on the other", func(s *situation) {
			s.require(RequireOpen)
			s.bothServices()
			s.schedule("night", turn())
			s.open(outage(on(shipping)))
		}, access.Approve, onNight + ", incident Q1 on shipping (triggered by UEVE) is open"},
		{"incident by schedule: schedules alone", func(s *situation) { s.require(RequireOpen); s.scheduleAlone("night", turn()) }, access.No,
			"an incident is required, but the role names only schedules, and only services have incidents"},
		{"incident by schedule: the named service could not be read", func(s *situation) {
			s.require(RequireOpen)
			s.schedule("night", turn())
			s.Services()[0].Fact = unknown[access.Service](errDown)
		}, access.CouldNotTell, `the service "payments" could not be read: PagerDuty answers 503`},
		{"incident by schedule: PagerDuty knows no named service", func(s *situation) {
			s.require(RequireOpen)
			s.schedule("night", turn())
			s.Services()[0].Fact = notFound[access.Service]()
		}, access.No, "an incident is required, but PagerDuty knows no service that the role names"},
	})
}

func TestIncidentsWanted(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given func(*situation)
		want  []access.ServiceID
	}{
		{"none required", func(s *situation) { s.require(RequireNone) }, nil},
		{"on call for one of two services", func(s *situation) { s.bothServices() }, []access.ServiceID{"SPAY"}},
		{"on call for both", func(s *situation) { s.bothServices(); s.onCall(shift(of("PSHIP")), shift()) }, []access.ServiceID{"SPAY", "SSHIP"}},
		{"on a schedule: every service that is named", func(s *situation) { s.bothServices(); s.onCall(); s.schedule("night", turn()) }, []access.ServiceID{"SPAY", "SSHIP"}},
		{"not on call", func(s *situation) { s.onCall() }, nil},
		{"on a schedule alone", func(s *situation) { s.scheduleAlone("night", turn()) }, nil},
		{"two names of one service", func(s *situation) {
			s.Facts.Services = append(s.Facts.Services, NamedService{Ref: "id:SPAY", Fact: known(payments)})
		}, []access.ServiceID{"SPAY"}},
	} {
		s := approvable()
		s.require(RequireOpen)
		tt.given(&s)
		if got := IncidentsWanted(s.Rules, s.Facts); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
