package pagerduty

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestEachErrorAnswerHasItsClassAndNamesWhatToMend(t *testing.T) {
	const duplicate = `{"error":{"message":"Arguments Caused Error","code":2002,"errors":["Open incident with matching dedup key already exists on this service"]}}`
	tests := []struct {
		name    string
		status  int
		body    string
		class   access.Class
		unclear bool
		is      error
		says    string
	}{
		{"duplicate key", 400, duplicate, access.Permanent, false, access.ErrDuplicateKey, "matching dedup key"},
		{"duplicate key, errors a string", 400, `{"error":{"message":"x","code":2002,"errors":"Open incident with matching dedup key already exists on this service"}}`, access.Permanent, false, access.ErrDuplicateKey, "dedup"},
		{"duplicate key, error a list", 400, `{"error":["Open incident with matching dedup key already exists on this service"]}`, access.Permanent, false, access.ErrDuplicateKey, "dedup"},
		{"duplicate key, error a string", 400, `{"error":"Open incident with matching dedup key already exists on this service"}`, access.Permanent, false, access.ErrDuplicateKey, "dedup"},
		{"other 2002", 400, `{"error":{"message":"Arguments Caused Error","code":2002}}`, access.Permanent, false, nil, "disabled or in maintenance"},
		{"nobody on call", 400, `{"error":{"message":"Escalation Policy has no user on call","code":1015,"errors":[]}}`, access.Permanent, false, nil, "nobody is on call"},
		{"errors by field", 400, `{"error":{"message":"Invalid","code":2001,"errors":{"service":["is gone","is odd"]}}}`, access.Permanent, false, nil, "service is gone; service is odd"},
		{"From unknown", 400, `{"error":{"message":"Requester User Not Found","code":2017}}`, access.Permanent, false, access.ErrDenied, "pagerduty.user_email"},
		{"From unknown by documented code", 400, `{"error":{"message":"x","code":1008}}`, access.Permanent, false, access.ErrDenied, testFrom},
		{"From missing", 400, `{"error":{"message":"x","code":2016,"errors":["You must specify a user's email address in the \"From\" header to perform this action"]}}`, access.Permanent, false, access.ErrDenied, "pagerduty.user_email"},
		{"key refused", 401, ``, access.Permanent, false, access.ErrDenied, "PagerDuty refused the API key (pagerduty.api_key)"},
		{"ability", 402, `{"error":{"message":"Account does not have the abilities","code":2014}}`, access.Permanent, false, access.ErrDenied, "lacks the ability"},
		{"forbidden", 403, `{"error":{"message":"Access Denied","code":2010}}`, access.Permanent, false, access.ErrDenied, "no permission"},
		{"not found", 404, `{"error":{"message":"Not Found","code":2100}}`, access.Permanent, false, access.ErrNotFound, "Not Found"},
		{"schedule not found in words of 400", 400, `{"error":{"message":"Schedule Not Found","code":3004}}`, access.Permanent, false, access.ErrNotFound, "Schedule Not Found"},
		{"not found in words of 400", 400, `{"error":{"message":"Service Not Found","code":5002}}`, access.Permanent, false, access.ErrNotFound, "Service Not Found"},
		{"time-out there", 408, `{"error":{"message":"took too long","code":2016}}`, access.Retry, true, nil, "408"},
		{"rate limit", 429, `{"error":{"message":"Rate Limit Exceeded","code":2020}}`, access.Wait, false, nil, "Rate Limit Exceeded"},
		{"rate limit without body", 429, ``, access.Wait, false, nil, "429"},
		{"server error", 500, `{"error":{"message":"Internal Server Error","code":2000}}`, access.Retry, true, nil, "500"},
		{"gateway's page", 502, `<html>Bad gateway</html>`, access.Retry, true, nil, "502"},
		{"unavailable", 503, ``, access.Retry, true, nil, "503"},
		{"error null", 400, `{"error":null}`, access.Permanent, false, nil, "400"},
		{"error a number", 400, `{"error":5}`, access.Permanent, false, nil, "400"},
		{"no object", 400, `[1]`, access.Permanent, false, nil, "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := create(t.Context(), always(tt.status, tt.body).start(t))
			f := failure(t, err)
			if f.Class != tt.class || f.Unclear != tt.unclear {
				t.Errorf("got class %d, unclear %t, want class %d, unclear %t: %v", f.Class, f.Unclear, tt.class, tt.unclear, err)
			}
			for _, sentinel := range []error{access.ErrDuplicateKey, access.ErrDenied, access.ErrNotFound} {
				if got, want := errors.Is(err, sentinel), errors.Is(sentinel, tt.is); got != want {
					t.Errorf("got errors.Is(%v) %t, want %t: %v", sentinel, got, want, err)
				}
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want %q in it", err, tt.says)
			}
		})
	}
}

func TestA404OfSomethingInBetweenIsNotNotFound(t *testing.T) {
	_, err := always(404, `<html>nothing here</html>`).start(t).Incident(t.Context(), "QINC", "")
	if errors.Is(err, access.ErrNotFound) || !access.IsPermanent(err) || !strings.Contains(err.Error(), "pagerduty.api_endpoint") {
		t.Errorf("got %v, want a permanent error that names pagerduty.api_endpoint and is not ErrNotFound", err)
	}
}

func TestAnAnswerWithoutTheExpectedObjectIsCouldNotTell(t *testing.T) {
	bodies := map[string]string{
		"{}":              `{}`,
		"HTML":            `<!DOCTYPE html><title>Just a moment...</title>`,
		"nothing":         ``,
		"null":            `null`,
		"a list":          `[]`,
		"members null":    `{"users":null,"schedules":null,"schedule":null,"log_entries":null,"services":null,"service":null,"oncalls":null,"incident":null,"incidents":null,"notes":null,"note":null,"more":false,"offset":0}`,
		"members numbers": `{"users":1,"schedules":1,"schedule":1,"log_entries":1,"services":1,"service":1,"oncalls":1,"incident":1,"incidents":1,"notes":1,"note":1,"more":false,"offset":0}`,
		"members empty":   `{"users":[{}],"schedules":[{}],"schedule":{},"log_entries":[{}],"services":[{}],"service":{},"oncalls":[{}],"incident":{},"incidents":[{}],"notes":[{}],"note":{},"more":false,"offset":0}`,
		"no more":         `{"users":[],"schedules":[],"log_entries":[],"services":[],"oncalls":[],"incidents":[],"offset":0}`,
	}
	for shape, body := range bodies {
		for name, act := range actions() {
			t.Run(name+" answered with "+shape, func(t *testing.T) {
				err := act(t.Context(), always(200, body).start(t))
				f := failure(t, err)
				if f.Class != access.Retry || f.Unclear != isWrite(name) || errors.Is(err, access.ErrNotFound) {
					t.Errorf("got class %d, unclear %t, want Retry, unclear %t: %v", f.Class, f.Unclear, isWrite(name), err)
				}
			})
		}
	}
}

func TestAWriteThatMayHaveArrivedIsUnclear(t *testing.T) {
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer reset.Close()
	cut := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte(`{"incident":`))
		panic(http.ErrAbortHandler)
	}))
	defer cut.Close()
	nobody := httptest.NewServer(nil)
	nobody.Close()

	tests := []struct {
		name    string
		cfg     Config
		unclear bool
	}{
		{"connection lost after the request", Config{Endpoint: reset.URL}, true},
		{"answer cut off", Config{Endpoint: cut.URL}, true},
		{"connection refused", Config{Endpoint: nobody.URL}, false},
		{"unknown host", Config{Endpoint: "https://api.pagerduty.com", Transport: wire(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "api.pagerduty.com", IsNotFound: true}}
		})}, false},
	}
	for _, tt := range tests {
		for name, act := range actions() {
			t.Run(name+": "+tt.name, func(t *testing.T) {
				err := act(t.Context(), newClient(t, tt.cfg))
				f := failure(t, err)
				if want := tt.unclear && isWrite(name); f.Class != access.Retry || f.Unclear != want {
					t.Errorf("got class %d, unclear %t, want Retry, unclear %t: %v", f.Class, f.Unclear, want, err)
				}
				if strings.Contains(err.Error(), "example.com&") || strings.Contains(err.Error(), "query=") {
					t.Errorf("got %q, want no query string in it", err)
				}
			})
		}
	}
}

func TestACallGivenUpBeforeItWasSentIsClear(t *testing.T) {
	f := always(200, `{}`)
	c := f.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, act := range actions() {
		err := act(ctx, c)
		if !errors.Is(err, context.Canceled) || failure(t, err).Unclear {
			t.Errorf("%s: got %v, want context.Canceled and not unclear", name, err)
		}
	}
	if f.count() != 0 {
		t.Errorf("got %d calls, want none", f.count())
	}
	if got := c.Status().LastError; got != "" {
		t.Errorf("got last error %q, want none: the caller gave up", got)
	}
}

func TestEmptyAndOddIDsAreNeverSent(t *testing.T) {
	f := always(200, `{}`)
	c := f.start(t)
	ctx := t.Context()
	one := func(_ any, err error) error { return err }
	onCalls := func(q access.OnCallQuery) error {
		_, _, err := c.OnCalls(ctx, q)
		return err
	}
	schedule := func(ref string) error {
		_, _, err := c.Schedule(ctx, ref, time.Time{})
		return err
	}
	tests := map[string]error{
		"e-mail":              one(c.User(ctx, "")),
		"blank e-mail":        one(c.User(ctx, " ")),
		"service name":        one(c.Service(ctx, "")),
		"service id":          one(c.Service(ctx, "id:")),
		"path as service id":  one(c.Service(ctx, "id:../users")),
		"schedule name":       schedule(" "),
		"schedule id":         schedule("id:"),
		"path as schedule id": schedule("id:PSCHED/users"),
		"no users":            onCalls(access.OnCallQuery{}),
		"one empty user":      onCalls(access.OnCallQuery{Users: []access.UserID{"PUSER", ""}}),
		"incident":            one(c.Incident(ctx, "", "")),
		"incident number":     one(c.Incident(ctx, "1234", "")),
		"path as incident":    one(c.Incident(ctx, "Q1/notes", "")),
		"query as incident":   one(c.Incident(ctx, "Q1?x", "")),
		"key":                 one(c.IncidentsByKey(ctx, "", "PSVC")),
		"service of key":      one(c.IncidentsByKey(ctx, "key", "")),
		"new without key":     one(c.CreateIncident(ctx, access.NewIncident{Service: "PSVC", Title: "t"})),
		"new without service": one(c.CreateIncident(ctx, access.NewIncident{Key: "k", Title: "t"})),
		"new without title":   one(c.CreateIncident(ctx, access.NewIncident{Key: "k", Service: "PSVC"})),
		"notes":               one(c.Notes(ctx, "")),
		"note":                c.AddNote(ctx, "QINC", ""),
		"note's incident":     c.AddNote(ctx, "", "text"),
		"resolve":             c.Resolve(ctx, ""),
		"resolve a number":    c.Resolve(ctx, "17"),
		"reopen":              c.Reopen(ctx, ""),
		"resolver":            one(c.Resolver(ctx, "17")),
		"no services":         one(c.OpenIncidents(ctx, nil)),
		"one empty service":   one(c.OpenIncidents(ctx, []access.ServiceID{"PSVC", ""})),
	}
	for name, err := range tests {
		if f := failure(t, err); f.Class != access.Permanent || f.Unclear {
			t.Errorf("%s: got class %d, unclear %t, want Permanent and clear: %v", name, f.Class, f.Unclear, err)
		}
	}
	if f.count() != 0 {
		t.Errorf("got %d calls, want none", f.count())
	}
}

func TestTheKeyIsInNoError(t *testing.T) {
	echo := `{"error":{"message":"Token token=` + testKey + `","code":2001,"errors":["` + testKey + `",{"key":"` + testKey + `"}]}}`
	for _, status := range []int{302, 400, 401, 403, 404, 429, 500} {
		c := always(status, echo).start(t)
		for name, act := range actions() {
			if err := act(t.Context(), c); strings.Contains(err.Error(), testKey) {
				t.Errorf("%s answered %d: the key is in %q", name, status, err)
			}
		}
		if got := c.Status().LastError; strings.Contains(got, testKey) {
			t.Errorf("answered %d: the key is in the last error %q", status, got)
		}
	}
}

func FuzzAnErrorAnswerIsAlwaysReadToAShortLine(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `null`, `[]`, `"x"`, `{"error":null}`, `{"error":"text"}`, `{"error":["a","b"]}`, `{"error":{}}`,
		`{"error":{"message":"m","code":2001,"errors":["d"]}}`, `{"error":{"message":1,"code":"2001","errors":"d"}}`,
		`{"error":{"code":1e300,"errors":{"f":["a",{"g":"b"}],"e":[null,1]}}}`, `{"error":{"message":"` + testKey + `"}}`,
		"{\"error\":\"line\\nbreak \u202e\"}", `<html>`,
	} {
		f.Add(400, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		r := readRefusal(status, body, testKey)
		text := r.Error()
		if r.status != status || r.code < 0 {
			t.Errorf("got status %d, code %d, want status %d and a code from 0", r.status, r.code, status)
		}
		if strings.Contains(text, testKey) || strings.ContainsAny(text, "\n\r\u202e") {
			t.Errorf("got %q, want neither the key nor line breaks nor overrides in it", text)
		}
		if runes := len([]rune(text)); runes > 100+(maxDetails+1)*(maxText+2) {
			t.Errorf("got %d characters, want a short text", runes)
		}
	})
}
