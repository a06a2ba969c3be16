package pagerdutytest

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// FaultKind says what goes wrong.
type FaultKind int

// The kinds of Fault. Several may hit one request.
const (
	// Status answers Fault.Status instead of performing the request. 503, 500 and 408 are PagerDuty's words
	// for "again later"; a 429 carries code 2020 and the ratelimit headers unless Fault.Bare.
	Status FaultKind = iota + 1
	// StatusAfter performs the request, then answers Fault.Status: what a proxy that gave up looks like.
	StatusAfter
	// Delay waits for Fault.Delay, then performs the request, unless the caller is gone by then.
	Delay
	// Hang waits until ClearFaults or Close, then performs the request, unless the caller is gone by then.
	Hang
	// HangAfter performs the request and answers only after ClearFaults or Close: "a create that timed out
	// may have succeeded".
	HangAfter
	// ResetBefore resets the connection; the request is not performed.
	ResetBefore
	// ResetAfter performs the request, then resets the connection.
	ResetAfter
	// EmptyObject performs the request and answers `{}` with its status.
	EmptyObject
	// HTML performs the request and answers an HTML page with its status, as captive proxies do.
	HTML
	// IgnoreFilters performs the request without its filters: seen with an empty incident_key, where
	// PagerDuty answers with all incidents.
	IgnoreFilters
	// LosePage leaves the list out of every page after the first.
	LosePage
	// WrongDate moves the Date header by Fault.Skew.
	WrongDate
	// DropRateLimitHeaders leaves the ratelimit headers out: "a 429 without these headers is possible".
	DropRateLimitHeaders
	// OddLogEntries shows log entries in shapes that were seen: a channel whose type is null, event_details
	// with a value that is no string, an acknowledgement named as in the document's subschema.
	OddLogEntries
	// RefuseReopen refuses to reopen a resolved incident: the knowledge base and the OpenAPI document
	// disagree whether it works.
	RefuseReopen
)

// Fault makes requests fail.
type Fault struct {
	Kind  FaultKind
	Route string // e.g. "POST /incidents"; "" hits every route
	Times int    // how many requests it hits; 0: all until ClearFaults

	Until  time.Time     // hits no request after this; zero: no end
	Status int           // for Status and StatusAfter
	Bare   bool          // for Status and StatusAfter: neither JSON nor ratelimit headers
	Delay  time.Duration // for Delay
	Skew   time.Duration // for WrongDate

	released <-chan struct{} // for Hang and HangAfter
}

// Fault adds a fault for the requests to come.
func (s *Server) Fault(f Fault) {
	s.do(func() {
		if f.Times == 0 {
			f.Times = -1
		}
		f.released = s.released
		s.faults = append(s.faults, &f)
	})
}

// ClearFaults ends all faults and lets hanging requests go on.
func (s *Server) ClearFaults() {
	s.do(func() {
		s.faults = nil
		close(s.released)
		s.released = make(chan struct{})
	})
}

// takeFaults gives the faults that hit a request to route and counts them off.
func (s *Server) takeFaults(route string) faults {
	var hit faults
	for _, f := range s.faults {
		over := f.Times == 0 || !f.Until.IsZero() && s.opts.Now().After(f.Until)
		if over || f.Route != "" && f.Route != route {
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		hit = append(hit, *f)
	}
	return hit
}

// faults are those that hit one request.
type faults []Fault

func (fs faults) find(kind FaultKind) (Fault, bool) {
	i := slices.IndexFunc(fs, func(f Fault) bool { return f.Kind == kind })
	if i < 0 {
		return Fault{}, false
	}
	return fs[i], true
}

func (fs faults) has(kind FaultKind) bool {
	_, has := fs.find(kind)
	return has
}

// before applies what happens before the request is performed; true: the fault is the answer.
func (fs faults) before(ctx context.Context, w http.ResponseWriter) (Fault, bool) {
	if f, delayed := fs.find(Delay); delayed {
		late := time.NewTimer(f.Delay)
		defer late.Stop()
		await(ctx, late.C)
	}
	if f, hanging := fs.find(Hang); hanging {
		await(ctx, f.released)
	}
	if fs.has(ResetBefore) {
		reset(w)
	}
	return fs.find(Status)
}

// after applies what happens once the request was performed; true: the fault is the answer.
func (fs faults) after(ctx context.Context, w http.ResponseWriter) (Fault, bool) {
	if f, hanging := fs.find(HangAfter); hanging {
		await(ctx, f.released)
	}
	if fs.has(ResetAfter) {
		reset(w)
	}
	return fs.find(StatusAfter)
}

// await waits for the event; a caller who is gone gets no answer and has nothing performed.
func await[T any](ctx context.Context, event <-chan T) {
	select {
	case <-event:
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	}
}

// reset ends the connection with a TCP reset, or at least without an answer where it has no socket.
func reset(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// failure is the answer of a Status fault.
func (s *Server) failure(f Fault) answer {
	if f.Bare {
		return answer{status: f.Status}
	}
	refused := &refusal{f.Status, 2000, http.StatusText(f.Status), nil}
	if f.Status == http.StatusTooManyRequests {
		refused = rateLimited()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer{status: f.Status, body: frozen(refused.body()), header: s.limitHeaders()}
}

// disguise replaces the body where a fault says so.
func (fs faults) disguise(a answer) answer {
	switch {
	case fs.has(EmptyObject):
		a.body = json.RawMessage("{}")
	case fs.has(HTML):
		a.body = "<!DOCTYPE html><title>Just a moment...</title>"
	}
	return a
}

func (fs faults) headers(h http.Header) {
	if fs.has(DropRateLimitHeaders) {
		h.Del("ratelimit-limit")
		h.Del("ratelimit-remaining")
		h.Del("ratelimit-reset")
	}
}

func (fs faults) skew() time.Duration {
	f, _ := fs.find(WrongDate)
	return f.Skew
}

func (fs faults) losesPage(offset int) bool { return offset > 0 && fs.has(LosePage) }

// filters gives the query as the operation sees it.
func (fs faults) filters(q url.Values) url.Values {
	if !fs.has(IgnoreFilters) {
		return q
	}
	kept := url.Values{}
	for _, name := range []string{"limit", "offset", "total", "include[]"} {
		if q.Has(name) {
			kept[name] = q[name]
		}
	}
	return kept
}
