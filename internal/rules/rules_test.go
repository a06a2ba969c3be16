package rules

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

// cluster is a Source in memory.
type cluster struct {
	mu    sync.Mutex
	rules []access.Rule
	err   error
	hangs bool
	lists int
}

func (c *cluster) ListRules(ctx context.Context) ([]access.Rule, error) {
	c.mu.Lock()
	c.lists++
	rules, err, hangs := slices.Clone(c.rules), c.err, c.hangs
	c.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return rules, err
}

func (c *cluster) set(err error, rules ...access.Rule) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules, c.err = rules, err
}

func (c *cluster) listed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lists
}

// bench is a Book of a cluster that counts what it tells.
type bench struct {
	*Book
	cluster *cluster
	mu      sync.Mutex
	changes int
	logs    strings.Builder // written from one goroutine at a time
}

func newBench() *bench {
	b := &bench{cluster: &cluster{}}
	b.Book = New(b.cluster, func(context.Context) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changes++
	}, slog.New(slog.NewTextHandler(&b.logs, nil)))
	return b
}

// start runs the Book until the test ends.
func (b *bench) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v, want nil when its context ends", err)
		}
	})
	synctest.Wait()
}

func (b *bench) expect(t *testing.T, when string, changes int, services ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := b.Services(request()); !slices.Equal(got, services) || b.changes != changes {
		t.Errorf("%s: services %q after %d changes, want %q after %d", when, got, b.changes, services, changes)
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
}

func forRole(name, role string, recipients ...string) access.Rule {
	return access.Rule{Name: name, Condition: fmt.Sprintf("access_request.spec.roles.contains(%q)", role), Recipients: recipients}
}

func TestTheRecipientsOfAllMatchingRulesAreNamed(t *testing.T) {
	b := newBench()
	b.Set([]access.Rule{
		forRole("z", "dev", "shipping", "payments"),
		forRole("no", "ops", "ops"),
		forRole("a", "db", "payments"),
		forRole("none", "db"),
	})
	refs, problems := b.Evaluate(request())
	if want := []string{"payments", "shipping", "payments"}; !slices.Equal(refs, want) || len(problems) != 0 {
		t.Errorf("got %q and %v, want %q", refs, problems, want)
	}
	if got := b.Services(access.Request{Roles: []string{"other"}}); len(got) != 0 {
		t.Errorf("services of a request that no rule matches: %q", got)
	}
}

func TestARuleThatCannotBeAppliedIsReportedOnceAndHoldsNoOtherBack(t *testing.T) {
	b := newBench()
	rules := []access.Rule{
		{Name: "broken", Condition: `plugin.spec.name == "x"`, Recipients: []string{"a"}},
		{Name: "fails", Condition: `email.local(access_request.spec.request_reason) == "x"`, Recipients: []string{"b"}},
		forRole("good", "db", "payments"),
	}
	for range 3 {
		b.Set(rules)
		if got, want := b.Services(request()), []string{"payments"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := strings.Count(b.logs.String(), "level=WARN"); got != 2 {
		t.Errorf("%d warnings, want one for each rule:\n%s", got, b.logs.String())
	}
	for _, want := range []string{"rule=broken", "plugin.spec.name", "rule=fails", "no e-mail address"} {
		if !strings.Contains(b.logs.String(), want) {
			t.Errorf("%q was not logged:\n%s", want, b.logs.String())
		}
	}
	_, problems := b.Evaluate(request())
	if len(problems) != 2 || problems[0].Rule != "broken" || problems[1].Text != "email.local: no e-mail address" {
		t.Errorf("problems: got %+v", problems)
	}

	rules[0].Condition = `plugin.spec.name == "y"`
	b.Set(rules)
	if got := strings.Count(b.logs.String(), "rule=broken"); got != 2 {
		t.Errorf("the changed rule was reported %d times in all, want twice", got)
	}
}

func TestSetSaysWhetherAnythingChanged(t *testing.T) {
	b := newBench()
	rule, other := forRole("a", "db", "payments"), forRole("b", "dev", "shipping")
	moved := rule
	moved.Recipients = []string{"shipping"}
	stricter := rule
	stricter.Condition = "false"
	for i, step := range []struct {
		rules []access.Rule
		want  bool
	}{
		{nil, false},
		{[]access.Rule{rule}, true},
		{[]access.Rule{rule}, false},
		{[]access.Rule{rule, other}, true},
		{[]access.Rule{other, rule}, false},
		{[]access.Rule{moved, other}, true},
		{[]access.Rule{stricter, other}, true},
		{[]access.Rule{other}, true},
		{[]access.Rule{}, true},
	} {
		if got := b.Set(step.rules); got != step.want {
			t.Errorf("step %d: got %v, want %v", i, got, step.want)
		}
	}
}

func TestRulesMayBeReplacedWhileTheyAreUsed(t *testing.T) {
	b := newBench()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if got := b.Services(request()); len(got) != 0 && len(got) != 2 {
					t.Errorf("half of the rules are in force: %q", got)
				}
			}
		})
	}
	for i := range 200 {
		if i%2 == 0 {
			b.Set([]access.Rule{forRole("a", "db", "payments"), forRole("b", "dev", "shipping"), {Name: "c"}})
		} else {
			b.Set(nil)
		}
	}
	wg.Wait()
}

func TestRulesAreReadWhenAskedForAndEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.cluster.set(nil, forRole("a", "db", "payments"))
		b.start(t)
		b.expect(t, "at start", 0)
		<-b.Refresh()
		b.expect(t, "after the first read", 1, "payments")
		b.cluster.set(nil, forRole("a", "db", "shipping"))
		pass(5*time.Minute - time.Second)
		b.expect(t, "before the timer", 1, "payments")
		pass(2 * time.Second)
		b.expect(t, "at the timer", 2, "shipping")
		pass(time.Hour)
		b.expect(t, "after an hour without changes", 2, "shipping")
		b.cluster.set(nil)
		<-b.Refresh()
		b.expect(t, "after the last rule was deleted", 3)
	})
}

func TestAFloodOfChangesIsAListASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.start(t)
		for range 500 {
			b.Refresh()
			pass(10 * time.Millisecond)
		}
		if got := b.cluster.listed(); got < 5 || got > 6 {
			t.Errorf("listed %d times in 5 s, want once a second", got)
		}
	})
}

func TestWhoAsksDuringAReadWaitsForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.start(t)
		first := b.Refresh()
		<-first
		again := b.Refresh()
		select {
		case <-again:
			t.Error("a read was over before it began")
		default:
		}
		<-again
		if got := b.cluster.listed(); got != 2 {
			t.Errorf("listed %d times, want twice", got)
		}
	})
}

func TestFailuresAreLoggedOnceAndTriedAgain(t *testing.T) {
	denied := &access.Failure{Class: access.Permanent, Err: fmt.Errorf("listing: %w", access.ErrDenied)}
	missing := &access.Failure{Class: access.Permanent, Err: errors.New("not implemented")}
	for _, tt := range []struct {
		name  string
		err   error
		stay  bool // the rules known stay in force
		lists int  // in half an hour
		says  string
	}{
		{"no permission", denied, false, 6, "access_monitoring_rule: [list, read]"},
		{"no rules in this cluster", missing, false, 6, "annotations alone"},
		{"out of reach", errors.New("connection refused"), true, 30, "stay in force"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.cluster.set(nil, forRole("a", "db", "payments"))
				b.start(t)
				<-b.Refresh()
				before := b.cluster.listed()
				b.cluster.set(tt.err)
				pass(30*time.Minute + 30*time.Second)
				if tt.stay {
					b.expect(t, "while it fails", 1, "payments")
				} else {
					b.expect(t, "while it fails", 2)
				}
				if got := b.cluster.listed() - before; got < tt.lists-2 || got > tt.lists+6 {
					t.Errorf("tried %d times in half an hour, want about %d", got, tt.lists)
				}
				logs := b.logs.String()
				if strings.Count(logs, "level=WARN") != 1 || !strings.Contains(logs, tt.says) {
					t.Errorf("want one warning with %q, got:\n%s", tt.says, logs)
				}
				b.cluster.set(nil, forRole("a", "db", "shipping"))
				pass(readEvery + restAfter)
				if got := b.Services(request()); !slices.Equal(got, []string{"shipping"}) {
					t.Errorf("after it works again: %q", got)
				}
				b.cluster.set(tt.err)
				pass(readEvery + restAfter)
				if got := strings.Count(b.logs.String(), "level=WARN"); got != 2 {
					t.Errorf("a failure after a success: %d warnings in all, want 2", got)
				}
			})
		})
	}
}

func TestAReadThatHangsEndsWithRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.cluster.hangs = true
		b.start(t)
		b.Refresh()
		b.expect(t, "while the read hangs", 0)
	})
}
