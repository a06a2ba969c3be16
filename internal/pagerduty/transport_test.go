package pagerduty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestQuestionsAreRepeatedTwiceAndWritesNever(t *testing.T) {
	tests := []struct {
		status    int
		questions int
	}{
		{408, 3}, {500, 3}, {502, 3}, {503, 3}, {504, 3},
		{400, 1}, {401, 1}, {403, 1}, {404, 1}, {429, 1}, {302, 1}, {200, 1},
	}
	for _, tt := range tests {
		for name, act := range actions() {
			f := always(tt.status, ``)
			err := act(t.Context(), f.start(t))
			want := tt.questions
			switch {
			case isWrite(name):
				want = 1
			case name == "Schedule by id" && tt.status == 400:
				want = 2 // it may be one of the other kind
			}
			if err == nil || f.count() != want {
				t.Errorf("%s answered %d: got %d calls, %v, want %d", name, tt.status, f.count(), err, want)
			}
		}
	}
}

func TestAQuestionSurvivesTwoLostAnswers(t *testing.T) {
	var calls int
	f := &fake{respond: func(r *http.Request) (int, string) {
		if calls++; calls < 3 {
			panic(http.ErrAbortHandler)
		}
		return paged("users", 100, userObject("PUSER", "a@example.com")).respond(r)
	}}
	got, err := f.start(t).User(t.Context(), "a@example.com")
	if err != nil || got.ID != "PUSER" {
		t.Errorf("got %+v, %v, want PUSER", got, err)
	}
}

func TestRepeatsEndWithinThreeSecondsAndAnAttemptWithinTen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			answerAfter time.Duration
			calls       int
		}{
			{0, 3},
			{2 * time.Second, 2}, // the second begins within 3 s, a third would not
			{4 * time.Second, 1},
			{time.Hour, 1},
		} {
			calls := 0
			c, err := New(Config{Endpoint: "https://api.pagerduty.com", From: testFrom, Key: func() string { return testKey },
				Transport: wire(func(r *http.Request) (*http.Response, error) {
					calls++
					select {
					case <-time.After(tt.answerAfter):
						return response(503, ""), nil
					case <-r.Context().Done():
						return nil, context.Cause(r.Context())
					}
				})})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = c.User(context.Background(), "a@example.com")
			took := time.Since(began)
			if err == nil || calls != tt.calls || took > repeatWithin+attemptTimeout {
				t.Errorf("answers after %v: got %d calls in %v, %v, want %d calls", tt.answerAfter, calls, took, err, tt.calls)
			}
			if tt.answerAfter == time.Hour && (took != attemptTimeout || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("no answer: got %v after %v, want deadline exceeded after %v", err, took, attemptTimeout)
			}
		}
	})
}

func TestAWriteWithoutAnswerIsUnclearAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Endpoint: "https://api.pagerduty.com", Transport: wire(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		began := time.Now()
		f := failure(t, create(t.Context(), c))
		if took := time.Since(began); took != attemptTimeout || !f.Unclear || f.Class != access.Retry || !strings.Contains(f.Error(), "10s") {
			t.Errorf("got %v, unclear %t after %v, want an unclear Retry that names 10s", f, f.Unclear, took)
		}
		if s := c.Status(); s.Reachable || s.LastError == "" {
			t.Errorf("got status %+v, want unreachable with an error", s)
		}
	})
}

func TestRedirectsAreErrorsAndTheKeyStaysHere(t *testing.T) {
	elsewhere := always(200, `{"users":[]}`)
	away := elsewhere.start(t)
	f := always(302, ``)
	f.header = http.Header{"Location": {away.endpoint + "/users"}}
	c := f.start(t)
	for name, act := range actions() {
		err := act(t.Context(), c)
		if !access.IsPermanent(err) || access.IsUnclear(err) != isWrite(name) || !strings.Contains(err.Error(), "pagerduty.api_endpoint") {
			t.Errorf("%s: got %v, want a permanent error that names pagerduty.api_endpoint", name, err)
		}
	}
	if elsewhere.count() != 0 {
		t.Errorf("got %d calls elsewhere, want none", elsewhere.count())
	}
}

func TestANewKeyIsUsedFromTheNextCallOn(t *testing.T) {
	var key atomic.Value
	key.Store("first")
	f := paged("users", 100, userObject("PUSER", "a@example.com"))
	c := f.startWith(t, Config{Key: func() string { return key.Load().(string) }})
	for i, want := range []string{"first", "second"} {
		key.Store(want)
		if _, err := c.User(t.Context(), "a@example.com"); err != nil {
			t.Fatal(err)
		}
		if got := f.asked[i].Header.Get("Authorization"); got != "Token token="+want {
			t.Errorf("got Authorization %q, want the key %q", got, want)
		}
	}
	key.Store("")
	if _, err := c.User(t.Context(), "a@example.com"); !access.IsPermanent(err) || f.count() != 2 {
		t.Errorf("empty key: got %v after %d calls, want a permanent error without a call", err, f.count())
	}
}

func TestAHugeAnswerIsCouldNotTell(t *testing.T) {
	_, err := always(200, `{"users":["`+strings.Repeat("x", maxBody)+`"]}`).start(t).User(t.Context(), "a@example.com")
	if err == nil || failure(t, err).Class != access.Retry || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v, want Retry for its size", err)
	}
}

func TestAttemptsAreCountedByRouteWithoutNames(t *testing.T) {
	seen := map[string]int{}
	f := &fake{respond: func(r *http.Request) (int, string) {
		if r.URL.Path == "/incidents/QINC" {
			panic(http.ErrAbortHandler)
		}
		return 503, ``
	}}
	c := f.startWith(t, Config{Observe: func(route string, code int) { seen[fmt.Sprint(route, " ", code)]++ }})
	for _, act := range actions() {
		_ = act(t.Context(), c)
	}
	want := map[string]int{
		"GET /users 503": 6, "GET /services 503": 3, "GET /services/{id} 503": 3, "GET /oncalls 503": 3,
		"GET /schedules 503": 3, "GET /v3/schedules/{id} 503": 3,
		"GET /incidents/{id} 0": 3, "GET /incidents 503": 6, "GET /incidents/{id}/notes 503": 3, "GET /incidents/{id}/log_entries 503": 3,
		"POST /incidents 503": 1, "POST /incidents/{id}/notes 503": 1, "PUT /incidents/{id} 0": 2,
	}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", seen, want)
	}
	for counted := range seen {
		route, code := counted[:strings.LastIndex(counted, " ")], counted[strings.LastIndex(counted, " ")+1:]
		if !slices.Contains(Answers(), [2]string{route, code}) {
			t.Errorf("%s is not shown as 0 before it happens", counted)
		}
	}
}

func TestTheEndpointIsChecked(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://api.pagerduty.com":    "https://api.pagerduty.com",
		"https://api.eu.pagerduty.com": "https://api.eu.pagerduty.com",
		"https://api.pagerduty.com/":   "https://api.pagerduty.com",
		"http://127.0.0.1:8080":        "http://127.0.0.1:8080",
		"http://[::1]:8080//":          "http://[::1]:8080",
		"http://localhost:1":           "http://localhost:1",
		"http://api.pagerduty.com":     "",
		"ftp://127.0.0.1":              "",
		"api.pagerduty.com":            "",
		"https://":                     "",
		"https://me:pw@host":           "",
		"https://host/?x=1":            "",
		"":                             "",
	} {
		c, err := New(Config{Endpoint: endpoint, From: testFrom, Key: func() string { return testKey }})
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "pagerduty.api_endpoint") {
				t.Errorf("%q: got %v, want an error that names pagerduty.api_endpoint", endpoint, err)
			}
			continue
		}
		if err != nil || c.endpoint != want {
			t.Errorf("%q: got %v, want %q", endpoint, err, want)
		}
	}
	if _, err := New(Config{Endpoint: "https://api.pagerduty.com", From: "nobody", Key: func() string { return "" }}); err == nil {
		t.Error("From without @: got no error")
	}
	if _, err := New(Config{Endpoint: "https://api.pagerduty.com", From: testFrom}); err == nil {
		t.Error("no Key: got no error")
	}
}

func TestTheStatusFollowsTheConnection(t *testing.T) {
	status, body := 200, `{"notes":[]}`
	f := &fake{respond: func(*http.Request) (int, string) { return status, body }}
	local := instant("2026-03-01T13:00:00Z")
	f.header = http.Header{"Date": {local.Add(-40 * time.Second).Format(http.TimeFormat)}}
	var log bytes.Buffer
	c := f.startWith(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return local }})

	if s := c.Status(); s.Reachable || s != (Status{}) {
		t.Errorf("before any call: got %+v, want nothing known", s)
	}
	for range 2 {
		if _, err := c.Notes(t.Context(), "QINC"); err != nil {
			t.Fatal(err)
		}
	}
	s := c.Status()
	if !s.Reachable || s.LastError != "" || !s.LastAnswer.Equal(local) || s.Skew != 40*time.Second {
		t.Errorf("after an answer: got %+v, want reachable, no error, 40 s ahead", s)
	}
	if got := strings.Count(log.String(), "differs"); got != 1 || !strings.Contains(log.String(), "40s") {
		t.Errorf("got %d warnings of the clock, want one that names 40s: %s", got, log.String())
	}

	status, body = 401, ``
	_, _ = c.Notes(t.Context(), "QINC")
	if s := c.Status(); !s.Reachable || !strings.Contains(s.LastError, "pagerduty.api_key") {
		t.Errorf("after 401: got %+v, want reachable with an error that names the key", s)
	}
	status, body = 503, ``
	_, _ = c.Notes(t.Context(), "QINC")
	if s := c.Status(); s.Reachable || !strings.Contains(s.LastError, "503") {
		t.Errorf("after 503: got %+v, want unreachable with the error", s)
	}
	status, body = 200, `{"notes":[]}`
	_, _ = c.Notes(t.Context(), "QINC")
	status, body = 404, `{"error":{"message":"Not Found","code":2100}}`
	_, _ = c.Notes(t.Context(), "QINC")
	if s := c.Status(); !s.Reachable || s.LastError != "" {
		t.Errorf("after 404 of one incident: got %+v, want reachable and no error", s)
	}
}

func TestACallGivenUpSaysNothingAboutPagerDuty(t *testing.T) {
	ctx, giveUp := context.WithCancelCause(t.Context())
	c := newClient(t, Config{Endpoint: "https://api.pagerduty.com", Transport: wire(func(r *http.Request) (*http.Response, error) {
		giveUp(errors.New("shutting down"))
		<-r.Context().Done()
		return nil, r.Context().Err()
	})})
	before := Status{Reachable: true, LastAnswer: instant("2026-03-01T13:00:00Z")}
	c.health.status = before
	err := create(ctx, c)
	if !access.IsUnclear(err) || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("got %v, want it unclear and whose patience ended", err)
	}
	if got := c.Status(); got != before {
		t.Errorf("got status %+v, want it as before: %+v", got, before)
	}
}

func TestManyCallsAtOnceShareOneClient(t *testing.T) {
	f := paged("users", 100, userObject("PBOT", testFrom))
	f.header = rates(960, 900, 30)
	c := f.start(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := c.Bot(t.Context()); err != nil || got.ID != "PBOT" {
				t.Errorf("got %+v, %v, want the bot", got, err)
			}
			if _, err := c.Notes(t.Context(), "QINC"); err == nil {
				t.Error("got notes in a list of users")
			}
			_ = c.Status()
		})
	}
	all.Wait()
	if n := f.count() - 20; n < 1 || n > 2 { // who comes while one is under way shares the next
		t.Errorf("got %d calls beside 20 for notes, want one or two for the bot", n)
	}
	if _, remaining, _ := c.budget.shown(); remaining != 900 {
		t.Errorf("got %d calls left, want 900: nothing is under way", remaining)
	}
}

func TestTheAccountIsReadFromTheAddressOfAPage(t *testing.T) {
	for page, want := range map[string]string{
		"https://acme.pagerduty.com/users/P1":    "acme",
		"https://acme.eu.pagerduty.com/users/P1": "acme",
		"https://ACME.pagerduty.com/users/P1":    "acme",
		"https://acme.pagerduty.com.evil.org/":   "",
		"https://pagerduty.com/":                 "",
		"":                                       "",
		"://":                                    "",
	} {
		if got := accountOf(page); got != want {
			t.Errorf("%q: got %q, want %q", page, got, want)
		}
	}
}
