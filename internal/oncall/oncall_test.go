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
	mu        sync.Mutex
	links     []access.Link
	entries   []access.OnCall
	schedules map[string][]access.Shift
	failing   error            // of questions for entries
	broken    map[string]error // of questions for schedules
	asked     []string
	hinted    []access.RequestID
	log       strings.Builder
}

func (r *rota) OpenLinks(context.Context) ([]access.Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.links), nil
}

func (r *rota) OnCalls(_ context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, fmt.Sprint(q.Users))
	if r.failing != nil {
		return nil, time.Time{}, r.failing
	}
	return r.entries, time.Now(), nil
}

func (r *rota) Schedule(_ context.Context, ref string, _ time.Time) (access.Schedule, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, ref)
	if err := r.broken[ref]; err != nil {
		return access.Schedule{}, time.Time{}, err
	}
	return access.Schedule{Shifts: r.schedules[ref]}, time.Now(), nil
}

// hints lets the poller at the rota, which else belongs to the test, for the given number of polls, and gives
// the requests that were brought back meanwhile.
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

func waitingBySchedule(id access.RequestID, user access.UserID, unused ...access.ScheduleID) access.Link {
	return access.Link{Request: id, State: access.Pending, Named: access.Named{User: user, Unused: unused}}
}

func shift(user access.UserID, begins, ends time.Duration) access.Shift {
	return access.Shift{User: user, Start: time.Now().Add(begins), End: time.Now().Add(ends)}
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
		if got := fmt.Sprint(r.asked); got != "[[U1 U2]]" {
			t.Errorf("asked %s, want one question for U1 and U2", got)
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

func TestARequestIsBroughtBackWhenItsRequesterMovesUpALevel(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{waiting("R1", "U1", "P1", "P2")}
		team := onDuty("U1", "P1")
		team.Level = 5 // the whole team
		for _, step := range []struct {
			what string
			more access.OnCall
			want string
		}{
			{"at the last level", team, "[R1]"},
			{"at the first level, too", onDuty("U1", "P1"), "[R1]"},
			{"for the second service", onDuty("U1", "P2"), "[R1]"},
			{"nothing new", onDuty("U1", "P2"), "[]"},
		} {
			r.entries = append(r.entries, step.more)
			if got := r.hints(1); got != step.want {
				t.Errorf("on call %s: brought back %s, want %s", step.what, got, step.want)
			}
		}
	})
}

func TestTwoHundredRequestsForTwentyServicesCostOneQuestion(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		for i := range 200 {
			l := waiting(access.RequestID(fmt.Sprintf("R%d", i)), access.UserID(fmt.Sprintf("U%d", i%60)))
			for p := range 20 {
				l.Named.Policies = append(l.Named.Policies, access.PolicyID(fmt.Sprintf("P%d", p)))
			}
			r.links = append(r.links, l)
		}
		r.hints(1)
		if len(r.asked) != 1 {
			t.Errorf("asked %d questions, want 1", len(r.asked))
		}
		r.links = nil
		r.hints(10)
		if len(r.asked) != 1 {
			t.Errorf("asked %d questions more, want none: nothing is pending", len(r.asked)-1)
		}
	})
}

func TestSchedulesThatNoPolicyUsesAreAskedForOnceEach(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{
			waitingBySchedule("R1", "U1", "S1", "S2"), waitingBySchedule("R2", "U2", "S2"),
			waitingBySchedule("R3", "U3", "S1"), waiting("R4", "U1", "P1"),
		}
		hour := time.Hour
		r.schedules = map[string][]access.Shift{
			"id:S1": {shift("U9", -hour, hour), shift("U3", hour, 2*hour), shift("U3", -2*hour, -hour)},
			"id:S2": {shift("U1", -hour, hour), {User: "U2"}}, // two at once, one without an end
		}
		if got := r.hints(1); got != "[R1 R2]" {
			t.Errorf("brought back %s, want R1 and R2", got)
		}
		if got := fmt.Sprint(r.asked); got != "[[U1] id:S1 id:S2]" {
			t.Errorf("asked %s, want one question for the user of a policy and one for each schedule", got)
		}
		if got := r.hints(58); got != "[]" {
			t.Errorf("brought back %s, want nobody: nothing has changed", got)
		}
		if got := r.hints(2); got != "[R3]" {
			t.Errorf("brought back %s, want R3, whose shift has begun", got)
		}
	})
}

func TestAScheduleThatAPolicyUsesCostsNoQuestionOfItsOwn(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		l := waiting("R1", "U1", "P1")
		l.Named.Schedules = []access.ScheduleID{"S1"}
		other := waiting("R2", "U2")
		other.Named.Schedules = []access.ScheduleID{"S1"}
		r.links = []access.Link{l, other}
		bySchedule := onDuty("U2", "P9")
		bySchedule.Schedule = "S1"
		r.entries = []access.OnCall{bySchedule}
		if got := r.hints(1); got != "[R2]" {
			t.Errorf("brought back %s, want R2", got)
		}
		if got := fmt.Sprint(r.asked); got != "[[U1 U2]]" {
			t.Errorf("asked %s, want one question for both", got)
		}
	})
}

func TestAScheduleThatCannotBeReadStopsNoOther(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{
			waitingBySchedule("R1", "U1", "S1"), waitingBySchedule("R2", "U2", "S2"), waitingBySchedule("R3", "U3", "S3"),
			waiting("R4", "U4", "P1"),
		}
		on := func(user access.UserID) []access.Shift { return []access.Shift{shift(user, -time.Hour, time.Hour)} }
		r.schedules = map[string][]access.Shift{"id:S1": on("U1"), "id:S2": on("U2"), "id:S3": on("U3")}
		r.broken = map[string]error{"id:S1": errors.New("S1 is broken"), "id:S3": errors.New("S3 is broken")}
		r.failing = errors.New("503")
		if got := r.hints(1); got != "[R2]" {
			t.Errorf("brought back %s, want R2", got)
		}
		if got := r.hints(10); got != "[]" || strings.Count(r.log.String(), "\n") != 1 {
			t.Errorf("brought back %s, want nobody and one line in the log:\n%s", got, r.log.String())
		}
		delete(r.broken, "id:S1")
		r.failing, r.entries = nil, []access.OnCall{onDuty("U4", "P1")}
		if got := r.hints(1); got != "[R1 R4]" {
			t.Errorf("brought back %s, want R1 and R4, which could not be told before", got)
		}
	})
}

func TestWhileHeadRoomIsLowThePollerWaits(t *testing.T) {
	poll(t, func(t *testing.T, r *rota) {
		r.links = []access.Link{waiting("R1", "U1", "P1"), waitingBySchedule("R2", "U2", "S1", "S2", "S3")}
		heldBack := func(d time.Duration) error {
			return fmt.Errorf("asking: %w", &access.Failure{Class: access.Wait, NotBefore: time.Now().Add(d), Err: errors.New("held back")})
		}
		polls := func(minutes, want int) {
			t.Helper()
			r.asked = nil
			if r.hints(minutes); len(r.asked) != 4*want {
				t.Errorf("in %d minutes: asked %v, want %d polls", minutes, r.asked, want)
			}
		}
		r.failing, r.broken = errors.New("503"), map[string]error{
			"id:S1": heldBack(2 * interval), "id:S2": heldBack(4*interval + interval/2), "id:S3": heldBack(interval),
		}
		polls(1, 1) // at 1 minute
		r.failing, r.broken = nil, nil
		polls(3, 0)
		polls(1, 1) // at 4½ minutes
		polls(2, 2)

		r.failing = heldBack(interval / 2)
		polls(3, 3) // no more often than without
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
