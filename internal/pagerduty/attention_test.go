package pagerduty

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type respond func(*http.Request) (*http.Response, error)

// stage is what PagerDuty answers and what was seen of the client meanwhile.
type stage struct {
	mu    sync.Mutex
	now   respond
	calls int
	log   strings.Builder
}

func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	return s.now(r)
}

func (s *stage) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(line)
}

// next begins another stage and gives what was seen in the one before.
func (s *stage) next(now respond) (log string, calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, calls = s.log.String(), s.calls
	s.now, s.calls = now, 0
	s.log.Reset()
	return log, calls
}

// attended runs the client in front of a PagerDuty that answers in one way after the other, each for ten
// minutes, and gives the log and the number of calls of each.
func attended(t *testing.T, ways ...respond) (logs []string, calls []int) {
	t.Helper()
	return attendedWith(t, Config{}, ways...)
}

func attendedWith(t *testing.T, cfg Config, ways ...respond) (logs []string, calls []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{now: ways[0]}
		cfg.Endpoint, cfg.Log, cfg.Transport = "https://api.pagerduty.example", slog.New(slog.NewTextHandler(s, nil)), s
		c := newClient(t, cfg)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		for _, next := range append(ways[1:], nil) {
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			log, n := s.next(next)
			logs, calls = append(logs, log), append(calls, n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	return logs, calls
}

func answers(status int, body string) respond {
	return func(*http.Request) (*http.Response, error) { return response(status, body), nil }
}

var knownUser = encode(object{"users": []object{userObject("PBOT", testFrom)}, "limit": 100, "offset": 0, "more": false})

func TestRunAsksOnceWhenAllIsWell(t *testing.T) {
	logs, calls := attended(t, answers(200, knownUser))
	if logs[0] != "" || calls[0] != 1 {
		t.Errorf("got %d calls and log %q, want one call and no line", calls[0], logs[0])
	}
}

func TestRunTellsEachTroubleOnceWithTheWayOut(t *testing.T) {
	port := 0
	reset := func(*http.Request) (*http.Response, error) {
		port++ // a new one for each connection
		return nil, &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: errors.New("connection reset by peer")}
	}
	for _, c := range []struct {
		name    string
		trouble respond
		want    []string
	}{
		{"refused key", answers(401, ""), []string{"pagerduty.api_key", "SIGHUP"}},
		{"unknown user", answers(200, encode(object{"users": []object{}, "limit": 100, "offset": 0, "more": false})), []string{"pagerduty.user_email", testFrom, "login e-mail"}},
		{"out of service", answers(503, ""), []string{"503", "https://api.pagerduty.example", "tried again"}},
		{"connection reset", reset, []string{"connection reset by peer", "pagerduty.api_endpoint"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			logs, _ := attended(t, c.trouble, answers(200, knownUser))
			for _, part := range append(c.want, "level=ERROR") {
				if !strings.Contains(logs[0], part) {
					t.Errorf("got log %q, want %q in it", logs[0], part)
				}
			}
			if n := strings.Count(logs[0], "\n"); n != 1 {
				t.Errorf("got %d lines, want 1:\n%s", n, logs[0])
			}
			if !strings.Contains(logs[1], "level=INFO") || strings.Contains(logs[1], "ERROR") {
				t.Errorf("got log %q after it was mended, want that it works again", logs[1])
			}
		})
	}
}

// of is the answer of an account that knows the user.
func of(account string) respond {
	user := userObject("PBOT", testFrom)
	user["html_url"] = "https://" + account + ".pagerduty.com/users/PBOT"
	return answers(200, encode(object{"users": []object{user}, "limit": 100, "offset": 0, "more": false}))
}

func TestRunTellsOnceThatTheKeyBelongsToAnotherAccount(t *testing.T) {
	cfg := Config{Account: func() string { return "acme" }}
	logs, _ := attendedWith(t, cfg, of("other"), of("acme"))
	for _, part := range []string{"level=ERROR", `\"acme\"`, `\"other\"`, "pagerduty.account", "pagerduty.api_key", "SIGHUP"} {
		if !strings.Contains(logs[0], part) {
			t.Errorf("got log %q, want %q in it", logs[0], part)
		}
	}
	if n := strings.Count(logs[0], "\n"); n != 1 {
		t.Errorf("got %d lines, want 1:\n%s", n, logs[0])
	}
	if !strings.Contains(logs[1], "level=INFO") {
		t.Errorf("got log %q with a key of the right account, want that it works again", logs[1])
	}
}

func TestStatusShowsThatTheKeyBelongsToAnotherAccount(t *testing.T) {
	account := ""
	respond := of("other")
	c := newClient(t, Config{Endpoint: "https://api.pagerduty.example", Account: func() string { return account }, Transport: wire(respond)})
	if _, err := c.User(t.Context(), testFrom); err != nil {
		t.Fatal(err)
	}
	for want, wrong := range map[string]bool{"": false, "other": false, "acme": true} {
		account = want
		if got := c.Status().LastError; strings.Contains(got, "pagerduty.account") != wrong {
			t.Errorf("account %q: got last error %q", want, got)
		}
	}
}

func TestRunTellsTheEndOfTroubleAndOnlyThat(t *testing.T) {
	for _, tt := range []struct {
		name string
		ways []respond
		want int
	}{
		{"all is well", []respond{answers(200, knownUser)}, 0},
		{"trouble stays", []respond{answers(401, "")}, 0},
		{"trouble ends", []respond{answers(401, ""), answers(200, knownUser)}, 1},
		{"one trouble after the other", []respond{answers(401, ""), answers(503, ""), answers(200, knownUser)}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			attendedWith(t, Config{Recovered: func(context.Context) { got++ }}, tt.ways...)
			if got != tt.want {
				t.Errorf("got told %d times, want %d", got, tt.want)
			}
		})
	}
}

func TestRunTellsOfTroubleThatOthersHaveMetBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{now: answers(200, knownUser)}
		c := newClient(t, Config{Endpoint: "https://api.pagerduty.example", Log: slog.New(slog.NewTextHandler(s, nil)), Transport: s})
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = c.Run(ctx) })
		time.Sleep(time.Minute)
		s.next(answers(503, ""))
		for range 3 {
			all.Go(func() {
				for ctx.Err() == nil {
					_, _ = c.User(ctx, "ann@example.com")
					time.Sleep(200 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Minute)
		log, _ := s.next(answers(200, knownUser))
		if strings.Count(log, "level=ERROR") == 0 || !strings.Contains(log, "503") || strings.Count(log, "\n") > 2 {
			t.Errorf("got the log %q, want the trouble told once", log)
		}
		time.Sleep(time.Minute)
		if log, _ = s.next(answers(200, knownUser)); strings.Count(log, "level=INFO") != 1 {
			t.Errorf("got the log %q, want that it is over", log)
		}
		stop()
		all.Wait()
	})
}
