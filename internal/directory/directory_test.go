package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a PagerDuty whose answers take a while. A user's name is the number of the question that found it.
type source struct {
	takes time.Duration

	mu    sync.Mutex
	asked []string
	err   error
}

func (s *source) ask(ctx context.Context, format string, args ...any) (n int, err error) {
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf(format, args...))
	n, err = len(s.asked), s.err
	s.mu.Unlock()
	select {
	case <-time.After(s.takes):
		return n, err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *source) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) User(ctx context.Context, email string) (access.User, error) {
	n, err := s.ask(ctx, "user %s", email)
	return access.User{Name: fmt.Sprint(n)}, err
}

func (s *source) Service(ctx context.Context, ref string) (access.Service, error) {
	n, err := s.ask(ctx, "service %s", ref)
	return access.Service{Name: fmt.Sprint(n)}, err
}

func (s *source) Schedule(ctx context.Context, ref string, until time.Time) (access.Schedule, time.Time, error) {
	_, err := s.ask(ctx, "schedule %s until %s", ref, until.Format(time.DateTime))
	return access.Schedule{Name: ref, Shifts: []access.Shift{{Start: until}}}, time.Now(), err
}

func (s *source) OnCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	_, err := s.ask(ctx, "on call %s until %s", q.Users, q.Until.Format(time.DateTime))
	return []access.OnCall{{Start: q.Until}}, time.Now(), err
}

func (s *source) OnDuty(ctx context.Context, policy access.PolicyID) ([]access.OnCall, time.Time, error) {
	n, err := s.ask(ctx, "on duty %s", policy)
	return []access.OnCall{{Level: n}}, time.Time{}, err
}

func (s *source) OpenIncidents(ctx context.Context, services []access.ServiceID) ([]access.Incident, error) {
	_, err := s.ask(ctx, "incidents on %s", services)
	return []access.Incident{{ID: "QINC"}}, err
}

// bubble runs a test on a clock of its own that begins at midnight, with a source that takes a second.
func bubble(t *testing.T, test func(t *testing.T, d *Directory, s *source)) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Second}
		test(t, New(s), s)
	})
}

func TestThoseWhoAskAtOnceShareOneQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if f := d.User(t.Context(), "ann@example.com", began); !f.Known() || f.Value.Name != "1" || !f.ReadAt.Equal(began) {
					t.Errorf("got %+v, want the answer to the question asked first", f)
				}
			})
		}
		wg.Go(func() {
			time.Sleep(time.Microsecond)
			if f := d.User(t.Context(), "bob@example.com", began); !f.Known() {
				t.Errorf("got %+v, want an answer", f)
			}
		})
		wg.Wait()
		if s.count() != 2 {
			t.Errorf("asked %v, want each of the two once", s.asked)
		}
	})
}

func TestAnAnswerIsAsFreshAsTheCallerWants(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		ask := func(age time.Duration, want string) {
			t.Helper()
			if f := d.Service(t.Context(), "Payments", time.Now().Add(-age)); f.Value.Name != want {
				t.Errorf("at most %s old: got answer %s, want %s", age, f.Value.Name, want)
			}
		}
		ask(0, "1") // takes a second
		ask(0, "2")
		time.Sleep(8 * time.Second)
		ask(9*time.Second, "2")
		ask(9*time.Second-1, "3")
		time.Sleep(59 * time.Second)
		ask(time.Hour, "3") // a minute old
		time.Sleep(time.Nanosecond)
		ask(time.Hour, "4")
	})
}

func TestAQuestionAskedBeforeSinceIsNotWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		var wg sync.WaitGroup
		wg.Go(func() { d.User(t.Context(), "ann@example.com", time.Now()) })
		time.Sleep(time.Millisecond)
		if f := d.User(t.Context(), "ann@example.com", time.Now()); f.Value.Name != "2" {
			t.Errorf("got answer %s, want one to a question of its own", f.Value.Name)
		}
		wg.Wait()
		if f := d.User(t.Context(), "ann@example.com", time.Time{}); f.Value.Name != "2" {
			t.Errorf("got answer %s, want the newer one remembered", f.Value.Name)
		}
	})
}

func TestAQuestionThatHangsHoldsUpNobodyWhoComesLater(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		s.takes = 10 * time.Second
		var wg sync.WaitGroup
		wg.Go(func() { d.Service(t.Context(), "payments", time.Now()) })
		synctest.Wait()
		time.Sleep(lately + 1)
		s.takes = 100 * time.Millisecond
		began := time.Now()
		if f := d.Service(t.Context(), "payments", began.Add(-5*time.Second)); f.Value.Name != "2" || time.Since(began) != s.takes {
			t.Errorf("got %+v after %s, want an answer of its own at once", f, time.Since(began))
		}
		wg.Wait()
		if f := d.Service(t.Context(), "payments", time.Time{}); f.Value.Name != "2" {
			t.Errorf("got answer %s, want the newer one remembered", f.Value.Name)
		}
	})
}

func TestAQuestionThatFailsLeavesANewerOneRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		s.fails(errors.New("503"))
		var wg sync.WaitGroup
		wg.Go(func() { d.User(t.Context(), "ann@example.com", time.Now()) })
		time.Sleep(time.Millisecond)
		s.fails(nil)
		wg.Go(func() { d.User(t.Context(), "ann@example.com", time.Now()) })
		wg.Wait()
		if f := d.User(t.Context(), "ann@example.com", time.Time{}); !f.Known() || f.Value.Name != "2" {
			t.Errorf("got %+v, want the newer answer remembered", f)
		}
	})
}

func TestAFailureIsToldToAllWhoWaitAndToNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		s.fails(&access.Failure{Class: access.Permanent, Err: errors.New("refused")})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if f := d.Service(t.Context(), "payments", time.Time{}); f.Known() || !access.IsPermanent(f.Err) {
					t.Errorf("got %+v, want the failure", f)
				}
			})
		}
		wg.Wait()
		s.fails(nil)
		if f := d.Service(t.Context(), "payments", time.Time{}); !f.Known() || f.Value.Name != "2" {
			t.Errorf("got %+v, want another answer", f)
		}
	})
}

func TestThatThereIsNoneIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		s.fails(&access.Failure{Class: access.Permanent, Err: fmt.Errorf("service payments: %w", access.ErrNotFound)})
		for range 3 {
			if f := d.Service(t.Context(), "payments", time.Time{}); !errors.Is(f.Err, access.ErrNotFound) || f.ReadAt.IsZero() {
				t.Errorf("got %+v, want ErrNotFound", f)
			}
		}
		if s.count() != 1 {
			t.Errorf("asked %v, want one question", s.asked)
		}
	})
}

func TestWhoAskedFirstMayGiveUpWithoutHarmToTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		hasty, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			f := d.User(hasty, "ann@example.com", time.Time{})
			if f.Known() || !errors.Is(f.Err, context.Canceled) {
				t.Errorf("got %+v, want that it was given up", f)
			}
		})
		synctest.Wait()
		wg.Go(func() {
			if f := d.User(t.Context(), "ann@example.com", time.Time{}); !f.Known() || f.Value.Name != "1" {
				t.Errorf("got %+v, want the answer to the question that the other one asked", f)
			}
		})
		synctest.Wait()
		cancel(context.Canceled)
		wg.Wait()
	})
}

func TestAQuestionThatNobodyWaitsForEndsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { d.User(ctx, "ann@example.com", time.Time{}) })
		}
		wg.Wait()
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("waited %s, want 100ms", took)
		}
		synctest.Wait() // goroutines that are left would hold the bubble
		if f := d.User(t.Context(), "ann@example.com", time.Time{}); !f.Known() || f.Value.Name != "2" {
			t.Errorf("got %+v, want another answer", f)
		}
	})
}

func TestNoAnswerIsWaitedForLongerThanHalfAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		s.takes = time.Hour
		began := time.Now()
		if f := d.User(t.Context(), "ann@example.com", time.Time{}); f.Known() || time.Since(began) != patience {
			t.Errorf("got %+v after %s, want no answer after %s", f, time.Since(began), patience)
		}
	})
}

func TestAWebhookMakesAllButPeopleForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		askAll := func() {
			d.User(t.Context(), "ann@example.com", time.Time{})
			d.Service(t.Context(), "payments", time.Time{})
			d.Schedule(t.Context(), "primary", time.Time{}, time.Time{})
			d.OnCalls(t.Context(), "PANN", time.Time{}, time.Time{})
			d.OpenIncidents(t.Context(), []access.ServiceID{"PSVC"}, time.Time{})
		}
		askAll()
		askAll()
		if s.count() != 5 {
			t.Errorf("asked %v, want each question once", s.asked)
		}
		d.Forget()
		askAll()
		if s.count() != 9 || slices.Contains(s.asked[5:], "user ann@example.com") {
			t.Errorf("asked %v, want all but the user again", s.asked)
		}

		var wg sync.WaitGroup
		wg.Go(func() {
			if f := d.Service(t.Context(), "other", time.Time{}); !f.Known() {
				t.Errorf("got %+v, want an answer for who waited already", f)
			}
		})
		synctest.Wait()
		d.Forget()
		wg.Wait()
		if d.Service(t.Context(), "other", time.Time{}); s.count() != 11 {
			t.Errorf("asked %v, want an answer on its way at Forget not to be remembered", s.asked)
		}
	})
}

func TestAShortLookAheadNeverStandsInForALongerOne(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		midnight := time.Now()
		at := func(h, m int) time.Time {
			return midnight.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
		}
		for _, step := range []struct {
			until, want time.Time
			calls       int
		}{
			{time.Time{}, time.Time{}, 1},
			{at(3, 20), at(4, 0), 2},
			{at(3, 21), at(4, 0), 2}, // nearly the same
			{at(1, 0), at(4, 0), 2},  // shorter
			{time.Time{}, at(4, 0), 2},
			{at(4, 1), at(5, 0), 3},
			{at(4, 0), at(5, 0), 3},
		} {
			before := s.count()
			onCalls := d.OnCalls(t.Context(), "PANN", step.until, time.Time{})
			schedule := d.Schedule(t.Context(), "primary", step.until, time.Time{})
			if got := onCalls.Value.Entries[0].Start; !got.Equal(step.want) || s.count() != 2*step.calls {
				t.Errorf("on call until %s: got one until %s after %d calls, was %d, want %s after %d", step.until, got, s.count(), before, step.want, 2*step.calls)
			}
			if got := schedule.Value.Schedule.Shifts[0].Start; !got.Equal(step.want) {
				t.Errorf("schedule until %s: got one until %s, want %s", step.until, got, step.want)
			}
		}
	})
}

func TestOpenIncidentsOfTheSameServicesAreOneQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		for _, services := range [][]access.ServiceID{{"PA", "PB"}, {"PB", "PA"}, {"PA", "PB", "PA"}, {"PA"}} {
			d.OpenIncidents(t.Context(), services, time.Time{})
		}
		if want := []string{"incidents on [PA PB]", "incidents on [PA]"}; !slices.Equal(s.asked, want) {
			t.Errorf("asked %q, want %q", s.asked, want)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, d *Directory, s *source) {
		s.takes = 0
		for i := range 3 * many {
			d.User(t.Context(), fmt.Sprintf("user-%d@example.com", i), time.Time{})
			if got := len(d.users.answers); got > many {
				t.Fatalf("%d answers are remembered, want at most %d", got, many)
			}
		}
		time.Sleep(remembered + 1)
		d.User(t.Context(), "ann@example.com", time.Time{})
		if got := len(d.users.answers); got != 1 {
			t.Errorf("%d answers are remembered, want only the one of the last minute", got)
		}
	})
}
