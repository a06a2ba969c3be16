package policy

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestDecisionBySchedule(t *testing.T) {
	decides(t, []row{
		{"schedule: on it", func(s *situation) { s.scheduleAlone("night", turn()) }, access.Approve, onNight},
		{"schedule: by ID", func(s *situation) { s.scheduleAlone("id:SNIGHT", turn()) }, access.Approve, onNight},
		{"schedule: nobody is", func(s *situation) { s.scheduleAlone("night") }, access.No, notOnNight},
		{"schedule: somebody else is", func(s *situation) { s.scheduleAlone("night", turn(whose("UBOB"))) }, access.No, notOnNight},
		{"schedule: several people are", func(s *situation) { s.scheduleAlone("night", turn(whose("UBOB")), turn(), turn(whose("UEVE"))) }, access.Approve, onNight},
		{"schedule: the shift starts in a second", func(s *situation) { s.scheduleAlone("night", turn(lasts(time.Second, time.Hour))) }, access.No,
			notOnNight + ", next from 2026-03-01T03:00:01Z"},
		{"schedule: the first of two coming shifts is announced", func(s *situation) {
			s.scheduleAlone("night", turn(lasts(5*time.Hour, 6*time.Hour)), turn(lasts(time.Hour, 2*time.Hour)), turn(whose("UBOB"), lasts(time.Minute, time.Hour)))
		}, access.No, notOnNight + ", next from 2026-03-01T04:00:00Z"},
		{"schedule: the shift starts now", func(s *situation) { s.scheduleAlone("night", turn(lasts(0, time.Hour))) }, access.Approve,
			"alice@example.com is on call on the schedule night (since 2026-03-01T03:00:00Z)"},
		{"schedule: the shift ended now", func(s *situation) { s.scheduleAlone("night", turn(lasts(-time.Hour, 0))) }, access.No, notOnNight},
		{"schedule: a shift without an end", func(s *situation) {
			s.scheduleAlone("night", access.Shift{User: "UALICE", Start: now.Add(-time.Hour)})
		}, access.Approve, onNight},
		{"schedule: a shift without a start", func(s *situation) { s.scheduleAlone("night", access.Shift{User: "UALICE"}) }, access.Approve,
			"alice@example.com is on call on the schedule night (always)"},
		{"schedule: a shift of nobody", func(s *situation) {
			s.scheduleAlone("night", turn(whose("")))
		}, access.No, notOnNight},
		{"schedule: PagerDuty's clock decides, not ours", func(s *situation) {
			s.scheduleAlone("night", turn())
			s.Facts.Schedules[0].Fact.Value.Now = now.Add(2 * time.Hour)
		}, access.No, notOnNight},
		{"schedule: the level limit does not apply", func(s *situation) {
			s.MaxEscalationLevel = 1
			s.onCall(shift(level(2)))
			s.schedule("night", turn())
		}, access.Approve, onNight},
		{"schedule: on it, not on call for the service", func(s *situation) { s.onCall(); s.schedule("night", turn()) }, access.Approve, onNight},
		{"schedule: not on it, on call for the service", func(s *situation) { s.schedule("night") }, access.Approve, onCallSince},
		{"schedule: on it and on call for the service, which is told first", func(s *situation) { s.schedule("night", turn()) }, access.Approve, onCallSince},
		{"schedule: on the second of two", func(s *situation) {
			s.scheduleAlone("day")
			s.schedule("night", turn())
		}, access.Approve, onNight},
		{"schedule: neither on it nor on call for the service", func(s *situation) { s.onCall(); s.schedule("night") }, access.No, notOnCall},
		{"schedule: unknown to PagerDuty", func(s *situation) {
			s.scheduleAlone("night")
			s.Facts.Schedules[0].Fact = notFound[access.Duty]()
		}, access.No, `PagerDuty knows no schedule "night"`},
		{"schedule: one unknown to PagerDuty, on the other", func(s *situation) {
			s.scheduleAlone("day")
			s.Facts.Schedules[0].Fact = notFound[access.Duty]()
			s.schedule("night", turn())
		}, access.Approve, onNight},
		{"schedule: ambiguous", func(s *situation) {
			s.scheduleAlone("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](&access.AmbiguousError{Kind: "schedule", Name: "night", IDs: []string{"S1", "S2"}})
		}, access.CouldNotTell, `the schedule "night" could not be read: schedule "night" is ambiguous: S1, S2`},
		{"schedule: could not be read", func(s *situation) {
			s.scheduleAlone("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](errDown)
		}, access.CouldNotTell, `the schedule "night" could not be read: PagerDuty answers 503`},
		{"schedule: could not be read, not on call for the service", func(s *situation) {
			s.onCall()
			s.schedule("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](errDown)
		}, access.CouldNotTell, `the schedule "night" could not be read: PagerDuty answers 503`},
		{"schedule: could not be read, on call for the service", func(s *situation) {
			s.schedule("night")
			s.Facts.Schedules[0].Fact = unknown[access.Duty](errDown)
		}, access.Approve, onCallSince},
		{"schedule: was not read", func(s *situation) {
			s.scheduleAlone("night")
			s.Facts.Schedules[0].Fact = access.Fact[access.Duty]{}
		}, access.CouldNotTell, `the schedule "night" was not read`},
		{"schedule: an answer without PagerDuty's time", func(s *situation) {
			s.scheduleAlone("night", turn())
			s.Facts.Schedules[0].Fact.Value.Now = time.Time{}
		}, access.CouldNotTell, `the schedule "night" was not read`},
		{"schedule: the requester could not be read", func(s *situation) {
			s.scheduleAlone("night", turn())
			s.User = unknown[access.User](errDown)
		}, access.CouldNotTell, "the PagerDuty user alice@example.com could not be read: PagerDuty answers 503"},
	})
}
