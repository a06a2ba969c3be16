package e2e

import (
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"
)

func TestAnOverrideIsSeenByThePollAlone(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.oncall_poll_interval", `"1s"`))
	w.approvedBecauseOf(w.waits(), "poll")
}

func TestAShiftThatIsAnnouncedIsNotMissed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	begin := time.Now().Add(5 * time.Second).Truncate(time.Second) // PagerDuty's shifts begin on a second
	w.pd.SetOnCall(w.primary.ID, w.dana.ID, begin, begin.Add(time.Hour))
	id := w.request(w.dana.Email, "payments-admin")
	w.opened(id)
	w.approvedBecauseOf(id, "shift start")
	if at := w.teleport.Request(id).GetReviews()[0].Created; at.Before(begin) {
		t.Errorf("approved at %s, before the shift began at %s", at, begin)
	}
}

func TestAShiftIsNotMissedWhilePdhookIsDown(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request(w.dana.Email, "payments-admin")
	w.opened(id)
	w.proc.stop()
	w.comesOnCall(w.dana)
	w.start()
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
}

func TestNothingIsPolledWhileNothingIsPendingThatAShiftCouldChange(t *testing.T) {
	t.Parallel()
	// pdhook looks for the files of missing secrets every 3 s. Two of these looks show that three polls would
	// have come in between.
	w := newWorld(t, with("policy.oncall_poll_interval", `"1s"`))
	w.conf["webhook.secrets"] = "[" + quote(w.path("webhook-secret")) + "," + quote(w.path("second")) + "," + quote(w.path("third")) + "]"
	w.start()
	polls := func() int { return w.pd.CountRequests("GET /oncalls") }

	polled := w.request(w.dana.Email, "payments-admin")
	w.opened(polled)
	w.decided(polled)
	first := polls()
	w.eventually("who is on call is polled", func() bool { return polls() > first })
	w.decides(polled)
	w.ended(polled, 1)
	w.recorded(polled)
	w.opened(w.request(w.dana.Email, "payments-notify-only")) // pending, but no shift would approve it

	w.write("second", "the-second-secret-of-32-characters")
	w.secretsLoaded(1)
	before := polls()
	w.write("third", "the-third-secret-of-32-characters")
	w.secretsLoaded(2)
	if got := polls(); got != before {
		t.Errorf("asked %d times who is on call, want none", got-before)
	}
}

// secretsLoaded waits until pdhook has found n files of secrets that were missing at its start.
func (w *world) secretsLoaded(n int) {
	w.t.Helper()
	w.eventually("a secret is loaded", func() bool {
		return len(w.proc.find(func(l logLine) bool { return l.text("msg") == "Secrets have changed and were read again" })) == n
	})
}
