package e2e

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/store"
	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

const (
	reviewByKim = "kim@example.com reviewed the request at "
	approvedBy  = "Access request has been approved"
	deniedBy    = "Access request has been denied"
	expiredBy   = "Access request has been expired"
)

func TestWhatHappensWhilePdhookIsDownIsCaughtUp(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(w *world)
		lost bool // the store, which alone remembers requests that Teleport no longer has
	}{
		{name: "stopped", end: func(w *world) { w.proc.stop() }},
		{name: "killed", end: func(w *world) { w.proc.kill() }},
		{name: "killed, and the store lost", end: func(w *world) { w.proc.kill() }, lost: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			ask := func(user string) string { return w.request(user, "payments-admin") }
			twice := w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin"},
				Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}})
			approved, denied, expired, deleted, waiting := ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com")
			for _, id := range []string{twice, approved, denied, expired, deleted, waiting} {
				w.opened(id)
			}
			w.review(twice, "kim@example.com", types.RequestState_APPROVED, "one of two")
			w.eventually("the first review is noted", func() bool { return len(w.notes(w.incidents(twice)[0].ID)) == 1 })
			w.settled()
			c.end(w)
			if c.lost {
				if err := os.RemoveAll(w.path("store")); err != nil {
					t.Fatal(err)
				}
			}

			w.review(twice, "lee@example.com", types.RequestState_APPROVED, "two of two")
			w.review(approved, "kim@example.com", types.RequestState_APPROVED, "go ahead")
			w.review(denied, "kim@example.com", types.RequestState_DENIED, "not now")
			w.expire(expired)
			if err := w.teleport.Delete(deleted); err != nil {
				t.Fatal(err)
			}
			made, own, gone := ask("dana@example.com"), ask("kim@example.com"), ask("dana@example.com")
			w.expire(gone)
			past := ask("dana@example.com")
			w.review(past, "kim@example.com", types.RequestState_DENIED, "no")
			w.start()

			w.told(twice, reviewByKim, "lee@example.com reviewed the request at ", approvedBy+"\nReason: two of two")
			w.told(approved, reviewByKim, approvedBy+"\nReason: go ahead")
			w.told(denied, reviewByKim, deniedBy+"\nReason: not now")
			w.reaches(own, types.RequestState_APPROVED)
			w.told(own, "pdhook reviewed the request at ", approvedBy)
			w.opened(made)
			if !c.lost {
				w.told(expired, expiredBy)
				w.told(deleted, expiredBy)
			}
			w.settled()
			for id, want := range map[string]int{twice: 1, approved: 1, denied: 1, expired: 1, deleted: 1, waiting: 1, made: 1, own: 1, gone: 0, past: 0} {
				if got := len(w.incidents(id)); got != want {
					t.Errorf("request %s has %d incidents, want %d", id, got, want)
				}
			}
			if status := w.incidents(waiting)[0].Status; status != "triggered" {
				t.Errorf("the incident of the request that waits is %s, want it triggered", status)
			}
			w.review(waiting, "kim@example.com", types.RequestState_DENIED, "in the end")
			w.told(waiting, reviewByKim, deniedBy+"\nReason: in the end")
		})
	}
}

func TestKillingPdhookAgainAndAgainLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	const requests, kills = 30, 6
	k := startKilling(t, 1)
	points := failpoints()
	k.random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	for n := range kills {
		for len(k.tales) < requests*(n+1)/kills {
			k.begin("")
		}
		k.round(points[n]).start()
	}
	k.takesEffectAlone(3)
	k.end()
	k.forgotNothing()
}

// Between the 202 and the moment at which it is known whom a webhook concerns lies less than a kill can hit at
// will. So what such a kill leaves on the disk is put there.
func TestAWebhookThatWasAnsweredAndNothingMoreBeforeTheKillTakesEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var trap trap
	w.teleport.Around(trap.aroundTeleport)
	w.start()
	id := w.request(w.dana.Email, "payments-admin")
	w.opened(id)
	w.decided(id)
	w.proc.stop() // with everything recorded
	w.comesOnCall(w.dana)
	s, err := store.Open(store.Config{Path: w.path("store"), Retention: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	_, err = s.Accept(ctx, access.Event{ID: "01ANSWERED", Type: "service.updated", Service: access.ServiceID(w.paymentsAPI.ID)})
	stop()
	if err := errors.Join(err, <-ran, s.Close()); err != nil {
		t.Fatal(err)
	}
	trap.hideLists(true) // nothing else points at the request
	w.launch()
	w.reaches(id, types.RequestState_APPROVED)
	if !w.status().Teleport.LastResync.IsZero() {
		t.Error("Teleport has listed requests: it was not the webhook that did it")
	}
}

func TestPdhookStopsInTimeWhilePagerDutyHangs(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang, Route: "POST /incidents"})
	id := w.request("dana@example.com", "payments-admin")
	w.eventually("the call hangs", func() bool { return w.pd.CountRequests("POST /incidents") > 0 })
	began := time.Now()
	w.proc.stop()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("stopping took %s, want at most 20s", took)
	}
	w.pd.ClearFaults()
	w.start()
	w.opened(id)
	w.settled()
	if got := len(w.incidents(id)); got != 1 {
		t.Errorf("got %d incidents, want 1", got)
	}
}

func TestASecondSignalEndsPdhookAtOnce(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.HangAfter, Route: "POST /incidents"})
	id := w.request("dana@example.com", "payments-admin")
	w.opened(id)
	if err := w.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.eventually("pdhook takes no webhooks any more", func() bool {
		status, err := w.pd.Send(w.sub.ID, samples(t)["incident.acknowledged"])
		return err != nil || status == 503
	})
	if err := w.proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := w.proc.wait(2 * time.Second); code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	if !strings.Contains(w.proc.output(), "stopped by a second signal") {
		t.Error("pdhook does not say why it ended")
	}
	w.pd.ClearFaults()
	w.start()
	w.review(id, "kim@example.com", types.RequestState_DENIED, "no")
	w.told(id, reviewByKim, deniedBy+"\nReason: no")
}
