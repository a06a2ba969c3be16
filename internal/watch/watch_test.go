package watch

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestStartUpHintsEverythingThatTeleportHoldsPendingFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newCluster(approved("a"), pending("b")))
		b.expect(t, "at start", "b: start-up, a: start-up")
		if got := b.Status(); !got.Up || got.Pending != 1 || !got.LastResync.Equal(time.Now()) {
			t.Errorf("status %+v, want up, 1 pending, resynced now", got)
		}
		if got, want := b.User("a"), "a@example.com"; got != want {
			t.Errorf("user of a: got %q, want %q", got, want)
		}
		if got := b.User("stranger"); got != "" {
			t.Errorf("user of an unknown request: got %q, want none", got)
		}
	})
}

func TestChangesAreHintedOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		b := start(t, c)
		c.put(pending("a"))
		b.expect(t, "after creation", "a: request created")
		c.put(pending("a"))
		b.expect(t, "after an unchanged repeat", "")
		reviewed := pending("a")
		reviewed.Reviews = []access.Review{{Author: "bob"}}
		c.put(reviewed)
		b.expect(t, "after a review", "a: request changed")
		c.put(approved("a"))
		b.expect(t, "after approval", "a: request changed")
		c.remove("a")
		b.expect(t, "after deletion", "a: request gone")
		c.remove("a")
		b.expect(t, "after the same deletion again", "")
		if !b.Gone("a") || b.User("a") != "a@example.com" {
			t.Errorf("deleted request: gone %v, user %q, want its deletion and requester remembered", b.Gone("a"), b.User("a"))
		}
	})
}

func TestWhatHappenedWhileAwayIsFoundAfterReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("decided"), pending("deleted"), pending("same"), approved("old"))
		b := start(t, c)
		b.hinted()
		c.cut()
		synctest.Wait()
		if b.Status().Up {
			t.Error("status says up after the watch was cut")
		}
		c.put(approved("decided"))
		c.put(pending("new"))
		c.remove("deleted")
		b.expect(t, "while away", "")
		pass(time.Second)
		b.expect(t, "after reconnect", "new: reconnect, same: reconnect, decided: reconnect, deleted: request gone")
		if !b.Gone("deleted") || b.Gone("same") {
			t.Errorf("gone: deleted %v, same %v, want true, false", b.Gone("deleted"), b.Gone("same"))
		}
	})
}

func TestEverythingPendingOrUnfinishedIsHintedEveryFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, newCluster(pending("a"), approved("linked"), approved("done")), "linked")
		b.hinted()
		pass(5*time.Minute - time.Second)
		b.expect(t, "before the timer", "")
		pass(time.Second)
		b.expect(t, "at the timer", "a: timer, linked: timer")
		pass(5 * time.Minute)
		b.expect(t, "at the next timer", "a: timer, linked: timer")
	})
}

func TestAnUnfinishedLinkWithoutRequestIsGoneOnlyAfterACompleteList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.watchErr = errCut
		b := start(t, c, "lost")
		b.expect(t, "without a watch", "")
		pass(5 * time.Minute)
		b.expect(t, "at the timer without a watch", "lost: timer")
		if b.Gone("lost") {
			t.Error("a list without a watch proved a request gone")
		}
		c.set(func() { c.watchErr = nil })
		pass(longestPause)
		b.expect(t, "after the watch opened", "lost: request gone")
		if !b.Gone("lost") {
			t.Error("missing from a complete list, yet not gone")
		}
		pass(5 * time.Minute)
		b.expect(t, "while its link stays unfinished", "lost: timer")
	})
}

func TestAChangeDuringTheListWinsOverTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("decided"), pending("deleted"))
		c.listGate = make(chan struct{})
		b := start(t, c)
		c.put(approved("decided"))
		c.remove("deleted")
		c.put(pending("created"))
		b.expect(t, "during the list", "decided: request changed, deleted: request gone, created: request created")
		close(c.listGate)
		b.expect(t, "after the list", "created: start-up")
		if !b.Gone("deleted") || b.Gone("created") {
			t.Errorf("gone: deleted %v, created %v, want true, false", b.Gone("deleted"), b.Gone("created"))
		}
		c.put(approved("decided"))
		b.expect(t, "after a repeat of what the list did not know", "")
	})
}

func TestAListWhoseWatchEndedProvesNothing(t *testing.T) {
	for name, answered := range map[string]bool{"it is cut with the watch": false, "its answer comes all the same": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(pending("a"))
				b := start(t, c)
				b.hinted()
				gate := make(chan struct{})
				c.set(func() { c.listGate, c.answered = gate, answered; delete(c.requests, "a") })
				pass(5 * time.Minute) // a list is under way
				c.set(func() { c.watchErr = errCut })
				c.cut()
				pass(time.Minute)
				close(gate)
				synctest.Wait()
				if b.Gone("a") {
					t.Error("a list that outlived its watch proved a request gone")
				}
			})
		})
	}
}

func TestAFailingListIsTriedAgainWithoutEndingTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("a"))
		c.listErr = errCut
		b := start(t, c)
		pass(10 * time.Second)
		c.put(pending("b"))
		b.expect(t, "while lists fail", "b: request created")
		c.set(func() { c.listErr = nil })
		pass(longestPause)
		b.expect(t, "after the list worked", "a: start-up, b: start-up")
		if n := len(c.opened); n != 1 {
			t.Errorf("watch opened %d times, want once", n)
		}
		if n := strings.Count(b.logs.String(), "Listing access requests failed"); n != 1 {
			t.Errorf("the same failure was logged %d times, want once", n)
		}
	})
}

func TestWhatIsKnownIsHintedEveryFiveMinutesAlsoWhenNothingCanBeListed(t *testing.T) {
	for name, fail := range map[string]func(*cluster){
		"list fails":           func(c *cluster) { c.set(func() { c.listErr = errCut }) },
		"list and watch fails": func(c *cluster) { c.set(func() { c.listErr, c.watchErr = errCut, errCut }); c.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(pending("a"), approved("b"))
				b := start(t, c, "b")
				b.hinted()
				fail(c)
				pass(5 * time.Minute)
				b.expect(t, "after five minutes", "a: timer, b: timer")
				pass(5*time.Minute + longestPause)
				b.expect(t, "after ten minutes", "a: timer, b: timer")
			})
		})
	}
}

func TestWatchIsOpenedAgainWithGrowingPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.watchErr = errCut
		start(t, c)
		pass(10 * time.Minute)
		for i, opened := range c.opened[1:] {
			pause := opened.Sub(c.opened[i])
			longest := min(firstPause<<min(i, 10), longestPause)
			if pause < longest/2 || pause > longest {
				t.Errorf("pause %d was %v, want %v to %v", i+1, pause, longest/2, longest)
			}
		}
	})
}

func TestAWatchThatLivedStartsWithTheShortestPauseAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.watchErr = errCut
		start(t, c)
		pass(time.Minute)
		c.set(func() { c.watchErr = nil })
		pass(2 * longestPause)
		opened := len(c.opened)
		c.cut()
		pass(firstPause)
		if len(c.opened) != opened+1 {
			t.Errorf("not opened again %v after a watch that lived", firstPause)
		}
	})
}

func TestMissingPermissionIsLoggedOnceAndTriedEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.watchErr = &access.Failure{Class: access.Permanent, Err: fmt.Errorf("%w: watch", access.ErrDenied)}
		b := start(t, c)
		pass(3*time.Minute + time.Second)
		if n := len(c.opened); n != 4 {
			t.Errorf("watch opened %d times in three minutes, want 4", n)
		}
		logs := b.logs.String()
		if strings.Count(logs, "level=ERROR") != 1 || !strings.Contains(logs, "access_request: [list, read]") {
			t.Errorf("want one ERROR that names the rule, got:\n%s", logs)
		}
	})
}

func TestAFlappingWatchStallsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("a"))
		b := start(t, c)
		b.hinted()
		c.set(func() { c.listGate = make(chan struct{}) })
		for range 3 {
			c.cut()
			pass(5 * time.Second)
		}
		close(c.listGate)
		b.expect(t, "after it settled", "a: reconnect")
		if !b.Status().Up {
			t.Error("not up after it settled")
		}
	})
}

func TestRulesAreReadWheneverAWatchOpensAndWhenTheyChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("a"))
		b := start(t, c)
		b.hinted()
		for _, step := range []struct {
			what string
			do   func()
			want int
		}{
			{"at start", func() {}, 1},
			{"after a change", c.changeRules, 2},
			{"after another watch opened", func() { c.cut(); pass(time.Second) }, 3},
			{"after a list on the timer", func() { pass(ResyncEvery) }, 3},
		} {
			step.do()
			synctest.Wait()
			if got := b.rules.reads(); got != step.want {
				t.Errorf("%s: rules were asked for %d times, want %d", step.what, got, step.want)
			}
		}
		b.hinted()
		c.changeRules()
		b.expect(t, "for a change of rules before they are read", "")
	})
}

func TestRulesThatAreNotAnsweredHoldTheListUpForASecondAndChangesNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("a"))
		b := (&bench{rules: rules{hang: true}}).start(t, c)
		b.expect(t, "at once", "")
		c.put(pending("b"))
		b.expect(t, "after creation", "b: request created")
		pass(rulesFirst)
		b.expect(t, "a second later", "a: start-up, b: start-up")
	})
}

func TestTheWatcherTellsWhenEverythingIsNamedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(pending("a"))
		b := start(t, c)
		b.hinted()
		is := func(when string, want time.Duration) {
			t.Helper()
			if got := time.Until(b.Status().NextRound); got != want {
				t.Errorf("%s: everything is named again in %s, want %s", when, got, want)
			}
		}
		is("after the first list", ResyncEvery)
		pass(time.Minute)
		is("a minute later", ResyncEvery-time.Minute)
		pass(ResyncEvery - time.Minute)
		b.expect(t, "when it was told", "a: timer")
		is("after the second list", ResyncEvery)
		c.set(func() { c.listErr = errCut })
		for range 10 { // the list fails and is tried again, and nothing is named before the reminder
			pass(ResyncEvery / 4)
			if left := time.Until(b.Status().NextRound); left > ResyncEvery || left < -longestPause {
				t.Errorf("while lists fail everything is named again in %s", left)
			}
		}
	})
}
