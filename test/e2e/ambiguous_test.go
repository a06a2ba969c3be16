package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// TestAWriteWhoseAnswerDoesNotComeHappensOnce has a write performed and its answer lost. What is lost otherwise
// of incidents, notes and resolutions is in TestWritesSurviveFailuresOfPagerDutyAndHappenOnce.
func TestAWriteWhoseAnswerDoesNotComeHappensOnce(t *testing.T) {
	for write, ways := range map[string][]string{
		"writing a note": {"late"},
		"resolving":      {"late"},
		"reopening":      {"reset", "late", "502"},
		"reviewing":      {"reset", "late", "unavailable"},
		"claiming":       {"reset", "late", "unavailable"},
		"recording":      {"reset", "late", "unavailable"},
	} {
		for _, way := range ways {
			t.Run(write+", "+way, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, with("policy.on_incident_resolved", `"retrigger"`))
				a := &ambiguity{world: w, write: write, way: way}
				a.between()
				w.start()
				a.tell()
			})
		}
	}
}

// ambiguity is a world in which one write is performed and not answered.
type ambiguity struct {
	*world
	trap       trap
	write, way string
	lose       func() // the connection
}

// between puts the test around every write.
func (a *ambiguity) between() {
	proxy, err := a.teleport.Proxy()
	if err != nil {
		a.t.Fatal(err)
	}
	a.conf["teleport.addr"] = quote(proxy.Addr())
	a.pd.Around(a.trap.aroundPagerDuty)
	a.teleport.Around(a.trap.aroundTeleport)
	switch a.way {
	case "late":
		over := make(chan struct{})
		a.t.Cleanup(func() { close(over) })
		a.lose = func() { <-over }
	case "reset":
		a.lose = proxy.Cut // PagerDuty's is reset in any case
	default:
		a.lose = func() {}
	}
}

// next makes the next write of the kind the one, if it is this one's turn.
func (a *ambiguity) next(writes ...string) {
	switch {
	case !slices.Contains(writes, a.write):
	case a.way == "502":
		a.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.StatusAfter, Status: 502, Bare: true, Route: "PUT /incidents/{id}", Times: 1})
	default:
		a.trap.set("after "+a.write, 0, a.lose)
	}
}

// tell takes one request through all writes to its incident, and another through pdhook's approval.
func (a *ambiguity) tell() {
	a.t.Helper()
	a.next("claiming", "recording")
	id := a.request(a.dana.Email, "payments-admin")
	incident := a.opened(id)
	a.eventually("pdhook knows the incident", func() bool { return a.teleport.PluginData(id)["incident_id"] == incident.ID })
	a.next("reopening", "writing a note")
	a.pd.Resolve(incident.ID, a.kim.ID)
	a.eventually("the incident is open again, with a note", func() bool {
		return a.incident(incident.ID).Status == "triggered" && len(a.notes(incident.ID)) == 1 && a.teleport.PluginData(id)["pdhook_holder"] == ""
	})
	a.next("resolving")
	a.decides(id)
	a.recorded(id)
	a.ended(id, 1)
	a.wantNotes(incident.ID, reopenedBy, "kim@example.com reviewed the request at ", decision)
	if resolved, reopened := a.events("incident.resolved", incident.ID), a.events("incident.reopened", incident.ID); resolved != 2 || reopened != 1 {
		a.t.Errorf("the incident was resolved %d times and reopened %d times, want 2, once by kim, and 1", resolved, reopened)
	}

	a.next("reviewing")
	own := a.request(a.kim.Email, "payments-admin")
	a.reaches(own, types.RequestState_APPROVED)
	a.told(own, bot+" reviewed the request at ", approvedBy)
	if reviews := a.teleport.Request(own).GetReviews(); len(reviews) != 1 || !strings.Contains(reviews[0].Reason, "\npdhook: basis=none oncall=") {
		a.t.Errorf("got reviews %v, want one with its proof", reviews)
	}
	if moment := a.trap.waits(); moment != "" {
		a.t.Errorf("nothing was lost %s", moment)
	}
}

func TestAReviewThatPdhooksUserSubmittedByOtherMeansIsNotRepeated(t *testing.T) {
	for _, c := range []struct {
		by    string
		state types.RequestState
		note  string
	}{
		{"an approval", types.RequestState_APPROVED, approvedBy},
		{"a denial", types.RequestState_DENIED, deniedBy},
	} {
		t.Run(c.by, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			id := w.teleport.CreateRequest(teleporttest.Request{User: w.dana.Email, Roles: []string{"payments-admin"},
				Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 2}}})
			incident := w.opened(id)
			w.review(id, bot, c.state, "by hand, with tctl")
			w.eventually("the review is noted", func() bool { return len(w.notes(incident.ID)) == 1 })
			w.comesOnCall(w.dana)
			w.looksAgain(incident.ID, func() { w.pd.Acknowledge(incident.ID, w.sam.ID) })
			w.looksAgain(incident.ID, func() { w.pd.Reassign(incident.ID, w.sam.ID, w.lee.ID) }) // the look before is over
			w.stays(id)
			if n := w.teleport.Calls("SubmitAccessReview"); n != 0 {
				t.Errorf("pdhook submitted %d reviews, want none", n)
			}
			w.review(id, w.lee.Email, c.state, "me too")
			w.told(id, bot+" reviewed the request at ", "lee@example.com reviewed the request at ", c.note)
		})
	}
}
