package pagerdutytest

import (
	"net/http"
	"strconv"
	"time"
)

// window counts the requests of the running window.
type window struct {
	start time.Time
	used  int
}

// SetRateLimit allows this many requests in each window from now on. PagerDuty's windows are minutes; a shorter
// one lets a test see several.
func (s *Server) SetRateLimit(requests int, window time.Duration) {
	s.do(func() { s.opts.RateLimit, s.opts.rateWindow, s.window.used = requests, window, 0 })
}

// limit counts a request and gives the ratelimit headers that every evaluated answer carries. Above the
// limit it refuses with 429 and code 2020 (https://developer.pagerduty.com/docs/rest-api-rate-limits).
func (s *Server) limit() (http.Header, error) {
	now := s.opts.Now()
	if !now.Before(s.window.start.Add(s.opts.rateWindow)) {
		s.window = window{start: now}
	}
	s.window.used++
	if s.window.used > s.opts.RateLimit {
		return s.limitHeaders(), rateLimited()
	}
	return s.limitHeaders(), nil
}

func (s *Server) limitHeaders() http.Header {
	left := s.window.start.Add(s.opts.rateWindow).Sub(s.opts.Now())
	h := http.Header{}
	h.Set("ratelimit-limit", strconv.Itoa(s.opts.RateLimit))
	h.Set("ratelimit-remaining", strconv.Itoa(max(0, s.opts.RateLimit-s.window.used)))
	h.Set("ratelimit-reset", strconv.Itoa(max(0, int((left+time.Second-1)/time.Second))))
	return h
}

func rateLimited() *refusal {
	return &refusal{http.StatusTooManyRequests, 2020, "Rate Limit Exceeded", nil}
}
