package pagerdutytest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"
)

// call is one REST request on its way through the rules to its operation.
type call struct {
	*http.Request
	route  string // as in "GET /incidents/{id}"
	query  url.Values
	body   []byte
	from   *User // of the From header, where the operation asks for it
	faults faults
}

// decode reads the request body into v.
func (c *call) decode(v any) error {
	if err := json.Unmarshal(c.body, v); err != nil {
		return invalid(err.Error())
	}
	return nil
}

// operation answers one route. It runs with the account locked.
type operation func(*call) (answer, error)

// answer is what goes back. A nil body has no JSON.
type answer struct {
	status int
	body   any
	header http.Header
}

func ok(body any) (answer, error)      { return answer{status: http.StatusOK, body: body}, nil }
func created(body any) (answer, error) { return answer{status: http.StatusCreated, body: body}, nil }

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for route, run := range map[string]operation{
		"GET /incidents":                          s.listIncidents,
		"POST /incidents":                         s.createIncident,
		"PUT /incidents":                          s.updateIncidents,
		"GET /incidents/{id}":                     s.getIncident,
		"PUT /incidents/{id}":                     s.updateIncident,
		"GET /incidents/{id}/notes":               s.listNotes,
		"POST /incidents/{id}/notes":              s.createNote,
		"GET /incidents/{id}/log_entries":         s.listLogEntries,
		"GET /services":                           s.listServices,
		"GET /services/{id}":                      s.getService,
		"GET /users":                              s.listUsers,
		"GET /users/{id}":                         s.getUser,
		"GET /users/me":                           s.getMe,
		"GET /teams":                              s.listTeams,
		"GET /teams/{id}":                         s.getTeam,
		"GET /oncalls":                            s.listOnCalls,
		"GET /escalation_policies":                s.listPolicies,
		"GET /escalation_policies/{id}":           s.getPolicy,
		"GET /schedules":                          s.listSchedules,
		"GET /schedules/{id}":                     s.getSchedule,
		"GET /schedules/{id}/users":               s.listScheduleUsers,
		"GET /v3/schedules":                       s.listShiftSchedules,
		"GET /v3/schedules/{id}":                  s.getShiftSchedule,
		"GET /abilities":                          s.listAbilities,
		"GET /abilities/{id}":                     s.testAbility,
		"GET /webhook_subscriptions":              s.listSubscriptions,
		"POST /webhook_subscriptions":             s.createSubscription,
		"GET /webhook_subscriptions/{id}":         s.getSubscription,
		"PUT /webhook_subscriptions/{id}":         s.updateSubscription,
		"DELETE /webhook_subscriptions/{id}":      s.deleteSubscription,
		"POST /webhook_subscriptions/{id}/enable": s.enableSubscription,
		"POST /webhook_subscriptions/{id}/ping":   s.pingSubscription,
	} {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, route, run) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, "", func(*call) (answer, error) { return answer{}, unknown("path", r.URL.Path) })
	})
	return mux
}

// serve takes one request through the faults around it, the rules and the operation.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, route string, run operation) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler) // the caller went away, or sent what no caller of ours sends
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	entry, faults := s.arrive(r, route, body)
	defer s.do(func() { s.serving-- })
	c := &call{Request: r, route: route, query: r.URL.Query(), body: body, faults: faults}

	var a answer
	if fault, failing := faults.before(r.Context(), w); failing {
		a = s.failure(fault)
	} else {
		s.pass(w, entry, false)
		a = s.perform(c, run)
		s.pass(w, entry, true)
		if fault, failing := faults.after(r.Context(), w); failing {
			a = s.failure(fault)
		}
	}
	s.write(w, faults.disguise(a), faults)
	s.do(func() { entry.Status = a.status })
}

// perform applies the rules and runs the operation.
func (s *Server) perform(c *call, run operation) answer {
	violation := s.document.violation(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.announce()
	if !s.authorized(c) {
		// Seen: a 401 of PagerDuty has no JSON but text/html and an empty body.
		return answer{status: http.StatusUnauthorized, header: http.Header{"Content-Type": {"text/html"}}}
	}
	if violation != "" {
		s.violations = append(s.violations, violation)
	}
	header, err := s.limit()
	if err == nil {
		err = s.rules(c, violation)
	}
	var a answer
	if err == nil {
		c.query = c.faults.filters(c.query)
		a, err = run(c)
	}
	if refused, is := errors.AsType[*refusal](err); is {
		a = answer{status: refused.status, body: refused.body()}
	} else {
		check(err)
	}
	a.body = frozen(a.body)
	a.header = header
	return a
}

// frozen renders a body while the account is locked.
func frozen(body any) any {
	if body == nil {
		return nil
	}
	return json.RawMessage(must(json.Marshal(body)))
}

func (s *Server) write(w http.ResponseWriter, a answer, f faults) {
	header := w.Header()
	for name, values := range a.header {
		header[name] = values
	}
	f.headers(header)
	header.Set("Date", s.opts.Now().Add(f.skew()).UTC().Format(http.TimeFormat))
	switch body := a.body.(type) {
	case nil:
		w.WriteHeader(a.status)
	case json.RawMessage:
		header.Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = w.Write(body)
	case string:
		header.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, body)
	}
}

// Request is one REST request as it came in.
type Request struct {
	Method string
	Route  string // method and path template, e.g. "GET /incidents/{id}"; "" for a path that PagerDuty does not have
	Path   string
	Query  url.Values
	From   string // the From header
	Body   string
	Time   time.Time
	Status int       // of the answer; 0 while there is none, or when the connection was reset
	AtOnce int       // requests that were under way when it came, itself included
	Reset  time.Time // end of the rate limit's window that was known when it came
}

func (s *Server) arrive(r *http.Request, route string, body []byte) (entry *Request, f faults) {
	s.do(func() {
		s.serving++
		entry = &Request{
			Method: r.Method, Route: route, Path: r.URL.Path, Query: r.URL.Query(),
			From: r.Header.Get("From"), Body: string(body), Time: s.opts.Now(), AtOnce: s.serving, Reset: s.window.start.Add(s.opts.rateWindow),
		}
		s.requests = append(s.requests, entry)
		f = s.takeFaults(route)
	})
	return entry, f
}

// Requests gives every request so far, in the order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// CountRequests counts the requests of a route, e.g. "POST /incidents"; "" counts all.
func (s *Server) CountRequests(route string) int {
	n := 0
	for _, r := range s.Requests() {
		if route == "" || r.Route == route {
			n++
		}
	}
	return n
}
