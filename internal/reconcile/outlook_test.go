package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// outlook checks what the queue tells of u/1, with moments counted from the start of the test.
func (d *desk) outlook(step string, next time.Duration, cause string) {
	d.t.Helper()
	synctest.Wait()
	got := d.Outlook("u/1")
	if at := got.Next.Sub(d.began); at < next || at > next+time.Millisecond || got.Cause != cause {
		d.t.Errorf("%s: next look after %s because of %q, want %s because of %q", step, at, got.Cause, next, cause)
	}
}

// scripted gives one answer after the other, the last one for ever.
func scripted(answers ...func() (Result, error)) func(context.Context, access.RequestID) (Result, error) {
	var n atomic.Int64
	return func(context.Context, access.RequestID) (Result, error) {
		return answers[min(int(n.Add(1)), len(answers))-1]()
	}
}

func done() (Result, error) { return Result{}, nil }

func after(d time.Duration) func() (Result, error) {
	return func() (Result, error) { return Result{After: d}, nil }
}

// fails makes a failure that is tried again after a delay, to the millisecond.
func fails(d time.Duration) func() (Result, error) {
	return func() (Result, error) {
		return Result{}, &access.Failure{Class: access.Wait, NotBefore: time.Now().Add(d), Err: errors.New("429")}
	}
}

func inDesk(t *testing.T, look func(context.Context, access.RequestID) (Result, error), test func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 1, look)
		defer d.close()
		d.random = func(time.Duration) time.Duration { return 0 }
		test(d)
	})
}

func TestTheQueueTellsWhenARequestComesBackAndWhy(t *testing.T) {
	t.Run("never seen", func(t *testing.T) {
		inDesk(t, scripted(done), func(d *desk) {
			if got := d.Outlook("u/1"); got != (Outlook{}) {
				t.Errorf("got %+v, want nothing", got)
			}
		})
	})
	t.Run("a look that leaves nothing to do", func(t *testing.T) {
		inDesk(t, scripted(done), func(d *desk) {
			time.Sleep(time.Minute)
			d.Add("u/1", access.CauseCreated)
			synctest.Wait()
			if got, want := d.Outlook("u/1"), (Outlook{Looked: d.began.Add(time.Minute)}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	})
	t.Run("a shift, and a hint before it", func(t *testing.T) {
		shift := time.Time{}
		inDesk(t, func(context.Context, access.RequestID) (Result, error) {
			if shift.IsZero() {
				shift = time.Now().Add(time.Hour)
			}
			return Result{After: max(0, time.Until(shift))}, nil
		}, func(d *desk) {
			d.Add("u/1", access.CauseCreated)
			d.outlook("at first", time.Hour, access.CauseShift)
			time.Sleep(10 * time.Minute)
			d.Add("u/1", access.CauseTimer)
			d.outlook("after the hint", time.Hour, access.CauseShift)
			time.Sleep(time.Hour)
			synctest.Wait()
			if got, want := d.Outlook("u/1"), (Outlook{Looked: d.began.Add(time.Hour)}); got != want {
				t.Errorf("after the shift: got %+v, want %+v", got, want)
			}
		})
	})
	t.Run("a failure", func(t *testing.T) {
		inDesk(t, scripted(fails(42*time.Second), done), func(d *desk) {
			d.Add("u/1", access.CauseCreated)
			d.outlook("after the failure", 42*time.Second, access.CauseRetry)
			if got := d.Outlook("u/1").Failing; got != "429" {
				t.Errorf("failing: got %q", got)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if got, want := d.Outlook("u/1"), (Outlook{Looked: d.began.Add(42 * time.Second)}); got != want {
				t.Errorf("after the retry: got %+v, want %+v", got, want)
			}
		})
	})
	t.Run("a shift before the retry", func(t *testing.T) {
		inDesk(t, func(context.Context, access.RequestID) (Result, error) {
			_, err := fails(time.Hour)()
			return Result{After: time.Minute}, err
		}, func(d *desk) {
			d.Add("u/1", access.CauseCreated)
			d.outlook("both", time.Minute, access.CauseShift)
		})
	})
	t.Run("a retry before the shift", func(t *testing.T) {
		inDesk(t, func(context.Context, access.RequestID) (Result, error) {
			_, err := fails(time.Minute)()
			return Result{After: time.Hour}, err
		}, func(d *desk) {
			d.Add("u/1", access.CauseCreated)
			d.outlook("both", time.Minute, access.CauseRetry)
		})
	})
	t.Run("a moment that an earlier look left behind", func(t *testing.T) {
		inDesk(t, scripted(fails(time.Minute), after(time.Hour), done), func(d *desk) {
			d.Add("u/1", access.CauseCreated)
			d.outlook("after the failure", time.Minute, access.CauseRetry)
			time.Sleep(10 * time.Second)
			d.Add("u/1", access.CauseChanged)
			told := d.began.Add(time.Minute) // not in an hour: the delaying queue keeps the first of two moments
			d.outlook("after the change", time.Minute, access.CauseShift)
			time.Sleep(2 * time.Hour)
			if looks := d.looks(); len(looks) != 3 || !d.began.Add(looks[2].after).Equal(told) {
				t.Errorf("looks = %v, want the third when it was told, %s", looks, told)
			}
		})
	})
	t.Run("under way, and waiting behind another", func(t *testing.T) {
		inDesk(t, takes(time.Minute), func(d *desk) {
			d.Add("u/1", access.CauseChanged)
			d.outlook("under way", 0, access.CauseChanged)
			time.Sleep(30 * time.Second)
			d.outlook("still under way", 30*time.Second, access.CauseChanged)
			time.Sleep(time.Minute)
			d.Add("u/2", access.CauseCreated)
			synctest.Wait()
			d.Add("u/1", access.CausePoll)
			time.Sleep(10 * time.Second)
			d.outlook("waiting", 100*time.Second, access.CausePoll)
		})
	})
}

func TestTheQueueForgetsNoneThatComesBackByItself(t *testing.T) {
	inDesk(t, scripted(after(time.Hour), done), func(d *desk) {
		d.Add("u/1", access.CauseCreated)
		d.outlook("at first", time.Hour, access.CauseShift)
		time.Sleep(30 * time.Minute)
		for i := range 2 * firstPurge {
			d.Add(access.RequestID(fmt.Sprintf("v/%d", i)), access.CauseCreated)
		}
		d.outlook("after many others", time.Hour, access.CauseShift)
	})
}
