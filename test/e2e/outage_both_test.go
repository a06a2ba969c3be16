package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

var unavailable = pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable}

func TestWhatHappensWhilePagerDutyOrBothAreAwayIsCaughtUp(t *testing.T) {
	for _, c := range []struct {
		name      string
		both      bool
		pagerDuty bool // comes back first
	}{
		{"PagerDuty", false, false},
		{"both, Teleport back first", true, false},
		{"both, PagerDuty back first", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			ask := func(user string) string { return w.request(user, "payments-admin") }
			denied, approved, expired, waiting := ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com")
			for _, id := range []string{denied, approved, expired, waiting} {
				w.opened(id)
			}
			w.settled()
			w.pd.Fault(unavailable)
			if c.both {
				w.teleport.Stop()
				w.proc.says("Connection to Teleport ended")
			}
			w.review(denied, "kim@example.com", types.RequestState_DENIED, "not now")
			w.review(approved, "kim@example.com", types.RequestState_APPROVED, "go ahead")
			w.expire(expired)
			made, own, past := ask("sam@example.com"), ask("kim@example.com"), ask("dana@example.com")
			w.review(past, "kim@example.com", types.RequestState_APPROVED, "fine")
			if !c.both {
				w.eventually("what happened was tried", func() bool { return w.failing() >= 5 })
			}
			if c.pagerDuty {
				w.pd.ClearFaults()
			}
			if c.both {
				if err := w.teleport.Start(); err != nil {
					t.Fatal(err)
				}
				w.eventually("Teleport is connected", func() bool { return w.status().Teleport.Watching })
			}
			if !c.pagerDuty {
				w.proc.says("A request could not be brought to its end")
				w.pd.ClearFaults()
			}
			w.told(denied, reviewByKim, deniedBy+"\nReason: not now")
			w.told(approved, reviewByKim, approvedBy+"\nReason: go ahead")
			w.told(expired, expiredBy)
			w.reaches(own, types.RequestState_APPROVED)
			w.told(own, "pdhook reviewed the request at ", approvedBy)
			w.opened(made)
			w.settled()
			for id, want := range map[string]int{denied: 1, approved: 1, expired: 1, waiting: 1, made: 1, own: 1} {
				if got := len(w.incidents(id)); got != want {
					t.Errorf("request %s has %d incidents, want %d", id, got, want)
				}
			}
			// Decided while PagerDuty was away: none, unless pdhook had announced one.
			if all := w.incidents(past); len(all) > 1 || len(all) == 1 && all[0].Status != "resolved" {
				t.Errorf("the decided request has incidents %v, want at most one, resolved", all)
			}
			w.stays(waiting)
			w.eventually("/status is clean", func() bool {
				s := w.status()
				return s.Teleport.Connected && s.Teleport.LastError == "" && s.PagerDuty.Reachable && s.PagerDuty.LastError == ""
			})
		})
	}
}

func TestSlowAnswersOnlyTakeTime(t *testing.T) {
	const late = 1500 * time.Millisecond
	for _, c := range []struct {
		name string
		slow func(w *world)
	}{
		{"of PagerDuty", func(w *world) { w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: late}) }},
		{"of Teleport", func(w *world) {
			for _, method := range []string{"Ping", "GetAccessRequestsV2", "ListAccessRequests", "GetPluginData", "UpdatePluginData", "SubmitAccessReview", "WatchEvents"} {
				w.teleport.Fail(method, teleporttest.Fault{Times: teleporttest.Always, Delay: late})
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.hire(5)
			c.slow(w)
			w.start()
			crowd := &crowd{world: w}
			crowd.ask(5)
			crowd.served(3 * patience)
			w.complained(0)
			if n := w.said("", "too old"); n > 0 {
				t.Errorf("%d approvals were put off because their facts were too old", n)
			}
		})
	}
}
