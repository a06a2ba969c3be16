package policy

import (
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestDecisionNextIsTheFirstMomentThatChangesIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		given func(*situation)
		want  time.Time
	}{
		{"nothing is announced", func(s *situation) { s.onCall() }, time.Time{}},
		{"the first of two shifts", func(s *situation) {
			s.onCall(shift(from(2*time.Hour, 3*time.Hour)), shift(from(time.Hour, 2*time.Hour)))
		}, now.Add(time.Hour)},
		{"the assume-start time before the shift", func(s *situation) {
			s.onCall(shift(from(time.Hour, 2*time.Hour)))
			s.Request.AssumeStart = now.Add(time.Minute)
		}, now.Add(time.Minute)},
		{"an assume-start time by PagerDuty's clock, a minute ahead of ours", func(s *situation) {
			s.OnCalls.ReadAt, s.OnCalls.Value.Now = now, now.Add(time.Minute)
			s.Request.AssumeStart = now.Add(time.Hour)
		}, now.Add(59 * time.Minute)},
		{"an assume-start time that PagerDuty, ahead of us, has passed", func(s *situation) {
			s.onCall()
			s.OnCalls.ReadAt, s.OnCalls.Value.Now = now, now.Add(time.Minute)
			s.Request.AssumeStart = now.Add(30 * time.Second)
		}, time.Time{}},
		{"an assume-start time where PagerDuty did not tell the time", func(s *situation) {
			s.OnCalls = unknown[access.OnCalls](errDown)
			s.Request.AssumeStart = now.Add(time.Minute)
		}, now.Add(time.Minute)},
		{"an assume-start time that is over", func(s *situation) { s.onCall(); s.Request.AssumeStart = now.Add(-time.Minute) }, time.Time{}},
		{"nobody's shift on a schedule does not count, whoever asks", func(s *situation) {
			s.onCall()
			s.User = known(access.User{})
			s.schedule("night", turn(whose(""), lasts(time.Hour, 2*time.Hour)))
		}, time.Time{}},
		{"a shift at too high a level does not count", func(s *situation) { s.MaxEscalationLevel = 1; s.onCall(shift(level(2), from(time.Hour, 2*time.Hour))) }, time.Time{}},
		{"a shift of a policy that is not named does not count", func(s *situation) { s.onCall(shift(of("POTHER"), from(time.Hour, 2*time.Hour))) }, time.Time{}},
		{"somebody else's shift does not count", func(s *situation) { s.onCall(shift(by(bob), from(time.Hour, 2*time.Hour))) }, time.Time{}},
		{"a shift on a schedule before one for the service", func(s *situation) {
			s.onCall(shift(from(2*time.Hour, 3*time.Hour)))
			s.schedule("night", turn(lasts(time.Hour, 2*time.Hour)))
			s.Facts.Schedules[0].Fact.ReadAt = now
		}, now.Add(time.Hour)},
		{"somebody else's shift on a schedule does not count", func(s *situation) {
			s.onCall()
			s.schedule("night", turn(whose("UBOB"), lasts(time.Hour, 2*time.Hour)))
		}, time.Time{}},
		{"a schedule that could not be read announces nothing", func(s *situation) {
			s.onCall()
			s.schedule("night", turn(lasts(time.Hour, 2*time.Hour)))
			s.Facts.Schedules[0].Fact.Err = errDown
		}, time.Time{}},
		{"an answer without PagerDuty's time announces nothing", func(s *situation) { s.OnCalls.Value.Now = time.Time{} }, time.Time{}},
		{"a shift that began while the question was asked has begun already", func(s *situation) {
			s.OnCalls.ReadAt, s.OnCalls.Value.Now = now.Add(-3*time.Second), now.Add(-2*time.Second)
			s.onCall(shift(from(-time.Second, time.Hour)))
		}, now.Add(-2 * time.Second)},
		{"PagerDuty's clock runs a minute ahead of ours, also for schedules", func(s *situation) {
			s.onCall()
			s.schedule("night", turn(lasts(time.Hour, 2*time.Hour)))
			s.Facts.Schedules[0].Fact.ReadAt, s.Facts.Schedules[0].Fact.Value.Now = now, now.Add(time.Minute)
		}, now.Add(59 * time.Minute)},
		{"PagerDuty's clock runs a minute ahead of ours", func(s *situation) {
			s.OnCalls.ReadAt, s.OnCalls.Value.Now = now, now.Add(time.Minute)
			s.onCall(shift(from(time.Hour, 2*time.Hour)))
		}, now.Add(59 * time.Minute)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := approvable()
			s.OnCalls.ReadAt = now
			tt.given(&s)
			if got := Decide(s.Rules, s.Facts).Next; !got.Equal(tt.want) {
				t.Errorf("next = %s, want %s", got, tt.want)
			}
		})
	}
}
