package pagerduty

import (
	"errors"
	"net/url"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	maxLookAhead = 90 * 24 * time.Hour // PagerDuty's limit for until
	spanMargin   = time.Minute         // a span reaches this far around now: Date counts whole seconds only
)

// span is the stretch of time that a question about duty is for: now, and what is ahead.
type span struct{ since, until time.Time }

// spanFrom gives the span from now to until, as far ahead as PagerDuty allows.
func spanFrom(now, until time.Time) span {
	s := span{since: now.Add(-spanMargin), until: until}
	if last := s.since.Add(maxLookAhead); until.After(last) {
		s.until = last
	}
	if first := now.Add(spanMargin); until.Before(first) {
		s.until = first
	}
	return s
}

// covers reports whether the answer holds who is on duty at now.
func (s span) covers(now time.Time) bool { return !s.since.After(now) && s.until.After(now) }

func (s span) addTo(query url.Values) {
	query.Set("since", s.since.UTC().Format(time.RFC3339))
	query.Set("until", s.until.UTC().Format(time.RFC3339))
}

// lookAhead asks for the span from now to until, and once more where the answer shows that the clock here is
// so far off that the span left PagerDuty's now out.
func lookAhead[T any](c *Client, until time.Time, ask func(span) (T, time.Time, error)) (T, time.Time, error) {
	now := c.pagerDutyNow()
	for range 2 {
		s := spanFrom(now, until)
		var it T
		var err error
		if it, now, err = ask(s); err != nil || s.covers(now) {
			return it, now, err
		}
	}
	var none T
	return none, time.Time{}, &access.Failure{Err: errors.New("PagerDuty's answers do not agree on what time it is")}
}

// pagerDutyNow is the present by PagerDuty's clock as far as earlier answers tell.
func (c *Client) pagerDutyNow() time.Time { return c.now().Add(-c.health.snapshot().Skew) }
