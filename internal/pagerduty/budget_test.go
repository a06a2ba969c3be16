package pagerduty

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	readRoute   = "GET /users"
	createRoute = "POST /incidents"
)

// ledger is a budget with a clock that stands still until moved.
type ledger struct {
	*budget
	t   *testing.T
	now time.Time
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{t: t, now: instant("2026-03-01T13:00:00Z")}
	l.budget = newBudget(func() time.Time { return l.now })
	return l
}

func rates(limit, remaining, reset int) http.Header {
	h := http.Header{}
	h.Set("ratelimit-limit", strconv.Itoa(limit))
	h.Set("ratelimit-remaining", strconv.Itoa(remaining))
	h.Set("ratelimit-reset", strconv.Itoa(reset))
	return h
}

// call sends and answers one call.
func (l *ledger) call(route string, status int, h http.Header) {
	l.t.Helper()
	l.want(route, Approval, 0)
	l.answered(route, status, h)
}

// want takes a call and expects it to be sent, or to have to wait for so long; the less urgent wait longer.
func (l *ledger) want(route string, p Priority, wait time.Duration) {
	l.t.Helper()
	err := l.take(route, p)
	late := time.Duration(p) * stagger
	switch {
	case wait == 0 && err != nil:
		l.t.Errorf("%s with priority %d: got %v, want it sent", route, p, err)
	case wait > 0 && err == nil:
		l.t.Errorf("%s with priority %d: got it sent, want it to wait %v", route, p, wait)
	case wait > 0:
		f := failure(l.t, err)
		if got := f.NotBefore.Sub(l.now); f.Class != access.Wait || f.Unclear || got != wait+late {
			l.t.Errorf("%s with priority %d: got class %d, wait %v, want Wait for %v", route, p, f.Class, got, wait+late)
		}
	}
}

func TestTheLastOfTheRateLimitIsKeptForTheUrgent(t *testing.T) {
	const reset = 30 * time.Second
	tests := []struct {
		limit, remaining               int
		approval, creation, background time.Duration
	}{
		{960, 960, 0, 0, 0},
		{960, 192, 0, 0, 0},     // 20 %
		{960, 191, 0, 0, reset}, // below
		{960, 48, 0, 0, reset},  // 5 %
		{960, 47, 0, reset, reset},
		{960, 1, 0, reset, reset},
		{960, 0, reset, reset, reset},
		{10, 2, 0, 0, 0},
		{10, 1, 0, 0, reset},
		{10, 0, reset, reset, reset},
	}
	for _, tt := range tests {
		for p, wait := range []time.Duration{tt.approval, tt.creation, tt.background} {
			l := newLedger(t)
			l.call(readRoute, 200, rates(tt.limit, tt.remaining, 30))
			l.want(readRoute, Priority(p), wait)
		}
	}
}

func TestTheUrgentComeBackFirst(t *testing.T) {
	const spread = time.Second // by the queue
	l := newLedger(t)
	l.call(readRoute, 200, rates(960, 0, 30))
	var before time.Time
	for _, p := range []Priority{Approval, Creation, Background} {
		at := failure(t, l.take(readRoute, p)).NotBefore
		if at.Before(before.Add(spread)) {
			t.Errorf("priority %d comes back at %s, want it after all that are more urgent, from %s", p, at, before)
		}
		before = at
	}
}

func TestSentCallsCountBeforeTheyAreAnswered(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(10, 4, 30))
	l.want(readRoute, Background, 0) // 3 left
	l.want(readRoute, Background, 0) // 2 left
	l.want(readRoute, Background, 0) // 1 left
	l.want(readRoute, Background, 30*time.Second)

	l.answered(readRoute, 200, rates(10, 3, 30)) // two are still under way: 1 left
	l.want(readRoute, Background, 30*time.Second)
	l.want(readRoute, Approval, 0)
	l.want(readRoute, Approval, 30*time.Second)
}

func TestAnAnswerThatWasOvertakenGivesNothingBack(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(10, 4, 30))
	l.want(readRoute, Approval, 0)
	l.want(readRoute, Approval, 0)
	l.answered(readRoute, 200, rates(10, 2, 30))
	l.answered(readRoute, 200, rates(10, 3, 30)) // PagerDuty saw this one first
	l.want(readRoute, Approval, 0)
	l.want(readRoute, Approval, 0)
	l.want(readRoute, Approval, 30*time.Second)
}

func TestAnAnswerOfTheWindowBeforeTellsNothingOfThisOne(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(10, 2, 5))
	l.want(readRoute, Approval, 0) // its answer will take long
	l.now = l.now.Add(5 * time.Second)
	l.call(readRoute, 200, rates(10, 9, 60))
	l.answered(readRoute, 200, rates(10, 1, 1))
	if _, remaining, reset := l.shown(); remaining != 9 || reset.Sub(l.now) != time.Minute {
		t.Errorf("got %d left for %v, want 9 for a minute", remaining, reset.Sub(l.now))
	}
}

func TestACallWithoutAnswerIsNoLongerUnderWay(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(10, 4, 30))
	for range 5 {
		_ = l.take(readRoute, Approval)
	}
	for range 4 {
		l.unanswered(readRoute)
	}
	l.want(readRoute, Approval, 30*time.Second)
	l.now = l.now.Add(30 * time.Second)
	l.call(readRoute, 200, rates(10, 9, 30))
	if _, remaining, _ := l.shown(); remaining != 9 {
		t.Errorf("got %d left, want 9 as answered: nothing is under way", remaining)
	}
}

func TestANewWindowHasTheWholeLimit(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(10, 0, 30))
	l.now = l.now.Add(30*time.Second - 1)
	l.want(readRoute, Approval, 1)
	l.now = l.now.Add(1)
	if limit, remaining, reset := l.shown(); limit != 10 || remaining != 10 || reset.Sub(l.now) != usualWindow {
		t.Errorf("got %d of %d for %v, want 10 of 10 for a minute", remaining, limit, reset.Sub(l.now))
	}
	for range 9 {
		l.want(readRoute, Background, 0)
	}
	l.want(readRoute, Background, usualWindow)
}

func TestA429StopsEverybodyUntilTheReset(t *testing.T) {
	l := newLedger(t)
	_ = l.take(readRoute, Approval)
	l.call(readRoute, 429, rates(960, 0, 17))
	l.answered(readRoute, 200, rates(960, 3, 17)) // of a call that PagerDuty saw before
	for _, route := range []string{readRoute, createRoute, "GET /oncalls"} {
		l.want(route, Approval, 17*time.Second)
	}
	if got := l.until(readRoute).Sub(l.now); got != 17*time.Second {
		t.Errorf("got the failure's wait %v, want 17s", got)
	}
	l.now = l.now.Add(17 * time.Second)
	l.want(readRoute, Background, 0)
}

func TestA429WithoutHeadersBacksOffLongerEachTime(t *testing.T) {
	l := newLedger(t)
	for _, wait := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		_ = l.take(readRoute, Approval)
		l.call(readRoute, 429, nil)
		l.answered(readRoute, 429, nil) // of the same moment: no further
		l.want(createRoute, Approval, time.Duration(wait)*time.Second)
		l.now = l.now.Add(time.Duration(wait) * time.Second)
	}
	l.call(readRoute, 200, nil)
	l.call(readRoute, 429, nil)
	l.want(readRoute, Approval, time.Second)
}

func TestALimitOfOneOperationHoldsBackNothingElse(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(960, 900, 30))
	l.call(createRoute, 201, rates(20, 0, 45)) // the smaller limit is the one that is shown
	l.want(createRoute, Creation, 45*time.Second)
	l.want(readRoute, Background, 0)
	l.want("GET /oncalls", Background, 0)
	if limit, remaining, _ := l.shown(); limit != 960 || remaining != 897 {
		t.Errorf("got %d of %d, want 897 of 960: each call counts with the general limit", remaining, limit)
	}

}

func TestA429OfALimitedOperationHoldsBackNothingElse(t *testing.T) {
	known := func(l *ledger) { l.call(readRoute, 200, rates(960, 900, 30)) }
	unknown := func(*ledger) {}
	for _, route := range []string{createRoute, "PUT /incidents/{id}", "GET /oncalls"} {
		for _, tt := range []struct {
			name    string
			general func(*ledger)
			header  http.Header
			wait    time.Duration
		}{
			{"its own limit", known, rates(20, 0, 10), 10 * time.Second},
			{"its own limit, the general one not known", unknown, rates(20, 0, 10), 10 * time.Second},
			{"the size of the general limit", known, rates(960, 0, 10), 10 * time.Second},
			{"no headers", known, nil, firstPause},
			{"no headers, the general limit not known", unknown, nil, firstPause},
		} {
			l := newLedger(t)
			tt.general(l)
			l.call(route, 429, tt.header)
			l.want(route, Approval, tt.wait)
			if got := l.until(route).Sub(l.now); got != tt.wait {
				t.Errorf("%s, %s: got the failure's wait %v, want %v", route, tt.name, got, tt.wait)
			}
			for _, other := range []string{readRoute, createRoute, "PUT /incidents/{id}", "GET /oncalls"} {
				if err := l.take(other, Background); other != route && err != nil {
					t.Errorf("%s, %s: got %v for %s, want it sent", route, tt.name, err, other)
				}
			}
		}
	}
}

func TestALimitedOperationBacksOffByItself(t *testing.T) {
	l := newLedger(t)
	for _, wait := range []int{1, 2, 4} {
		l.call(createRoute, 429, nil)
		l.call(readRoute, 200, nil)
		l.want(createRoute, Approval, time.Duration(wait)*time.Second)
		l.now = l.now.Add(time.Duration(wait) * time.Second)
	}
	l.call(createRoute, 201, nil)
	l.call(createRoute, 429, nil)
	l.want(createRoute, Approval, time.Second)
}

func TestTheGeneralLimitShownByALimitedOperationIsGeneral(t *testing.T) {
	l := newLedger(t)
	l.call(readRoute, 200, rates(960, 900, 30))
	l.call("GET /oncalls", 200, rates(960, 100, 30))
	l.want(readRoute, Background, 30*time.Second)
	l.want(readRoute, Creation, 0)
}

func TestOddRateLimitHeadersAreNotBelieved(t *testing.T) {
	for name, h := range map[string]http.Header{
		"none":              {},
		"words":             {"Ratelimit-Limit": {"many"}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"5"}},
		"limit 0":           rates(0, 0, 30),
		"reset in the past": rates(960, 0, -5),
	} {
		l := newLedger(t)
		l.call(readRoute, 200, h)
		if err := l.take(readRoute, Background); err != nil {
			t.Errorf("%s: got %v, want it sent", name, err)
		}
	}
	l := newLedger(t)
	l.call(readRoute, 200, rates(960, 0, 1772000000)) // a time instead of seconds
	l.want(readRoute, Approval, longestReset)
}

func TestCallsHeldBackAreNotSent(t *testing.T) {
	f := paged("users", 100, userObject("PUSER", "a@example.com"))
	f.header = rates(960, 100, 30)
	c := f.start(t)
	if _, err := c.User(t.Context(), "a@example.com"); err != nil {
		t.Fatal(err)
	}
	_, err := c.User(WithPriority(t.Context(), Background), "a@example.com")
	if got := failure(t, err); got.Class != access.Wait || !got.NotBefore.After(time.Now()) || f.count() != 1 {
		t.Errorf("got %v, not before %v, after %d calls, want Wait and one call", err, got.NotBefore, f.count())
	}
	if err := create(WithPriority(t.Context(), Creation), c); err == nil || f.count() != 2 {
		t.Errorf("got %v after %d calls, want a creation to be sent", err, f.count())
	}
	if s := c.Status(); s.Limit != 960 || s.Remaining < 98 || s.Remaining > 100 || s.Reset.IsZero() {
		t.Errorf("got status %+v, want the limit as last seen", s)
	}
}

func TestA429SaysWhenToComeBack(t *testing.T) {
	f := always(429, `{"error":{"message":"Rate Limit Exceeded","code":2020}}`)
	f.header = rates(960, 0, 20)
	c := f.start(t)
	for name, act := range actions() {
		got := failure(t, act(t.Context(), c))
		if wait := time.Until(got.NotBefore); got.Class != access.Wait || got.Unclear || wait <= 0 || wait > 24*time.Second {
			t.Errorf("%s: got class %d, wait %v, want Wait for 20s, or 4s more for what can wait", name, got.Class, wait)
		}
	}
	if f.count() > 4 {
		t.Errorf("got %d calls, want at most one for each limit: the rest waits", f.count())
	}
}
