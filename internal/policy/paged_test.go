package policy

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func shiftBased(e *access.OnCall) { e.Schedule, e.ShiftBased = "SSHIFT", true }

// pages lets the shift-based schedule show these shifts.
func (s *situation) pages(shifts ...access.Shift) {
	s.Paging = map[access.ScheduleID]access.Fact[access.Duty]{
		"SSHIFT": known(access.Duty{Schedule: access.Schedule{ID: "SSHIFT", Shifts: shifts}, Now: now}),
	}
}

func TestDecisionByAShiftThatMayPageNobody(t *testing.T) {
	const unpaged = "alice@example.com is on call for payments by the schedule SSHIFT, but not paged"
	decides(t, []row{
		{"paged", func(s *situation) { s.onCall(shift(shiftBased)); s.pages(turn()) }, access.Approve, onCallSince},
		{"paged beside others", func(s *situation) { s.onCall(shift(shiftBased)); s.pages(turn(whose(bob.ID)), turn()) }, access.Approve, onCallSince},
		{"a shadow", func(s *situation) { s.onCall(shift(shiftBased)); s.pages(turn(whose(bob.ID))) }, access.No, unpaged},
		{"a shadow whose own shift comes later", func(s *situation) {
			s.onCall(shift(shiftBased))
			s.pages(turn(lasts(time.Minute, time.Hour)))
		}, access.No, unpaged},
		{"the schedule was not read", func(s *situation) { s.onCall(shift(shiftBased)) }, access.CouldNotTell,
			"whom the shift-based schedule SSHIFT pages was not read"},
		{"the schedule could not be read", func(s *situation) {
			s.onCall(shift(shiftBased))
			s.Paging = map[access.ScheduleID]access.Fact[access.Duty]{"SSHIFT": unknown[access.Duty](errDown)}
		}, access.CouldNotTell, "whom the shift-based schedule SSHIFT pages could not be read: PagerDuty answers 503"},
		{"another schedule came", func(s *situation) {
			s.onCall(shift(shiftBased))
			s.pages(turn())
			s.Paging["SSHIFT"] = known(access.Duty{Schedule: access.Schedule{ID: "SOTHER", Shifts: []access.Shift{turn()}}, Now: now})
		}, access.CouldNotTell, "whom the shift-based schedule SSHIFT pages was not read"},
		{"a shadow at level 1, paged at level 2", func(s *situation) { s.onCall(shift(shiftBased), shift(level(2))); s.pages() }, access.Approve,
			"alice@example.com is on call for payments (level 2, since 2026-03-01T02:00:00Z)"},
		{"a shadow at level 1, paged at a level that is too high", func(s *situation) {
			s.MaxEscalationLevel = 1
			s.onCall(shift(shiftBased), shift(level(2)))
			s.pages()
		}, access.No, "alice@example.com is on call for payments only at level 2, at most 1 is allowed"},
		{"at level 1 not told, paged at a level that is too high", func(s *situation) {
			s.MaxEscalationLevel = 1
			s.onCall(shift(shiftBased), shift(level(2)))
		}, access.CouldNotTell, "whom the shift-based schedule SSHIFT pages was not read"},
		{"not told, but paged by another schedule", func(s *situation) { s.onCall(shift(shiftBased), shift()) }, access.Approve, onCallSince},
	})
}

func TestDecisionEvidenceIsAsOldAsWhatTellsWhoIsPaged(t *testing.T) {
	s := approvable()
	s.onCall(shift(shiftBased))
	s.pages(turn())
	duty := s.Paging["SSHIFT"]
	duty.ReadAt = now.Add(-7 * time.Second)
	s.Paging["SSHIFT"] = duty
	d := Decide(s.Rules, s.Facts)
	if got, shown := d.Evidence.ReadAt, d.Checks[2].ReadAt; !got.Equal(duty.ReadAt) || !shown.Equal(duty.ReadAt) {
		t.Errorf("evidence of %s, shown as of %s, want %s", got, shown, duty.ReadAt)
	}
}
