package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestWhichIncidentAnApprovalNeeds(t *testing.T) {
	for _, c := range []struct {
		name    string
		require string
		own     string
		setUp   func(w *world)
		approve bool
		why     string
	}{
		{name: "open: there is one", require: "open", setUp: func(w *world) { w.alert(w.paymentsAPI) }, approve: true, why: "is open"},
		{name: "open: there is none", require: "open", why: "no incident is open on Payments API"},
		{name: "open: only on another service", require: "open", setUp: func(w *world) { w.alert(w.search) }, why: "no incident is open on Payments API"},
		{name: "open: resolved already", require: "open", setUp: func(w *world) { w.pd.Resolve(w.alert(w.paymentsAPI), w.kim.ID) }, why: "no incident is open on Payments API"},
		{name: "open: triggered by the requester", require: "open", setUp: func(w *world) { w.triggeredBy(w.kim) }, why: "was triggered by kim@example.com"},
		{name: "open: triggered by the requester, and that may count", require: "open", own: "true", setUp: func(w *world) { w.triggeredBy(w.kim) }, approve: true, why: "is open"},
		{name: "acknowledged: by the requester", require: "acknowledged", setUp: func(w *world) { w.pd.Acknowledge(w.alert(w.paymentsAPI), w.kim.ID) }, approve: true, why: "is acknowledged by kim@example.com"},
		{name: "acknowledged: by another", require: "acknowledged", setUp: func(w *world) { w.pd.Acknowledge(w.alert(w.paymentsAPI), w.lee.ID) }, why: "is not acknowledged by kim@example.com"},
		{name: "acknowledged: by nobody", require: "acknowledged", setUp: func(w *world) { w.alert(w.paymentsAPI) }, why: "is not acknowledged by kim@example.com"},
		{name: "assigned: to the requester", require: "assigned", setUp: func(w *world) { w.pd.Reassign(w.alert(w.paymentsAPI), w.lee.ID, w.kim.ID) }, approve: true, why: "is assigned to kim@example.com"},
		{name: "assigned: to another", require: "assigned", setUp: func(w *world) { w.pd.Reassign(w.alert(w.paymentsAPI), w.kim.ID, w.lee.ID) }, why: "is not assigned to kim@example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, with("policy.require_incident", quote(c.require)))
			if c.own != "" {
				w.conf["policy.own_incidents"] = c.own
			}
			if c.setUp != nil {
				c.setUp(w)
			}
			w.start()
			id := w.request("kim@example.com", "payments-admin")
			if why := w.decided(id); !strings.Contains(why, c.why) {
				t.Errorf("pdhook decided because %q, want %q", why, c.why)
			}
			if !c.approve {
				w.opened(id) // pdhook's own notification, which never counts
				w.stays(id)
				return
			}
			w.reaches(id, types.RequestState_APPROVED)
			reason := w.teleport.Request(id).GetReviews()[0].Reason
			if basis := w.pd.Incidents()[0].ID; !strings.Contains(reason, "pdhook: basis="+basis+" oncall=") {
				t.Errorf("the review's reason %q does not name the basis %s", reason, basis)
			}
		})
	}
}

// alert triggers an incident as a monitoring system does.
func (w *world) alert(service pagerdutytest.Service) string {
	return w.pd.AddIncident(service.ID, pagerdutytest.IncidentOptions{Title: "error rate"}).ID
}

func (w *world) triggeredBy(u pagerdutytest.User) {
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "by hand", By: u.ID})
}

func TestAcknowledgingTheIncidentApprovesThePendingRequest(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.require_incident", `"acknowledged"`))
	alert := w.alert(w.paymentsAPI)
	id := w.request("kim@example.com", "payments-admin")
	own := w.opened(id)
	w.pd.Acknowledge(own.ID, w.kim.ID) // pdhook's own notification proves nothing
	w.pd.Acknowledge(alert, w.kim.ID)
	w.reaches(id, types.RequestState_APPROVED)
	if reason := w.teleport.Request(id).GetReviews()[0].Reason; !strings.Contains(reason, "basis="+alert+" ") {
		t.Errorf("the approval rests on another incident than %s: %q", alert, reason)
	}
}

func TestWhoIsOnDutyByAScheduleIsApproved(t *testing.T) {
	for _, c := range []struct {
		name    string
		setUp   func(w *world) string // gives the schedule's value
		user    string
		approve bool
		why     string
	}{
		{name: "by name in other case", user: "kim@example.com", approve: true, why: "on call on the schedule Payments primary",
			setUp: func(w *world) string { return "PAYMENTS PRIMARY" }},
		{name: "by ID", user: "kim@example.com", approve: true, why: "on call on the schedule Payments primary",
			setUp: func(w *world) string { return "id:" + w.primary.ID }},
		{name: "not on duty", user: "dana@example.com", why: "dana@example.com is not on call on the schedule Payments primary",
			setUp: func(w *world) string { return "Payments primary" }},
		{name: "that no policy uses", user: "dana@example.com", approve: true, why: "on call on the schedule Managers",
			setUp: func(w *world) string {
				w.pd.SetOnCall(w.pd.AddSchedule("Managers").ID, w.dana.ID, time.Time{}, time.Time{})
				return "Managers"
			}},
		{name: "shift-based", user: "dana@example.com", approve: true, why: "on call on the schedule Incident leads",
			setUp: func(w *world) string {
				w.pd.SetOnCall(w.pd.AddShiftSchedule("Incident leads").ID, w.dana.ID, time.Time{}, time.Time{})
				return "Incident leads"
			}},
		{name: "two of one name", user: "kim@example.com", why: "ambiguous",
			setUp: func(w *world) string {
				w.pd.SetOnCall(w.pd.AddShiftSchedule("Payments primary").ID, w.kim.ID, time.Time{}, time.Time{})
				return "Payments primary"
			}},
		{name: "unknown", user: "kim@example.com", why: `PagerDuty knows no schedule "Payments"`,
			setUp: func(*world) string { return "Payments" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.teleport.SetRole("by-schedule", map[string][]string{"pagerduty_schedules": {c.setUp(w)}})
			w.start()
			id := w.request(c.user, "by-schedule")
			if why := w.decided(id); !strings.Contains(why, c.why) {
				t.Errorf("pdhook decided because %q, want %q", why, c.why)
			}
			if c.approve {
				w.reaches(id, types.RequestState_APPROVED)
			} else {
				w.stays(id)
			}
		})
	}
}

func TestWhoIsOnCallForAServiceByAShiftBasedScheduleIsApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pd.UpgradeSchedule(w.primary.ID)
	w.start()
	id := w.request(kimMail, "payments-admin")
	w.reaches(id, types.RequestState_APPROVED)
}

func TestThePollSeesAnOverrideOnANamedSchedule(t *testing.T) {
	for _, c := range []struct {
		name  string
		setUp func(w *world) pagerdutytest.Schedule
	}{
		{"that a policy uses", func(w *world) pagerdutytest.Schedule { return w.primary }},
		{"that no policy uses", func(w *world) pagerdutytest.Schedule { return w.pd.AddSchedule("Managers") }},
		{"that is shift-based", func(w *world) pagerdutytest.Schedule { return w.pd.AddShiftSchedule("Incident leads") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, with("policy.oncall_poll_interval", `"1s"`))
			schedule := c.setUp(w)
			w.teleport.SetRole("by-schedule", map[string][]string{"pagerduty_schedules": {schedule.Name}})
			w.start()
			id := w.request("dana@example.com", "by-schedule")
			w.decided(id)
			w.stays(id)
			w.pd.Override(schedule.ID, w.dana.ID, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
			w.reaches(id, types.RequestState_APPROVED)
		})
	}
}

func TestARequestThatIsTooOldIsNotApproved(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.max_request_age", `"1s"`))
	id := w.request("dana@example.com", "payments-admin")
	w.opened(id)
	w.pd.Override(w.primary.ID, w.dana.ID, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
	w.eventually("the request is older than a second", func() bool {
		return time.Since(w.teleport.Request(id).GetCreationTime()) > time.Second
	})
	w.alert(w.paymentsAPI) // makes pdhook look again
	w.proc.says("Decided")
	w.eventually("pdhook decides again", func() bool {
		return len(w.proc.find(func(l logLine) bool {
			return l.text("request_id") == id && strings.Contains(l.text("why"), "at most 1s is allowed")
		})) > 0
	})
	w.stays(id)
}

func TestADryRunDecidesAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.dry_run", "true"))
	id := w.request("kim@example.com", "payments-admin")
	if why := w.decided(id); !strings.Contains(why, "kim@example.com is on call for Payments API") {
		t.Errorf("pdhook decided because %q", why)
	}
	w.decided(w.request("dana@example.com", "payments-admin")) // came later: the first is done with
	w.stays(id)
	if n := len(w.pd.Incidents()); n != 0 {
		t.Errorf("got %d incidents, want none", n)
	}
	if data := w.teleport.PluginData(id); len(data) != 0 {
		t.Errorf("got plugin data %v, want none", data)
	}
}

func TestAnIncidentResolvedByAPersonDeniesTheRequestWhereThatIsConfigured(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.on_incident_resolved", `"deny"`))
	id := w.request("dana@example.com", "payments-admin")
	incident := w.opened(id)
	w.pd.Resolve(incident.ID, w.kim.ID)
	w.reaches(id, types.RequestState_DENIED)
	if reviews := w.teleport.Request(id).GetReviews(); len(reviews) != 1 || !strings.Contains(reviews[0].Reason, "Kim resolved PagerDuty incident "+incident.ID) {
		t.Errorf("got reviews %v, want one that names Kim and the incident", reviews)
	}
	w.eventually("the decision is noted", func() bool {
		return slices.ContainsFunc(w.notes(incident.ID), func(n string) bool { return strings.HasPrefix(n, "Access request has been denied") })
	})
}

func TestAnIncidentResolvedByATimeOutDeniesNobody(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.on_incident_resolved", `"deny"`))
	id := w.request("dana@example.com", "payments-admin")
	incident := w.opened(id)
	w.pd.Resolve(incident.ID, "")
	w.eventually("the note says that the request is pending", func() bool {
		return slices.ContainsFunc(w.notes(incident.ID), func(n string) bool { return strings.Contains(n, "still pending") })
	})
	w.stays(id)
}

func TestAResolvedIncidentIsReopenedOnceWhereThatIsConfigured(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.on_incident_resolved", `"retrigger"`))
	id := w.request("dana@example.com", "payments-admin")
	incident := w.opened(id)
	w.pd.Resolve(incident.ID, w.kim.ID)
	w.eventually("the incident is open again, with a note", func() bool {
		return w.incidents(id)[0].Status == "triggered" && len(w.notes(incident.ID)) == 1
	})
	w.pd.Resolve(incident.ID, w.kim.ID)
	if err := w.teleport.Review(id, "kim@example.com", types.RequestState_DENIED, "no"); err != nil {
		t.Fatal(err)
	}
	w.eventually("it has a note that it is pending, a review and the decision", func() bool { return len(w.notes(incident.ID)) == 3 })
	w.ended(id, 1)
}
