package pagerdutytest

import "net/http"

// Hook is called when a request has arrived and is not yet performed, and again when it is performed and not
// yet answered. It runs in the request's own goroutine and may call every method of the Server. Where it
// returns false the request goes no further, and its connection is reset.
type Hook func(r Request, performed bool) (goOn bool)

// Around has the hook called around every request to come; nil: none any more.
func (s *Server) Around(h Hook) {
	s.do(func() { s.hook = h })
}

// pass takes a request past the hook.
func (s *Server) pass(w http.ResponseWriter, entry *Request, performed bool) {
	s.mu.Lock()
	hook, r := s.hook, *entry
	s.mu.Unlock()
	if hook != nil && !hook(r, performed) {
		reset(w)
	}
}

// LimitTo changes the rate limit to so many requests a minute.
func (s *Server) LimitTo(requests int) {
	s.do(func() { s.opts.RateLimit = requests })
}
