package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestTheMostUrgentCallsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{width: 1}
		if err := g.enter(t.Context(), Background); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []Priority
		for _, p := range []Priority{Background, Creation, Approval, Background, Creation, Approval} {
			go func() {
				if g.enter(t.Context(), p) == nil {
					mu.Lock()
					order = append(order, p)
					mu.Unlock()
					g.leave()
				}
			}()
			synctest.Wait()
		}
		g.leave()
		synctest.Wait()
		if want := []Priority{Approval, Approval, Creation, Creation, Background, Background}; !slices.Equal(order, want) {
			t.Errorf("got the order %v, want %v", order, want)
		}
	})
}

func TestWhatCanWaitLeavesRoomForTheUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		ctx, stop := context.WithCancel(t.Context())
		for _, p := range []Priority{Background, Creation, Approval} {
			for range 2 * mostCalls {
				go func() { _ = g.enter(ctx, p) }()
			}
			synctest.Wait()
			g.mu.Lock()
			if want := map[Priority]int{Background: mostCalls / 4, Creation: mostCalls / 2, Approval: mostCalls}[p]; g.inside != want {
				t.Errorf("priority %d: got %d calls at once, want %d", p, g.inside, want)
			}
			g.mu.Unlock()
		}
		stop()
		synctest.Wait()
		for range mostCalls {
			g.leave()
		}
		if g.inside != 0 || len(slices.Concat(g.waiting[:]...)) != 0 {
			t.Errorf("got %d calls under way and %v waiting, want none", g.inside, g.waiting)
		}
	})
}

func TestACallerWhoGivesUpWaitingHasSentNothing(t *testing.T) {
	g := &gate{width: 1}
	if err := g.enter(t.Context(), Approval); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.enter(ctx, Approval); !errors.Is(err, errNotSent) {
		t.Errorf("got %v, want that nothing was sent", err)
	}
	g.leave()
	if err := g.enter(t.Context(), Background); err != nil {
		t.Errorf("got %v, want the place of the one who left", err)
	}
}

// crowd is a PagerDuty that takes a second for an answer and counts who waits for one.
type crowd struct {
	mu     sync.Mutex
	down   bool
	inside int
	calls  int
	most   []int // calls at once, by second since the start
	began  time.Time
}

func (c *crowd) RoundTrip(*http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.inside++
	c.calls++
	for second := int(time.Since(c.began) / time.Second); second >= len(c.most); {
		c.most = append(c.most, 0)
	}
	c.most[len(c.most)-1] = max(c.most[len(c.most)-1], c.inside)
	down := c.down
	c.mu.Unlock()
	time.Sleep(time.Second)
	c.mu.Lock()
	c.inside--
	c.mu.Unlock()
	if down {
		return response(503, ""), nil
	}
	return response(200, knownUser), nil
}

func TestAPagerDutyThatIsAwayIsAskedLittleAndNotOverrunWhenItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &crowd{down: true, began: time.Now()}
		back, answering := 0, make(chan struct{})
		c := newClient(t, Config{Endpoint: "https://api.pagerduty.com", Transport: server, Answering: func() {
			back++
			close(answering) // who waits comes at once; a second time would panic
		}})
		ctx, stop := context.WithCancel(t.Context())
		done := 0
		for range 300 {
			go func() {
				for ctx.Err() == nil {
					if _, err := c.User(ctx, "bot@example.com"); err == nil {
						server.mu.Lock()
						done++
						server.mu.Unlock()
						return
					}
					select {
					case <-time.After(5 * time.Second):
					case <-answering:
					case <-ctx.Done():
					}
				}
			}()
		}
		time.Sleep(10 * time.Second)
		server.mu.Lock()
		begun := server.calls
		server.mu.Unlock()
		time.Sleep(2 * time.Minute)
		server.mu.Lock()
		if n := server.calls - begun; n < 20 || n > 120 {
			t.Errorf("300 callers made %d calls within two minutes, want one each few seconds", n)
		}
		server.down, server.most, server.began = false, nil, time.Now()
		server.mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		if done != 300 || back != 1 {
			t.Errorf("%d of 300 had their answer, and it was said %d times that PagerDuty answers again; want all, and once", done, back)
		}
		for second, most := range server.most[:4] {
			if limit := firstCalls << (second + 1); most > limit {
				t.Errorf("second %d: got %d calls at once, want at most %d", second, most, limit)
			}
		}
		if most := slices.Max(server.most); most > mostCalls {
			t.Errorf("got %d calls at once, want at most %d", most, mostCalls)
		}
	})
}

func TestAnOperationThatIsOutOfOrderHoldsUpNoOther(t *testing.T) {
	f := &fake{respond: func(r *http.Request) (int, string) {
		if r.Method == http.MethodPost {
			return 503, ""
		}
		return 200, knownUser
	}}
	now := time.Now()
	c := f.startWith(t, Config{now: func() time.Time { return now }})
	for range blowsAfter {
		if got := failure(t, create(t.Context(), c)); !got.Unclear {
			t.Errorf("got %v, want it unclear whether the incident was created", got)
		}
	}
	sent := f.count()
	if got := failure(t, create(t.Context(), c)); !errors.Is(got, errBlown) || got.Unclear || f.count() != sent {
		t.Errorf("got %v after %d calls, want that nothing was sent", got, f.count()-sent)
	}
	if _, err := c.User(t.Context(), testFrom); err != nil {
		t.Errorf("got %v, want another operation to work", err)
	}
	if s := c.Status(); s.LastError != "" {
		t.Errorf("got the last error %q, want none: the last call went well", s.LastError)
	}
}

func TestOneAnswerEndsTheOutageOfAllOperationsUntilOneFailsAgain(t *testing.T) {
	now := instant("2026-03-01T13:00:00Z")
	f := newFuses(func() time.Time { return now })
	const first, second, third = "GET /users", "GET /oncalls", "POST /incidents"
	for _, route := range []string{first, second, third} {
		for range blowsAfter {
			if _, err := f.pass(route); err != nil {
				t.Fatal(err)
			}
			f.failed(route, false)
		}
		if _, err := f.pass(route); !errors.Is(err, errBlown) {
			t.Fatalf("%s after %d failures: got %v, want it blown", route, blowsAfter, err)
		}
	}
	now = now.Add(probeEvery)
	if probe, err := f.pass(first); !probe || err != nil {
		t.Fatalf("got %t, %v, want a probe", probe, err)
	}
	if _, err := f.pass(first); !errors.Is(err, errBlown) {
		t.Errorf("got %v, want one probe at a time", err)
	}
	if !f.answered(first) {
		t.Error("it was not said that PagerDuty answers again")
	}
	for _, route := range []string{first, second, third} {
		if probe, err := f.pass(route); probe || err != nil {
			t.Errorf("%s: got %t, %v, want it to go", route, probe, err)
		}
	}
	if f.answered(second) || !f.failed(third, false) {
		t.Error("want no second word of an answer, and the third blown by one failure")
	}
	if _, err := f.pass(third); !errors.Is(err, errBlown) {
		t.Errorf("got %v, want it blown", err)
	}
}

// hanging is a PagerDuty that never answers calls that are odd, and others soon.
func hanging(odd func(*http.Request) bool) wire {
	return func(r *http.Request) (*http.Response, error) {
		if odd(r) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		time.Sleep(100 * time.Millisecond)
		return response(200, knownUser), nil
	}
}

func TestCallsThatHangKeepNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Endpoint: "https://api.pagerduty.com",
			Transport: hanging(func(r *http.Request) bool { return r.URL.Path == "/oncalls" })})
		ctx, stop := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				callers.Go(func() {
					_, _, _ = c.OnCalls(ctx, access.OnCallQuery{Users: []access.UserID{access.UserID(fmt.Sprint("U", n))}})
				})
				time.Sleep(100 * time.Millisecond)
			}
		})
		for began := time.Now(); time.Since(began) < time.Minute; {
			asked := time.Now()
			if _, err := c.User(ctx, testFrom); err != nil || time.Since(asked) > longestPlace {
				t.Errorf("after %s: got %v after %s, want an answer soon", asked.Sub(began), err, time.Since(asked))
			}
		}
		stop()
		callers.Wait()
	})
}

func TestAProbeThatHangsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{Endpoint: "https://api.pagerduty.com",
			Transport: hanging(func(r *http.Request) bool { return r.URL.Query().Get("query") == "odd@example.com" })})
		ctx, stop := context.WithCancel(t.Context())
		var odd sync.WaitGroup
		odd.Go(func() {
			for ctx.Err() == nil {
				_, _ = c.User(ctx, "odd@example.com")
				time.Sleep(30 * time.Second)
			}
		})
		for range 60 {
			time.Sleep(5*time.Minute + time.Second) // the fuse is blown again, and the odd one at another moment of its call
			asked := time.Now()
			for {
				if _, err := c.User(ctx, testFrom); err == nil {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
			if took := time.Since(asked); took > probeHangs+time.Second {
				t.Errorf("got an answer after %s, want one soon", took)
			}
		}
		stop()
		odd.Wait()
	})
}
