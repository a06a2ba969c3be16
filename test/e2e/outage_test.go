package e2e

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestWhatHappensWhileTheAuthServerIsAwayIsCaughtUp(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ask := func(user string) string { return w.request(user, "payments-admin") }
	denied, approved, expired, waiting := ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com"), ask("dana@example.com")
	for _, id := range []string{denied, approved, expired, waiting} {
		w.opened(id)
	}
	w.teleport.Stop()
	w.proc.says("Connection to Teleport ended")
	w.eventually("/status shows it", func() bool { s := w.status().Teleport; return !s.Connected && !s.Watching && s.LastError != "" })
	w.review(denied, "kim@example.com", types.RequestState_DENIED, "not now")
	w.review(approved, "kim@example.com", types.RequestState_APPROVED, "go ahead")
	w.expire(expired)
	made, own, past := ask("sam@example.com"), ask("kim@example.com"), ask("dana@example.com")
	w.review(past, "kim@example.com", types.RequestState_APPROVED, "fine")
	if err := w.teleport.Start(); err != nil {
		t.Fatal(err)
	}
	w.told(denied, "kim@example.com reviewed the request at ", "Access request has been denied\nReason: not now")
	w.told(approved, "kim@example.com reviewed the request at ", "Access request has been approved\nReason: go ahead")
	w.told(expired, "Access request has been expired")
	w.reaches(own, types.RequestState_APPROVED)
	w.ended(own, 1)
	w.opened(made)
	w.settled()
	for id, want := range map[string]int{denied: 1, approved: 1, expired: 1, waiting: 1, made: 1, own: 1, past: 0} {
		if got := len(w.incidents(id)); got != want {
			t.Errorf("request %s has %d incidents, want %d", id, got, want)
		}
	}
	w.stays(waiting)
	w.eventually("/status shows the connection", func() bool { s := w.status().Teleport; return s.Connected && s.Watching && s.LastError == "" })
}

func TestAWatchThatEndsIsOpenedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		end  error
	}{
		{"as a server that re-initialises does", nil},
		{"connection problem", trace.ConnectionProblem(nil, "the backend is gone")},
		{"buffer overflow", errors.New("buffer overflow")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			for range 3 {
				id := w.request("dana@example.com", "payments-admin")
				w.opened(id)
				w.teleport.EndWatches(c.end)
				w.review(id, "kim@example.com", types.RequestState_DENIED, "no") // nobody watches
				own := w.request("kim@example.com", "payments-admin")
				w.told(id, "kim@example.com reviewed the request at ", "Access request has been denied\nReason: no")
				w.reaches(own, types.RequestState_APPROVED)
				w.ended(own, 1)
			}
			if err := w.teleport.AwaitWatchers(t.Context(), 1); err != nil {
				t.Error(err)
			}
			if n := w.teleport.Watchers(); n != 1 {
				t.Errorf("got %d watches, want 1", n)
			}
		})
	}
}

func TestPagerDutyComesBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault pagerdutytest.Fault
	}{
		{"answers 503", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable}},
		{"answers 503 from a proxy", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable, Bare: true}},
		{"answers 500 after creating", pagerdutytest.Fault{Kind: pagerdutytest.StatusAfter, Status: http.StatusInternalServerError, Route: "POST /incidents"}},
		{"resets after creating", pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: "POST /incidents"}},
		{"resets after noting", pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: "POST /incidents/{id}/notes"}},
		{"shows HTML", pagerdutytest.Fault{Kind: pagerdutytest.HTML}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			w.pd.Fault(c.fault)
			var ids []string
			for range 5 {
				ids = append(ids, w.request("dana@example.com", "payments-admin"))
			}
			own := w.request("kim@example.com", "payments-admin")
			w.review(ids[0], "kim@example.com", types.RequestState_DENIED, "no")
			w.proc.says("A request could not be brought to its end")
			w.pd.ClearFaults()
			w.reaches(own, types.RequestState_APPROVED)
			notes := w.notes(w.ended(own, 1)[0].ID)
			if len(notes) != 2 {
				t.Errorf("the approved request has notes %q, want a review and the decision", notes)
			}
			for _, id := range ids[1:] {
				w.opened(id)
			}
			w.settled()
			for _, id := range ids[1:] {
				if got := len(w.incidents(id)); got != 1 {
					t.Errorf("request %s has %d incidents, want 1", id, got)
				}
			}
			if all := w.incidents(ids[0]); len(all) > 1 {
				t.Errorf("the denied request has %d incidents, want at most 1", len(all))
			}
			if reviews := w.teleport.Request(own).GetReviews(); len(reviews) != 1 {
				t.Errorf("got %d reviews, want 1", len(reviews))
			}
		})
	}
}

func TestABurstBeyondTheRateLimitIsServed(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests, Bare: true})
	var ids []string
	for range 5 {
		ids = append(ids, w.request("dana@example.com", "payments-admin"))
	}
	own := w.request("kim@example.com", "payments-admin")
	w.proc.says("PagerDuty answered 429")
	w.pd.ClearFaults()
	w.reaches(own, types.RequestState_APPROVED)
	w.ended(own, 1)
	for _, id := range ids {
		w.opened(id)
	}
	w.settled()
	for _, id := range ids {
		if got := len(w.incidents(id)); got != 1 {
			t.Errorf("request %s has %d incidents, want 1", id, got)
		}
	}
	w.complained(0) // the rate limit mends itself
}

func TestApprovalNeedsNoPluginData(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.teleport.Deny(bot, teleporttest.WritePluginData)
	own := w.request("kim@example.com", "payments-admin")
	other := w.request("dana@example.com", "payments-admin")
	w.reaches(own, types.RequestState_APPROVED)
	line := w.proc.says("claiming the request")
	if text := line.text("error"); !strings.Contains(text, "access denied") {
		t.Errorf("got %q, want the permission that is missing", text)
	}
	w.eventually("both requests are reported", func() bool {
		return len(w.proc.find(func(l logLine) bool { return strings.Contains(l.text("error"), "claiming the request") })) == 2
	})
	if n := len(w.pd.Incidents()); n != 0 {
		t.Errorf("got %d incidents without a claim, want none", n)
	}
	w.teleport.Allow(bot, teleporttest.WritePluginData)
	w.hangUp()
	w.opened(other)
	w.ended(own, 1)
	w.stays(other)
}

func TestAReviewThatTeleportRefusesIsTriedAgainWhenAWebhookComes(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse func(w *world)
		allow  func(w *world)
		says   string
	}{
		{"no permission to review",
			func(w *world) { w.teleport.Deny(bot, teleporttest.ReviewRequests) },
			func(w *world) { w.teleport.Allow(bot, teleporttest.ReviewRequests) }, "access denied"},
		{"other roles only",
			func(w *world) { w.teleport.LimitReviews(bot, "other-role") },
			func(w *world) { w.teleport.LimitReviews(bot) }, "access denied"},
		{"second factor",
			func(w *world) { w.teleport.Switch(func(s *teleporttest.Switches) { s.RequireMFA = true }) },
			func(w *world) { w.teleport.Switch(func(s *teleporttest.Switches) { s.RequireMFA = false }) }, "use an identity made by tbot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			c.refuse(w)
			first, second := w.request("kim@example.com", "payments-admin"), w.request("kim@example.com", "payments-admin")
			for _, id := range []string{first, second} {
				incident := w.opened(id)
				if want := "Not approved automatically, although kim@example.com is on call for Payments API"; !strings.Contains(incident.Details, want) {
					t.Errorf("got details %q, want %q in them", incident.Details, want)
				}
				w.stays(id)
			}
			w.complains(w.proc.says("Teleport refuses pdhook's reviews"), c.says)
			w.complained(1)
			c.allow(w)
			for _, id := range []string{first, second} {
				w.pd.Acknowledge(w.opened(id).ID, w.sam.ID)
				w.reaches(id, types.RequestState_APPROVED)
				w.ended(id, 1)
			}
		})
	}
}

func TestMissingPermissionToReadIsToldWithTheRuleThatMendsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.Deny(bot, teleporttest.ReadRequests)
	id := w.request("kim@example.com", "payments-admin")
	w.launch()
	w.complains(w.proc.says("Watch of access requests ended"), "access denied", "access_request: [list, read]")
	if s := w.status().Teleport; !s.Connected || s.Watching {
		t.Errorf("got connected %v, watching %v, want the connection alone", s.Connected, s.Watching)
	}
	w.stays(id)
	w.teleport.Allow(bot, teleporttest.ReadRequests)
	w.complained(1)
	w.proc.stop() // it would try again every minute
	w.start()
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
}

func TestARenewedIdentityIsUsed(t *testing.T) {
	for _, c := range []struct {
		name  string
		renew func(t *testing.T, w *world)
	}{
		{"replaced file", func(t *testing.T, w *world) { w.writeIdentity(teleporttest.IdentityOptions{}) }},
		{"symlinks as Kubernetes swaps them", func(t *testing.T, w *world) { w.swapIdentity("..2026_second") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.conf["teleport.identity"] = quote(w.path("identity"))
			if strings.HasPrefix(c.name, "symlinks") {
				w.conf["teleport.identity"] = quote(w.path("secret/identity"))
				w.swapIdentity("..2026_first")
			}
			w.start()
			before := w.request("dana@example.com", "payments-admin")
			w.opened(before)

			if err := w.teleport.RotateCA(); err != nil {
				t.Fatal(err)
			}
			c.renew(t, w)
			w.proc.says("Read renewed Teleport credentials")
			w.teleport.Stop() // from now on only the new identity works
			w.review(before, "kim@example.com", types.RequestState_DENIED, "no")
			if err := w.teleport.Start(); err != nil {
				t.Fatal(err)
			}
			own := w.request("kim@example.com", "payments-admin")
			w.reaches(own, types.RequestState_APPROVED)
			w.told(before, "kim@example.com reviewed the request at ", "Access request has been denied\nReason: no")
		})
	}
}

func TestPdhookOutlivesItsFirstIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expires := time.Now().Add(6 * time.Second)
	w.writeIdentity(teleporttest.IdentityOptions{NotAfter: expires})
	w.start()
	w.opened(w.request("dana@example.com", "payments-admin"))
	w.writeIdentity(teleporttest.IdentityOptions{})
	w.proc.says("Read renewed Teleport credentials")
	w.eventually("the first identity is over", func() bool { return time.Now().After(expires) })
	w.teleport.Stop()
	if err := w.teleport.Start(); err != nil {
		t.Fatal(err)
	}
	own := w.request("kim@example.com", "payments-admin")
	w.reaches(own, types.RequestState_APPROVED)
	w.ended(own, 1)
}

// swapIdentity puts a new identity into secret/identity by the symlink swap of a Kubernetes secret.
func (w *world) swapIdentity(version string) {
	w.t.Helper()
	dir := w.path(filepath.Join("secret", version))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := w.teleport.WriteIdentity(filepath.Join(dir, "identity"), bot, teleporttest.IdentityOptions{}); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Symlink(version, w.path("secret/..data_tmp")); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.path("secret/..data_tmp"), w.path("secret/..data")); err != nil {
		w.t.Fatal(err)
	}
	err := os.Symlink("..data/identity", w.path("secret/identity"))
	if err != nil && !errors.Is(err, os.ErrExist) {
		w.t.Fatal(err)
	}
}

func (w *world) review(id, author string, state types.RequestState, reason string) {
	w.t.Helper()
	if err := w.teleport.Review(id, author, state, reason); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) expire(id string) {
	w.t.Helper()
	if err := w.teleport.Expire(id); err != nil {
		w.t.Fatal(err)
	}
}

// told waits until the request has one incident, which is resolved, and checks how its notes begin.
func (w *world) told(id string, begin ...string) {
	w.t.Helper()
	notes := w.notes(w.ended(id, 1)[0].ID)
	if len(notes) != len(begin) {
		w.t.Errorf("request %s: got notes %q, want %d", id, notes, len(begin))
		return
	}
	for i := range notes {
		if !strings.HasPrefix(notes[i], begin[i]) {
			w.t.Errorf("request %s: note %d is %q, want it to begin with %q", id, i+1, notes[i], begin[i])
		}
	}
}
