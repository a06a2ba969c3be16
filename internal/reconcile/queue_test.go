package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// looked is one look of a scripted worker.
type looked struct {
	id    access.RequestID
	cause string
	after time.Duration // since the test began
}

// desk is a running queue whose looks are recorded.
type desk struct {
	*Queue
	t     *testing.T
	began time.Time
	log   strings.Builder // of one logger, read while the queue is idle
	stop  context.CancelFunc
	done  chan struct{}

	mu    sync.Mutex
	seen  []looked
	hands map[access.RequestID]int
}

// openDesk runs a queue in the test's bubble. A request's user is what stands before the slash of its ID.
func openDesk(t *testing.T, workers int, look func(ctx context.Context, id access.RequestID) (Result, error)) *desk {
	d := &desk{t: t, began: time.Now(), done: make(chan struct{}), hands: map[access.RequestID]int{}}
	d.Queue = NewQueue(func(id access.RequestID) string {
		user, _, _ := strings.Cut(string(id), "/")
		return user
	}, slog.New(slog.NewTextHandler(&d.log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	d.stop = cancel
	go func() {
		defer close(d.done)
		if err := d.Run(ctx, workers, 20*time.Second, func(ctx context.Context, id access.RequestID, cause string) (Result, error) {
			d.enter(id, cause)
			defer d.leave(id)
			return look(ctx, id)
		}); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	return d
}

func (d *desk) enter(id access.RequestID, cause string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, looked{id, cause, time.Since(d.began)})
	if d.hands[id]++; d.hands[id] > 1 {
		d.t.Errorf("request %s is in two hands at once", id)
	}
}

func (d *desk) leave(id access.RequestID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hands[id]--
}

func (d *desk) close() {
	d.stop()
	<-d.done
}

func (d *desk) looks() []looked {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.seen)
}

func takes(d time.Duration) func(context.Context, access.RequestID) (Result, error) {
	return func(context.Context, access.RequestID) (Result, error) {
		time.Sleep(d)
		return Result{}, nil
	}
}

func TestARequestThatWaitsIsLookedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 1, takes(time.Second))
		defer d.close()
		d.Add("u/busy", access.CauseCreated)
		synctest.Wait()
		for range 5 {
			d.Add("u/1", access.CauseTimer)
		}
		d.Add("u/1", access.CauseChanged)
		d.Add("u/1", access.CausePoll) // does not hide the change
		if got := d.Status(); got.Depth != 1 {
			t.Errorf("%d requests wait, want 1", got.Depth)
		}
		time.Sleep(10 * time.Second)
		got := d.looks()
		if len(got) != 2 || got[1] != (looked{"u/1", access.CauseChanged, time.Second}) {
			t.Errorf("looks = %v, want one at u/1 because it changed", got)
		}
	})
}

func TestALookThatMayRememberHidesNothing(t *testing.T) {
	for _, weak := range []string{access.CauseTimer, access.CauseRules} {
		for _, cause := range []string{access.CausePoll, access.CauseShift, access.CauseChanged, "webhook incident.acknowledged"} {
			synctest.Test(t, func(t *testing.T) {
				d := openDesk(t, 1, takes(time.Second))
				defer d.close()
				d.Add("u/busy", access.CauseCreated)
				synctest.Wait()
				d.Add("u/1", weak)
				d.Add("u/1", cause)
				d.Add("u/1", weak)
				time.Sleep(10 * time.Second)
				if got := d.looks(); len(got) != 2 || got[1].cause != cause {
					t.Errorf("looks = %v, want the second because of %q", got, cause)
				}
			})
		}
	}
}

func TestAChangeDuringALookBringsTheRequestBackOnceAndNeverIntoTwoHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 4, takes(time.Second))
		defer d.close()
		d.Add("u/1", access.CauseCreated)
		synctest.Wait()
		for range 3 {
			d.Add("u/1", access.CauseChanged)
		}
		time.Sleep(10 * time.Second)
		want := []looked{{"u/1", access.CauseCreated, 0}, {"u/1", access.CauseChanged, time.Second}}
		if got := d.looks(); !slices.Equal(got, want) {
			t.Errorf("looks = %v, want %v", got, want)
		}
	})
}

func TestWebhooksAreServedAtOnceThenEveryTwoSecondsAndTheLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 2, takes(0))
		defer d.close()
		for i := range 39 { // one every 130 ms, for 5 s
			d.Wake("u/1", fmt.Sprintf("webhook %d", i))
			time.Sleep(130 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		want := []looked{{"u/1", "webhook 0", 0}, {"u/1", "webhook 15", 2 * time.Second}, {"u/1", "webhook 30", 4 * time.Second},
			{"u/1", "webhook 38", 6 * time.Second}}
		if got := d.looks(); !slices.Equal(got, want) {
			t.Errorf("looks\ngot  %v\nwant %v", got, want)
		}
	})
}

func TestAHintThatIsServedEarlierIsNotServedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 1, takes(0))
		defer d.close()
		d.Add("u/1", access.CauseCreated)
		time.Sleep(time.Second)
		d.Wake("u/1", "webhook") // put off for a second
		time.Sleep(500 * time.Millisecond)
		d.Add("u/1", access.CauseChanged)
		time.Sleep(time.Minute)
		want := []looked{{"u/1", access.CauseCreated, 0}, {"u/1", access.CauseChanged, 1500 * time.Millisecond}}
		if got := d.looks(); !slices.Equal(got, want) {
			t.Errorf("looks\ngot  %v\nwant %v", got, want)
		}
	})
}

func TestAFailureBacksOffAndASuccessResetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := errors.New("503")
		var works atomic.Bool
		d := openDesk(t, 1, func(context.Context, access.RequestID) (Result, error) {
			if works.Load() {
				return Result{}, nil
			}
			return Result{}, fails
		})
		defer d.close()
		d.Add("u/1", access.CauseCreated)
		time.Sleep(10 * time.Minute)
		got := d.looks()
		last := time.Duration(0)
		for i := 1; i < len(got); i++ {
			wait := got[i].after - got[i-1].after
			base := min(firstRetry<<(i-1), lastRetry)
			if wait < base || wait > base+base/4+2*time.Millisecond {
				t.Errorf("wait %d = %s, want %s and up to a quarter more", i, wait, base)
			}
			last = wait
		}
		if last < lastRetry || got[1].cause != access.CauseRetry {
			t.Errorf("the last wait was %s, want at least %s; cause %q", last, lastRetry, got[1].cause)
		}
		if n := strings.Count(d.log.String(), "503"); n != 1 {
			t.Errorf("the failure was logged %d times, want once", n)
		}
		if s := d.Status(); s.Failing["u/1"] != "503" {
			t.Errorf("failing = %v", s.Failing)
		}
		works.Store(true)
		time.Sleep(2 * time.Minute)
		if s := d.Status(); len(s.Failing) != 0 {
			t.Errorf("failing = %v, want nothing after a success", s.Failing)
		}
		works.Store(false)
		d.Add("u/1", access.CauseChanged)
		synctest.Wait()
		before := len(d.looks())
		time.Sleep(time.Second)
		if got := d.looks(); len(got) != before+1 {
			t.Errorf("%d looks within a second of the first new failure, want one: the back-off starts again", len(got)-before)
		}
	})
}

func TestALookThatPanicsHoldsUpItsOwnRequestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mended atomic.Bool
		d := openDesk(t, 1, func(_ context.Context, id access.RequestID) (Result, error) {
			if id == "u/1" && !mended.Load() {
				panic("nobody thought of this")
			}
			return Result{}, nil
		})
		defer d.close()
		d.Add("u/1", access.CauseCreated)
		d.Add("u/2", access.CauseCreated)
		time.Sleep(10 * time.Minute)
		tries := 0
		for _, l := range d.looks() {
			if l.id == "u/1" {
				tries++
			}
		}
		if others := len(d.looks()) - tries; tries < 3 || others != 1 {
			t.Errorf("%d looks at the one that panics, %d at the other", tries, others)
		}
		if failing := d.Status().Failing["u/1"]; !strings.Contains(failing, "a mistake in pdhook") || !strings.Contains(failing, "nobody thought of this") {
			t.Errorf("failing = %q", failing)
		}
		if log := d.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "queue_test.go") {
			t.Errorf("got %q, want one line with where it happened", log)
		}
		mended.Store(true)
		time.Sleep(2 * time.Minute)
		if s := d.Status(); len(s.Failing) != 0 {
			t.Errorf("failing = %v, want nothing after a success", s.Failing)
		}
	})
}

func TestALastingFailureIsTriedSoonAndThenSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 1, func(context.Context, access.RequestID) (Result, error) {
			return Result{}, &access.Failure{Class: access.Permanent, Err: errors.New("disabled")}
		})
		defer d.close()
		d.Add("u/1", access.CauseCreated)
		time.Sleep(time.Hour)
		got := d.looks()
		if n := len(got); n < 15 || n > 25 {
			t.Fatalf("%d looks in an hour, want about ten in the first five minutes and one every five from then on", n)
		}
		if last := got[len(got)-1].after - got[len(got)-2].after; last < slowRetry || last > slowRetry*5/4+time.Millisecond {
			t.Errorf("the last two looks are %s apart, want %s", last, slowRetry)
		}
	})
}

func TestTheRemoteSidesNotBeforeAndLastingFailuresSetThePace(t *testing.T) {
	for _, tt := range []struct {
		name      string
		err       error
		from, to  time.Duration
		resultToo Result
	}{
		{name: "not before", err: &access.Failure{Class: access.Wait, NotBefore: time.Date(2000, 1, 1, 0, 0, 42, 0, time.UTC), Err: errors.New("429")},
			from: 42 * time.Second, to: 43 * time.Second},
		{name: "not before, which is over", err: &access.Failure{Class: access.Wait, NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), Err: errors.New("429")},
			from: firstRetry, to: firstRetry * 5 / 4},
		{name: "permanent", err: &access.Failure{Class: access.Permanent, Err: errors.New("disabled")}, from: firstRetry, to: firstRetry * 5 / 4},
		{name: "ambiguous", err: fmt.Errorf("looking up: %w", &access.AmbiguousError{Kind: "service"}), from: firstRetry, to: firstRetry * 5 / 4},
		{name: "a shift that starts before the retry", err: &access.Failure{Class: access.Wait, NotBefore: time.Date(2000, 1, 1, 0, 5, 0, 0, time.UTC), Err: errors.New("429")},
			resultToo: Result{After: time.Minute}, from: time.Minute, to: time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := openDesk(t, 1, func(context.Context, access.RequestID) (Result, error) { return tt.resultToo, tt.err })
				defer d.close()
				d.Add("u/1", access.CauseCreated)
				time.Sleep(7 * time.Minute)
				got := d.looks()
				if len(got) < 2 || got[1].after < tt.from || got[1].after > tt.to+2*time.Millisecond {
					t.Errorf("looks = %v, want the second between %s and %s", got, tt.from, tt.to)
				}
			})
		})
	}
}

func TestAShiftBringsTheRequestBackInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shift := time.Now().Add(time.Hour)
		d := openDesk(t, 1, func(context.Context, access.RequestID) (Result, error) {
			return Result{After: max(0, time.Until(shift))}, nil
		})
		defer d.close()
		d.Add("u/1", access.CauseCreated)
		time.Sleep(30 * time.Minute)
		d.Add("u/1", access.CauseTimer)
		time.Sleep(time.Hour)
		want := []looked{{"u/1", access.CauseCreated, 0}, {"u/1", access.CauseTimer, 30 * time.Minute}, {"u/1", access.CauseShift, time.Hour}}
		if got := d.looks(); !slices.Equal(got, want) {
			t.Errorf("looks\ngot  %v\nwant %v", got, want)
		}
	})
}

func TestShutdownLetsRunningLooksFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finished := false
		d := openDesk(t, 1, func(ctx context.Context, _ access.RequestID) (Result, error) {
			time.Sleep(10 * time.Second)
			finished = ctx.Err() == nil
			return Result{}, nil
		})
		d.Add("u/1", access.CauseCreated)
		synctest.Wait()
		d.Add("u/2", access.CauseCreated)
		d.close()
		if !finished {
			t.Error("the running look was cut short")
		}
		if got := d.looks(); len(got) != 1 {
			t.Errorf("looks = %v, want what waits to be left to the next start", got)
		}
	})
}

func TestShutdownEndsWithinItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 2, func(ctx context.Context, _ access.RequestID) (Result, error) {
			<-ctx.Done()
			return Result{}, ctx.Err()
		})
		d.Add("u/1", access.CauseCreated)
		synctest.Wait()
		began := time.Now()
		d.close()
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("shutting down took %s, want the grace of 20s", took)
		}
	})
}

func TestTheQueueForgetsRequestsThatAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 4, takes(0))
		defer d.close()
		for i := range 10 * firstPurge {
			d.Add(access.RequestID(fmt.Sprintf("u/%d", i)), access.CauseCreated)
			time.Sleep(time.Second)
		}
		d.Queue.mu.Lock()
		defer d.Queue.mu.Unlock()
		if got := len(d.of); got > 2*firstPurge {
			t.Errorf("%d requests are remembered, want at most %d", got, 2*firstPurge)
		}
	})
}
