package pagerduty

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	firstPause   = time.Second     // after a 429 that does not say for how long
	longestPause = time.Minute     // PagerDuty's windows are minutes
	longestReset = 5 * time.Minute // a ratelimit-reset beyond it is not believed
	usualWindow  = time.Minute     // assumed for a window that no answer has shown yet
	stagger      = 2 * time.Second // by which the less urgent come back later: the queue spreads each over a second
	sameReset    = 2 * time.Second // answers of one window agree on its end this well: they show whole seconds
)

// errHeldBack is why a call was not sent.
var errHeldBack = errors.New("has to wait for PagerDuty's rate limit")

// limited are the operations that may have a rate limit of their own besides the key's; its size is only
// seen in the headers of their answers.
// https://developer.pagerduty.com/docs/rest-api-rate-limits
func limited(route string) bool {
	switch route {
	case "POST /incidents", "PUT /incidents", "PUT /incidents/{id}", "GET /oncalls":
		return true
	}
	return false
}

// budget spreads PagerDuty's rate limit over the calls: the little that is left goes to the urgent ones.
type budget struct {
	now func() time.Time

	mu      sync.Mutex
	general window
	own     map[string]*window // of limited routes
}

// window is one rate limit as last seen.
type window struct {
	limit    int // 0: not known
	seen     int // the least that an answer of this window left
	unseen   int // calls that ended since without an answer that shows this limit
	inFlight int // sent and not answered
	reset    time.Time
	guessed  bool          // no answer has shown this window yet
	shut     time.Time     // after a 429: nothing is sent before
	pause    time.Duration // the latest one after a 429 without headers
}

// remaining is how many calls the window still has, if PagerDuty has not seen those under way.
func (w *window) remaining() int { return w.seen - w.unseen - w.inFlight }

func newBudget(now func() time.Time) *budget {
	return &budget{now: now, own: map[string]*window{}}
}

// take counts a call that is about to be sent, or refuses it with the moment when to try again.
func (b *budget) take(route string, p Priority) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	var until time.Time
	for _, w := range b.windows(route) {
		w.roll(now)
		until = later(until, w.refuses(p, now))
	}
	if !until.IsZero() {
		until = until.Add(time.Duration(p) * stagger)
		return &access.Failure{Class: access.Wait, NotBefore: until, Err: fmt.Errorf("%s %w", route, errHeldBack)}
	}
	for _, w := range b.windows(route) {
		w.inFlight++
	}
	return nil
}

// unanswered ends a call that may or may not have counted with PagerDuty.
func (b *budget) unanswered(route string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(route, nil)
}

// end takes a call from those under way. shown is the limit that its answer shows, if it does.
func (b *budget) end(route string, shown *window) {
	for _, w := range b.windows(route) {
		w.inFlight--
		if w != shown {
			w.unseen++
		}
	}
}

// answered ends a call and takes over what the answer shows: the limit that is closest to its end.
func (b *budget) answered(route string, status int, h http.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	windows := b.windows(route)
	seen, shown := readRateLimit(h)
	var of *window
	if shown {
		of = b.meant(route, seen.limit)
	}
	b.end(route, of)
	if status == http.StatusTooManyRequests {
		// The narrowest window only: a refused notification must not hold up approvals. Should the general
		// limit be used up, the next call finds out.
		windows[len(windows)-1].refused(seen, shown, now)
		return
	}
	if shown {
		of.show(seen, now)
	}
	if status < 500 {
		for _, w := range windows {
			w.pause = 0
		}
	}
}

// until is when a call that got a 429 may be made again.
func (b *budget) until(route string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	until := b.now().Add(firstPause)
	for _, w := range b.windows(route) {
		until = later(until, w.shut)
	}
	return until
}

// shown gives the general limit for people.
func (b *budget) shown() (limit, remaining int, reset time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.general.roll(b.now())
	return b.general.limit, max(b.general.remaining(), 0), b.general.reset
}

// windows are the limits that a call counts against, the narrowest last.
func (b *budget) windows(route string) []*window {
	if !limited(route) {
		return []*window{&b.general}
	}
	if b.own[route] == nil {
		b.own[route] = &window{}
	}
	return []*window{&b.general, b.own[route]}
}

// meant tells by its size which limit an answer shows.
func (b *budget) meant(route string, limit int) *window {
	if !limited(route) || limit == b.general.limit {
		return &b.general
	}
	return b.own[route]
}

// roll begins a new window when the old one is over.
func (w *window) roll(now time.Time) {
	if w.limit > 0 && !w.reset.After(now) {
		w.begin(w.limit, now.Add(usualWindow))
		w.guessed = true
	}
}

// refuses gives the moment until which a call of priority p must wait; zero: it need not.
func (w *window) refuses(p Priority, now time.Time) time.Time {
	enough := w.remaining() > 0
	switch p {
	case Background:
		enough = w.remaining()*5 >= w.limit // 20 %
	case Creation:
		enough = w.remaining()*20 >= w.limit // 5 %
	}
	switch {
	case w.shut.After(now):
		return w.shut
	case w.limit > 0 && !enough:
		return w.reset
	}
	return time.Time{}
}

// begin enters a window that has so many calls until its reset.
func (w *window) begin(remaining int, reset time.Time) {
	w.seen, w.unseen, w.reset, w.guessed = remaining, 0, reset, false
}

// show takes over what an answer shows. Answers overtake each other: one that shows more than another of the
// same window is the older, and one of a window that is over tells nothing of this one.
func (w *window) show(seen rateLimit, now time.Time) {
	reset := now.Add(seen.reset)
	apart := reset.Sub(w.reset)
	switch {
	case w.guessed || w.limit != seen.limit || apart > sameReset:
		w.limit = seen.limit
		w.begin(seen.remaining, reset)
	case apart < -sameReset:
	case seen.remaining < w.seen:
		w.begin(seen.remaining, later(reset, w.reset))
	}
}

// refused shuts the window after a 429: until the reset that it shows, else longer each time.
func (w *window) refused(seen rateLimit, shown bool, now time.Time) {
	switch {
	case shown:
		w.show(seen, now)
		w.shut = now.Add(max(seen.reset, firstPause))
	case !w.shut.After(now): // else another call of the same moment got it
		w.pause = min(max(2*w.pause, firstPause), longestPause)
		w.shut = now.Add(w.pause)
	}
}

// rateLimit is what the headers of an answer show.
type rateLimit struct {
	limit, remaining int
	reset            time.Duration // from now
}

func readRateLimit(h http.Header) (rateLimit, bool) {
	limit, err := strconv.Atoi(h.Get("ratelimit-limit"))
	if err != nil || limit < 1 {
		return rateLimit{}, false
	}
	remaining, err := strconv.Atoi(h.Get("ratelimit-remaining"))
	if err != nil {
		return rateLimit{}, false
	}
	seconds, err := strconv.Atoi(h.Get("ratelimit-reset"))
	if err != nil || seconds < 0 {
		return rateLimit{}, false
	}
	reset := longestReset
	if seconds < int(longestReset/time.Second) {
		reset = time.Duration(seconds) * time.Second
	}
	return rateLimit{limit, remaining, reset}, true
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
