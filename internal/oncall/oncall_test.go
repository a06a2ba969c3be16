package oncall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pdhook/pdhook/internal/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const interval = time.Minute

// rota is PagerDuty's duty and the pending requests in memory.
type rota struct {
	mu      sync.Mutex
	links   []access.Link
	entries []access.OnCall
	failing error
	asked   []access.OnCallQuery
	hinted  []access.RequestID
	log     strings.Builder
}

func (r *rota) OpenLinks(context.Context) ([]access.Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.links), nil
}

func (r *rota) OnCalls(_ context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, q)
	return r.entries, time.Now(), r.failing
}

// hints lets the poller at the rota, which else belongs to the test. It gives the requests that were brought back since the last time, after the given number of polls.
func (r *rota) hints(polls int) string {
	r.hinted = nil
	r.mu.Unlock()
	time.Sleep(time.Duration(polls) * interval)
	synctest.Wait()
	r.mu.Lock()
	return fmt.Sprint(r.hinted)
}

func (r *rota) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(line)
}

func poll(t *testing.T, test func(t *testing.T, r *rota)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rota{}
		p := New(r, r, func() time.Duration { return interval }, func(id access.RequestID, cause string) {
			if cause != access.CausePoll {
				t.Errorf("cause = %q", cause)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.hinted = append(r.hinted, id)
		}, slog.New(slog.NewTextHandler(r, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(time.Millisecond) // from here on the polls lie between the looks of the test
		r.mu.Lock()
		test(t, r)
		r.mu.Unlock()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func waiting(id access.RequestID, user access.UserID, policies ...access.PolicyID) access.Link {
	return access.Link{Request: id, State: access.Pending, Named: access.Named{User: user, Policies: policies}}
}

func onDuty(user access.UserID, policy access.PolicyID) access.OnCall {
	return access.OnCall{User: access.User{ID: user}, Policy: policy, Level: 1}
}

func TestNothingIsAskedWhileNothingCouldChange(t *testing.T) {
	decided, reviewed := waiting("R1", "U1", "P1"), waiting("R2", "U1", "P1")
	decided.State, reviewed.Reviewed = access.Approved, true
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{decided, reviewed, waiting("R3", "", "P1"), waiting("R4", "U1")}
		r.hints(10)
		if len(r.asked) != 0 {
			t.Errorf("PagerDuty was asked %v", r.asked)
		}
	})
}

func TestOneQuestionIsAskedForAll(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{waiting("R1", "U2", "P1", "P2"), waiting("R2", "U1", "P2"), waiting("R3", "U2", "P3")}
		r.hints(1)
		want := access.OnCallQuery{Users: []access.UserID{"U1", "U2"}, Policies: []access.PolicyID{"P1", "P2", "P3"}}
		if len(r.asked) != 1 || fmt.Sprint(r.asked[0]) != fmt.Sprint(want) {
			t.Errorf("asked %v, want %v once", r.asked, want)
		}
	})
}

func TestARequestIsBroughtBackOnceWhenItsRequesterComesOnCall(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{waiting("R1", "U1", "P1"), waiting("R2", "U2", "P1")}
		for _, step := range []struct {
			what    string
			entries []access.OnCall
			want    string
		}{
			{"nobody", nil, "[]"},
			{"the one", []access.OnCall{onDuty("U1", "P1")}, "[R1]"},
			{"still", []access.OnCall{onDuty("U1", "P1")}, "[]"},
			{"both", []access.OnCall{onDuty("U1", "P1"), onDuty("U2", "P1")}, "[R2]"},
			{"off", nil, "[]"},
			{"on again", []access.OnCall{onDuty("U1", "P1")}, "[R1]"},
			{"for another policy, by an ignored filter", []access.OnCall{onDuty("U2", "P9")}, "[]"},
			{"later", []access.OnCall{{User: access.User{ID: "U1"}, Policy: "P1", Level: 1, Start: time.Now().Add(24 * time.Hour)}}, "[]"},
		} {
			r.entries = step.entries
			if got := r.hints(1); got != step.want {
				t.Errorf("on call: %s: brought back %s, want %s", step.what, got, step.want)
			}
		}
	})
}

func TestAFailedPollForgetsNobodyAndIsLoggedOnce(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links, r.entries = []access.Link{waiting("R1", "U1", "P1")}, []access.OnCall{onDuty("U1", "P1")}
		r.hints(1)
		r.failing = errors.New("503")
		r.hints(5)
		if got := strings.Count(r.log.String(), "503"); got != 1 {
			t.Errorf("logged %d times, want once:\n%s", got, r.log.String())
		}
		r.failing = nil
		if got := r.hints(1); got != "[]" {
			t.Errorf("brought back %s, want nobody: nothing has changed", got)
		}
		r.failing = errors.New("503")
		r.hints(1)
		if got := strings.Count(r.log.String(), "503"); got != 2 {
			t.Errorf("logged %d times, want once more after a success", got)
		}
	})
}
