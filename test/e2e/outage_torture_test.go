//go:build torture

package e2e

import (
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// found is how long it may take until a silent death is noticed and mended: a ping every 30 s, its answer within
// 10 s, then pauses of at most 30 s between two tries.
const found = 2 * time.Minute

// soon is how long after PagerDuty's return the last approval may come, while many wait: less than the pauses that
// requests make after so long an outage, and as long as a limit of 960 a minute may need.
func soon() time.Duration { return time.Duration(rounds(15, 90)) * time.Second }

func TestTortureConnectionsWhosePacketsAreDroppedAreFoundAndReplaced(t *testing.T) {
	for _, c := range []struct {
		name                string
		teleport, pagerDuty bool
	}{
		{"Teleport", true, false},
		{"PagerDuty", false, true},
		{"both", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			w := newWorld(t)
			w.behind(n)
			w.start()
			for range rounds(1, 5) {
				w.dropped(n, c.teleport, c.pagerDuty)
			}
			if out := w.proc.find(func(l logLine) bool { return l.text("msg") == "pdhook is starting" }); len(out) != 1 {
				t.Errorf("pdhook started %d times, want once", len(out))
			}
		})
	}
}

// dropped drops the packets of one or both systems until pdhook says so, has things happen meanwhile, lets
// the packets flow again and checks that all was caught up.
func (w *world) dropped(n *network, teleport, pagerDuty bool) {
	w.t.Helper()
	denied, waiting := w.request("dana@example.com", "payments-admin"), w.request("dana@example.com", "payments-admin")
	w.opened(denied)
	w.opened(waiting)
	w.settled()
	before := len(w.teleport.Handshakes())
	lost := w.said("Connection to Teleport ended", "no answer to a ping")
	if teleport {
		n.drop(n.teleport)
	}
	if pagerDuty {
		n.drop(n.pagerDuty)
	}
	w.review(denied, "kim@example.com", types.RequestState_DENIED, "no")
	own := w.request("kim@example.com", "payments-admin")
	if teleport {
		w.within(found, "the keepalive finds Teleport gone, /status and log say so", func() bool {
			s := w.status().Teleport
			return w.said("Connection to Teleport ended", "no answer to a ping") == lost+1 && !s.Connected && !s.Watching && s.LastError != ""
		})
	}
	if pagerDuty && !teleport {
		w.within(found, "/status and log say that PagerDuty is gone", func() bool {
			s := w.status().PagerDuty
			return !s.Reachable && s.LastError != "" && w.said("A request could not be brought to its end", "") > 0
		})
	}
	if teleport {
		n.pass(n.teleport)
	}
	if pagerDuty {
		n.pass(n.pagerDuty)
	}
	w.within(found, "the request is approved", func() bool { return w.teleport.Request(own).GetState() == types.RequestState_APPROVED })
	w.within(found, "both are told", func() bool {
		return w.incidents(denied)[0].Status == "resolved" && len(w.incidents(own)) > 0 && w.incidents(own)[0].Status == "resolved"
	})
	w.told(denied, reviewByKim, deniedBy+"\nReason: no")
	w.told(own, "pdhook reviewed the request at ", approvedBy)
	w.stays(waiting)
	w.eventually("/status is clean", func() bool {
		s := w.status()
		return s.Teleport.Watching && s.Teleport.LastError == "" && s.PagerDuty.Reachable && s.PagerDuty.LastError == ""
	})
	if teleport && len(w.teleport.Handshakes()) == before {
		w.t.Error("pdhook goes on without a new connection to Teleport")
	}
}

func TestTortureNamesThatDoNotResolveAreToldAndWaitedFor(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.resolve(false)
	w := newWorld(t)
	relay := w.behind(n)
	own := w.request("kim@example.com", "payments-admin")
	w.launch()
	w.complains(w.proc.says("lookup "+teleportName), "connecting to Teleport", "teleport.addr", "DNS")
	w.complains(w.proc.says("lookup "+pagerDutyName), "pagerduty.api_endpoint")
	if s := w.status(); s.Teleport.Connected || s.PagerDuty.Reachable {
		t.Errorf("got %+v, want both away", s)
	}
	n.resolve(true)
	w.within(found, "the request is approved", func() bool { return w.teleport.Request(own).GetState() == types.RequestState_APPROVED })
	w.told(own, "pdhook reviewed the request at ", approvedBy)

	n.resolve(false)
	relay.Pause() // names are remembered for some seconds
	relay.Cut()
	w.within(found, "/status names the name", func() bool { return holds(w.status().Teleport.LastError, []string{"lookup " + teleportName}) })
	again := w.request("kim@example.com", "payments-admin")
	n.resolve(true)
	relay.Resume()
	w.within(found, "the next request is approved", func() bool { return w.teleport.Request(again).GetState() == types.RequestState_APPROVED })
	w.told(again, "pdhook reviewed the request at ", approvedBy)
	w.eventually("/status is clean", func() bool {
		s := w.status()
		return s.Teleport.LastError == "" && s.PagerDuty.LastError == ""
	})
}

// What waits for PagerDuty for minutes, with its real limit and answers that take their usual time.
func TestTorturePagerDutyIsAwayForMinutes(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault pagerdutytest.Fault
	}{
		{"503", unavailable},
		{"hanging", pagerdutytest.Fault{Kind: pagerdutytest.Hang}},
		{"connections reset", pagerdutytest.Fault{Kind: pagerdutytest.ResetBefore}},
		{"429", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests}},
		{"429 without headers", pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests, Bare: true}},
	}[:rounds(1, 5)] {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := rounds(60, 150)
			w := newWorld(t)
			w.hire(n)
			w.start()
			crowd := &crowd{world: w, away: len(w.pd.Requests())}
			w.pd.Fault(c.fault)
			every := time.NewTicker(time.Duration(rounds(20, 180)) * time.Second / time.Duration(n))
			for range n {
				<-every.C
				crowd.ask(1)
			}
			every.Stop()
			w.within(found, "every request was tried in vain", func() bool { return w.failing() == 2*n })
			crowd.mend()
			crowd.served(time.Duration(rounds(3, 10)) * time.Minute)
			crowd.inOrder()
			crowd.noHerd()
			for _, id := range crowd.approvable {
				if after := w.teleport.Request(id).GetReviews()[0].Created.Sub(crowd.returned); after > soon() {
					t.Errorf("request %s was approved %s after PagerDuty came back, want at most %s", id, after, soon())
				}
			}
		})
	}
}

// port gives the ":port" of host:port.
func port(t testing.TB, addr string) string {
	t.Helper()
	_, number, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return ":" + number
}

// tidy is tool for cleaning up: the test's context is over, and what is gone is gone.
func tidy(name string, args ...string) { _ = exec.Command(name, args...).Run() }
