package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// exchange is what a gatherer calls. A key's value is the key and when it was asked for.
type exchange struct {
	gatherer[string, string, string]
	takes time.Duration

	mu     sync.Mutex
	calls  []string         // the keys of each
	failed map[string]error // of every call with the key
	hidden map[string]bool  // left out of calls for several
}

func newExchange(takes time.Duration) *exchange {
	e := &exchange{takes: takes, failed: map[string]error{}, hidden: map[string]bool{}}
	e.call = e.answer
	return e
}

func (e *exchange) answer(ctx context.Context, about string, keys []string) (map[string]string, error) {
	asked := time.Now()
	e.mu.Lock()
	e.calls = append(e.calls, strings.Join(slices.Sorted(slices.Values(keys)), " "))
	e.mu.Unlock()
	select {
	case <-time.After(e.takes):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	told := map[string]string{}
	for _, key := range keys {
		if err := e.failed[key]; err != nil {
			return nil, err
		}
		if !e.hidden[key] {
			told[key] = about + key + " " + asked.Format(time.RFC3339Nano)
		}
	}
	return told, nil
}

// all wants keys at the same time and gives the outcome of each.
func (e *exchange) all(ctx context.Context, keys ...string) map[string]error {
	var mu sync.Mutex
	got := map[string]error{}
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() {
			_, err := e.get(ctx, "", key)
			mu.Lock()
			defer mu.Unlock()
			got[key] = err
		})
	}
	wg.Wait()
	return got
}

func (e *exchange) wantCalls(t *testing.T, want ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.calls, want) {
		t.Errorf("called for %q, want %q", e.calls, want)
	}
	e.calls = nil
}

// meanwhile begins a call for key "first", and lets others come a moment later.
func (e *exchange) meanwhile(t *testing.T, others func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := e.get(t.Context(), "", "first"); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	time.Sleep(time.Millisecond)
	others()
	wg.Wait()
}

func TestWhoeverComesAloneIsServedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(50 * time.Millisecond)
		began := time.Now()
		for range 3 {
			if _, err := e.get(t.Context(), "", "a"); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 150*time.Millisecond {
			t.Errorf("three calls of 50 ms took %s", took)
		}
		e.wantCalls(t, "a", "a", "a")
	})
}

func TestThoseWhoComeWhileACallIsUnderWayShareTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(50 * time.Millisecond)
		began := time.Now()
		e.meanwhile(t, func() { e.all(t.Context(), "a", "b", "c") })
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("two calls of 50 ms took %s", took)
		}
		e.wantCalls(t, "first", "a b c")
		if len(e.lanes) != 0 {
			t.Errorf("%d lanes are left", len(e.lanes))
		}
	})
}

func TestACallThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(time.Minute)
		e.meanwhile(t, func() {
			began := time.Now()
			e.all(t.Context(), "a", "b")
			if took := time.Since(began); took != time.Minute+longestGather {
				t.Errorf("the second call was over after %s, want it to begin after %s", took, longestGather)
			}
		})
		e.wantCalls(t, "first", "a b")
	})
}

func TestNobodyWaitsForLessUrgentCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(50 * time.Millisecond)
		ctx := WithPriority(t.Context(), Background)
		var wg sync.WaitGroup
		wg.Go(func() { e.all(ctx, "poll") })
		wg.Go(func() { time.Sleep(time.Millisecond); e.all(ctx, "note") })
		wg.Go(func() {
			time.Sleep(2 * time.Millisecond)
			e.all(t.Context(), "approval")
			e.wantCalls(t, "poll", "approval", "note") // which begins in the same instant as the approval's ends
		})
		time.Sleep(3 * time.Millisecond)
		e.mu.Lock()
		if !slices.Equal(e.calls, []string{"poll", "approval"}) {
			t.Errorf("called for %q, want the approval at once", e.calls)
		}
		e.mu.Unlock()
		wg.Wait()
	})
}

func TestNoCallIsForMoreThanPagerDutyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(50 * time.Millisecond)
		e.most = 3
		e.meanwhile(t, func() { e.all(t.Context(), "a", "a", "a", "a", "b", "c", "d", "e", "f", "g") })
		for _, keys := range e.calls {
			if n := len(strings.Fields(keys)); n > 3 {
				t.Errorf("one call for %d keys: %s", n, keys)
			}
		}
	})
}

func TestAFailureIsEverybodysUnlessItMayBeDueToOne(t *testing.T) {
	down := &access.Failure{Err: errors.New("503")}
	refused := &access.Failure{Class: access.Permanent, Err: errors.New("400")}
	denied := &access.Failure{Class: access.Permanent, Err: fmt.Errorf("401: %w", access.ErrDenied)}
	unreadable := &access.Failure{Err: fmt.Errorf("an odd object: %w", errUnreadable)}
	for _, tt := range []struct {
		err   error
		spoil []string // whose outcome is the error
		calls int
	}{
		{down, []string{"a", "b", "c"}, 1},
		{denied, []string{"a", "b", "c"}, 1},
		{refused, []string{"b"}, 4},
		{unreadable, []string{"b"}, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := newExchange(50 * time.Millisecond)
			e.failed["b"] = tt.err
			e.meanwhile(t, func() {
				for key, err := range e.all(t.Context(), "a", "b", "c") {
					if spoiled := slices.Contains(tt.spoil, key); spoiled != errors.Is(err, tt.err) || !spoiled && err != nil {
						t.Errorf("%v: %s got %v", tt.err, key, err)
					}
				}
			})
			if got := len(e.calls) - 1; got != tt.calls {
				t.Errorf("%v: %d calls, want %d: %q", tt.err, got, tt.calls, e.calls)
			}
		})
	}
}

func TestWhatAnAnswerLeavesOutIsAskedForByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(50 * time.Millisecond)
		e.hidden["b"], e.write = true, true
		e.meanwhile(t, func() {
			got := e.all(t.Context(), "a", "b")
			if got["a"] != nil || got["b"] == nil || !access.IsUnclear(got["b"]) {
				t.Errorf("got %v, want an error for b alone, which does not know what was done", got)
			}
		})
		e.wantCalls(t, "first", "a b", "b")
	})
}

func TestWhoGivesUpWaitingTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newExchange(100 * time.Millisecond)
		hasty, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		e.meanwhile(t, func() {
			var wg sync.WaitGroup
			wg.Go(func() {
				if got := e.all(hasty, "a"); !errors.Is(got["a"], context.DeadlineExceeded) {
					t.Errorf("got %v, want to be late", got)
				}
			})
			wg.Go(func() {
				if got := e.all(t.Context(), "b"); got["b"] != nil {
					t.Error(got)
				}
			})
			wg.Wait()
		})
		e.wantCalls(t, "first", "b")

		began := time.Now()
		again, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		e.all(again, "a")
		if took := time.Since(began); took != 10*time.Millisecond || len(e.lanes) != 0 {
			t.Errorf("nobody waits, but the call went on for %s, with %d lanes", took, len(e.lanes))
		}
		if got := e.all(again, "c"); got["c"] == nil || len(e.calls) != 1 {
			t.Errorf("too late already: got %v and the calls %q", got, e.calls)
		}
	})
}

func TestWhoComesAsTheLastOneGivesUpIsServed(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			e := newExchange(100 * time.Millisecond)
			hasty, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			e.meanwhile(t, func() {
				var wg sync.WaitGroup
				wg.Go(func() { e.all(hasty, "a") })
				wg.Go(func() {
					<-hasty.Done()
					if got := e.all(t.Context(), "b"); got["b"] != nil {
						t.Errorf("got %v", got)
					}
				})
				wg.Wait()
			})
		})
	}
}

func TestAnAnswerIsForTheKeyAndAskedForAfterTheCallerCame(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			rng := rand.New(rand.NewPCG(seed, 0))
			pick := func(n int) int { mu.Lock(); defer mu.Unlock(); return rng.IntN(n) }
			e := newExchange(0)
			e.most = 4
			e.call = func(ctx context.Context, about string, keys []string) (map[string]string, error) {
				asked := time.Now().Format(time.RFC3339Nano)
				time.Sleep(time.Duration(pick(500)) * time.Millisecond)
				told := map[string]string{}
				for _, key := range keys {
					if pick(10) > 0 {
						told[key] = about + key + " " + asked
					}
				}
				return told, []error{nil, nil, nil, errors.New("503"), &access.Failure{Class: access.Permanent, Err: errors.New("400")}}[pick(5)]
			}
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					for range 20 {
						time.Sleep(time.Duration(pick(300)) * time.Millisecond)
						about, key := string("AB"[pick(2)]), fmt.Sprint(pick(9))
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(pick(2000))*time.Millisecond)
						came := time.Now()
						got, err := e.get(ctx, about, key)
						cancel()
						if err != nil {
							continue
						}
						text, asked, _ := strings.Cut(got, " ")
						at, _ := time.Parse(time.RFC3339Nano, asked)
						if text != about+key || at.Before(came) {
							t.Errorf("came at %s for %s%s, got %q", came, about, key, got)
						}
					}
				})
			}
			wg.Wait()
			if len(e.lanes) != 0 {
				t.Errorf("lanes are left: %v", slices.Collect(maps.Keys(e.lanes)))
			}
		})
	}
}
