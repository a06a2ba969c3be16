package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestPdhookWaitsForTeleport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.Stop()
	id := w.request("kim@example.com", "payments-admin")
	w.launch()
	line := w.proc.says("connecting to Teleport")
	w.complains(line, w.teleport.Addr(), "connection refused")
	w.eventually("/status shows it", func() bool {
		s := w.status().Teleport
		return !s.Connected && strings.Contains(s.LastError, w.teleport.Addr())
	})
	if err := w.teleport.Start(); err != nil {
		t.Fatal(err)
	}
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.eventually("/status shows the connection", func() bool { s := w.status().Teleport; return s.Connected && s.LastError == "" })
	w.complained(1)
}

func TestPdhookWaitsForAnIdentityThatIsValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.writeIdentity(teleporttest.IdentityOptions{NotAfter: time.Now().Add(-time.Minute)})
	id := w.request("kim@example.com", "payments-admin")
	w.launch()
	line := w.proc.says("expired at")
	w.complains(line, w.path("identity"), "renew it (tbot, or tctl auth sign)")
	w.eventually("/status shows it", func() bool { return strings.Contains(w.status().Teleport.LastError, "expired at") })
	w.writeIdentity(teleporttest.IdentityOptions{})
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.complained(1)
}

func TestPdhookWaitsForAKeyThatPagerDutyTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("api-key", "a-key-that-pagerduty-does-not-know")
	id := w.request("kim@example.com", "payments-admin")
	w.start()
	line := w.proc.says("PagerDuty refused the API key")
	w.complains(line, "pagerduty.api_key", "SIGHUP")
	w.eventually("/status shows it", func() bool { return strings.Contains(w.status().PagerDuty.LastError, "refused the API key") })
	w.stays(id)
	w.write("api-key", pagerdutytest.DefaultAPIKey)
	w.hangUp()
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.complained(1)
	w.tellsNoSecret("a-key-that-pagerduty-does-not-know")
}

func TestPdhookWaitsForPagerDuty(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.ResetBefore})
	id := w.request("kim@example.com", "payments-admin")
	w.start()
	line := w.proc.says("PagerDuty needs attention")
	w.complains(line, "no answer from PagerDuty", w.pd.URL(), "pagerduty.api_endpoint")
	w.eventually("/status shows it", func() bool {
		s := w.status().PagerDuty
		return !s.Reachable && strings.Contains(s.LastError, "no answer from PagerDuty")
	})
	w.proc.says("A request could not be brought to its end")
	w.stays(id)
	w.pd.ClearFaults()
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.eventually("/status shows that it works", func() bool { return w.status().PagerDuty.Reachable })
	w.complained(1)
}
