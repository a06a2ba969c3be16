package teleporttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestFailedCallsArriveInTheirClass(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	for name, row := range map[string]struct {
		err  error
		want func(error) bool
	}{
		"connection problem": {trace.ConnectionProblem(nil, "down"), trace.IsConnectionProblem},
		"access denied":      {trace.AccessDenied("no"), trace.IsAccessDenied},
		"compare failed":     {trace.CompareFailed("too many concurrent writes"), trace.IsCompareFailed},
		"limit exceeded":     {trace.LimitExceeded("slow down"), trace.IsLimitExceeded},
		"unavailable":        {status.Error(codes.Unavailable, "down"), trace.IsConnectionProblem},
		"plain":              {errors.New("boom"), func(err error) bool { return status.Code(err) == codes.Unknown }},
	} {
		t.Run(name, func(t *testing.T) {
			s.Fail("Ping", Fault{Times: 2, Err: row.err})
			for range 2 {
				if err := ping(c)(brief(t)); err == nil || !row.want(err) {
					t.Errorf("got %v", err)
				}
			}
			must(t, ping(c)(brief(t)))
		})
	}
}

func TestFaultsTakeTheirTurnsUntilCleared(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	s.Fail("Ping", Fault{Err: trace.AccessDenied("first")})
	s.Fail("Ping", Fault{Times: Always, Err: trace.LimitExceeded("then")})
	if err := ping(c)(brief(t)); !trace.IsAccessDenied(err) {
		t.Errorf("first: got %v", err)
	}
	for range 3 {
		if err := ping(c)(brief(t)); !trace.IsLimitExceeded(err) {
			t.Errorf("then: got %v", err)
		}
	}
	s.ClearFaults()
	must(t, ping(c)(brief(t)))
}

func TestPerformedReviewWhoseAnswerIsLost(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	s.Fail("SubmitAccessReview", Fault{Performed: true, Err: trace.ConnectionProblem(nil, "lost")})
	if _, err := c.SubmitAccessReview(brief(t), approval(id)); !trace.IsConnectionProblem(err) {
		t.Errorf("got %v, want a connection problem", err)
	}
	if !s.Request(id).GetState().IsApproved() {
		t.Error("the review was not taken")
	}
}

func TestPerformedPluginDataWhoseAnswerNeverComes(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	s.Fail("UpdatePluginData", Fault{Performed: true, Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := c.UpdatePluginData(ctx, swap(id, nil, map[string]string{"a": "1"})); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want the deadline", err)
	}
	must(t, s.Await(t.Context(), "plugin data", func() bool { return s.PluginData(id)["a"] == "1" }))
}

func TestDelayedCallSucceedsLate(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	const delay = 50 * time.Millisecond
	s.Fail("Ping", Fault{Delay: delay})
	began := time.Now()
	must(t, ping(c)(brief(t)))
	if took := time.Since(began); took < delay {
		t.Errorf("took %v, want %v or more", took, delay)
	}
}

func TestStopEndsAHangingCall(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	before := s.Calls("Ping")
	s.Fail("Ping", Fault{Hang: true})
	answer := make(chan error, 1)
	go func() { answer <- ping(c)(brief(t)) }()
	must(t, s.AwaitCalls(t.Context(), "Ping", before+1))
	s.Stop()
	if err := <-answer; !trace.IsConnectionProblem(err) {
		t.Errorf("got %v, want a connection problem", err)
	}
}

func TestHiddenRequestsAreNotListed(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	s.Switch(func(sw *Switches) { sw.HideRequests = true })
	if got := list(t, c, types.AccessRequestFilter{}); len(got) != 0 {
		t.Errorf("got %v, want nothing", got)
	}
}

func TestRefusedWatchIsAFaultOfItsMethod(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	s.Fail("WatchEvents", Fault{Err: trace.LimitExceeded("too many watchers")})
	if err := end(t, openWatch(t, c, requestsOnly)); !trace.IsLimitExceeded(err) {
		t.Errorf("got %v, want limit exceeded", err)
	}
	live(t, c, requestsOnly)
}
