package pagerduty

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// attended runs the client in front of a PagerDuty that answers as told, gives its log lines after each
// stage, and ends it.
func attended(t *testing.T, stages ...func(*http.Request) (*http.Response, error)) (logs []string, calls []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var now func(*http.Request) (*http.Response, error)
		n := 0
		c := newClient(t, Config{
			Endpoint:  "https://api.pagerduty.example",
			Log:       slog.New(slog.NewTextHandler(&log, nil)),
			Transport: wire(func(r *http.Request) (*http.Response, error) { n++; return now(r) }),
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		for i, stage := range stages {
			now, n = stage, 0
			if i == 0 {
				go func() { ended <- c.Run(ctx) }()
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			logs, calls = append(logs, log.String()), append(calls, n)
			log.Reset()
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	return logs, calls
}

func answers(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return response(status, body, nil), nil }
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
		trouble func(*http.Request) (*http.Response, error)
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
