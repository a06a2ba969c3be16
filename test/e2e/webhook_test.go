package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// shared holds captured webhooks, beside the repository; where it is missing the project's own samples do.
const shared = "../../../shared/data/webhooks/"

func TestEveryTypeOfWebhookIsTaken(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../internal/webhook/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples of webhooks: %v", err)
	}
	more, err := filepath.Glob(shared + "*.json")
	if err != nil {
		t.Fatal(err)
	}
	w := startWorld(t, with("log.severity", `"DEBUG"`))
	for _, file := range append(files, more...) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var sample struct{ Event map[string]any }
		if err := json.Unmarshal(body, &sample); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			w.accepts(string(body))
			w.dispatched(sample.Event["id"].(string))
			if got := w.counted(sample.Event["event_type"].(string), "malformed"); got != "0" {
				t.Errorf("the sample is counted as malformed")
			}
		})
	}
	for _, line := range w.proc.find(func(l logLine) bool { return l.text("level") == "WARN" || l.text("level") == "ERROR" }) {
		t.Errorf("got the log line %v", line)
	}
}

func TestAKnownSignatureFits(t *testing.T) {
	t.Parallel()
	const (
		key    = "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK" // published with PagerDuty's Go client
		digest = "0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd"
	)
	w := newWorld(t)
	w.write("webhook-secret", key)
	w.start()
	body, err := os.ReadFile(shared + "incident.priority_updated.json")
	if err != nil {
		w.accepted(signedBy(key, event("01KNOWN", "incident.priority_updated"))) // the captured body is not at hand
		return
	}
	w.accepted(post{body: string(body), signed: []string{"v1=" + digest}})
}

// onAnIncident is what may happen to an incident; each wakes the requests that it concerns.
var onAnIncident = map[string]func(w *world, incident string){
	"acknowledged":   func(w *world, id string) { w.pd.Acknowledge(id, w.kim.ID) },
	"unacknowledged": func(w *world, id string) { w.pd.Unacknowledge(id) },
	"resolved":       func(w *world, id string) { w.pd.Resolve(id, w.kim.ID) },
	"reassigned":     func(w *world, id string) { w.pd.Reassign(id, w.kim.ID, w.lee.ID) },
	"escalated":      func(w *world, id string) { w.pd.Escalate(id) },
	"delegated":      func(w *world, id string) { w.pd.Delegate(id, w.kim.ID, w.searching.ID) },
	"responder.added": func(w *world, id string) {
		w.accepts(about("01ADDED", "incident.responder.added", id))
	},
	"responder.replied": func(w *world, id string) {
		w.accepts(about("01REPLIED", "incident.responder.replied", id))
	},
}

// about is an event that names nothing but an incident.
func about(id, kind, incident string) string {
	return fmt.Sprintf(`{"event":{"id":%q,"event_type":%q,"data":{"incident":{"id":%q,"type":"incident_reference"}}}}`, id, kind, incident)
}

// prepare brings an incident to where the thing can happen to it.
func (w *world) prepare(incident, happens string) {
	if happens == "unacknowledged" {
		w.pd.Acknowledge(incident, w.kim.ID)
	}
}

func TestWhateverHappensToAnIncidentOfTheServiceMakesPdhookLookAgain(t *testing.T) {
	for happens, act := range onAnIncident {
		if strings.HasPrefix(happens, "responder.") {
			continue // these events name no service: only who is linked to the incident is woken
		}
		t.Run(happens, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			outage := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
			w.prepare(outage.ID, happens)
			w.start()
			id := w.waits()
			act(w, outage.ID)
			w.approvedBecauseOf(id, "webhook incident."+happens)
		})
	}
	t.Run("triggered", func(t *testing.T) {
		t.Parallel()
		w := startWorld(t)
		id := w.waits()
		w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
		w.approvedBecauseOf(id, "webhook incident.triggered")
	})
}

// waits has dana ask and then come on call, of which nobody tells pdhook.
func (w *world) waits() string {
	w.t.Helper()
	id := w.request(w.dana.Email, "payments-admin")
	w.opened(id)
	w.decided(id)
	w.comesOnCall(w.dana)
	return id
}

// comesOnCall puts a user on duty for Payments API by an override, of which PagerDuty sends no webhook.
func (w *world) comesOnCall(u pagerdutytest.User) {
	w.pd.Override(w.primary.ID, u.ID, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
}

// approvedBecauseOf waits for the approval and checks what made pdhook look.
func (w *world) approvedBecauseOf(id, cause string) {
	w.t.Helper()
	w.reaches(id, types.RequestState_APPROVED)
	w.eventually("the approval is logged", func() bool {
		return len(w.proc.find(func(l logLine) bool { return l.text("verdict") == "approve" && l.text("request_id") == id })) > 0
	})
	line := w.proc.find(func(l logLine) bool { return l.text("verdict") == "approve" && l.text("request_id") == id })[0]
	if line.text("cause") != cause {
		w.t.Errorf("pdhook looked again because of %q, want %q", line.text("cause"), cause)
	}
}

func TestAWebhookThatLiesApprovesNobody(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`))
	id := w.request(w.dana.Email, "payments-admin")
	incident := w.opened(id)
	dana := map[string]any{"id": w.dana.ID, "type": "user_reference", "summary": "Dana"}
	lie := func(event, kind, incident, key, status string) string {
		body, err := json.Marshal(map[string]any{"event": map[string]any{
			"id": event, "event_type": kind, "resource_type": "incident", "occurred_at": time.Now().UTC(), "agent": dana, "client": nil,
			"data": map[string]any{
				"id": incident, "type": "incident", "status": status, "incident_key": key, "title": "Dana is on call",
				"service":           map[string]any{"id": w.paymentsAPI.ID, "type": "service_reference", "summary": "Payments API"},
				"escalation_policy": map[string]any{"id": w.payments.ID, "type": "escalation_policy_reference"},
				"assignees":         []any{dana},
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for i, l := range []struct{ kind, incident, key, status string }{
		{"incident.triggered", "PNOSUCH", "", "triggered"},
		{"incident.acknowledged", "PNOSUCH", "outage", "acknowledged"},
		{"incident.acknowledged", incident.ID, incident.Key, "acknowledged"},
		{"incident.resolved", incident.ID, incident.Key, "resolved"},
		{"incident.reassigned", "PNOSUCH", incident.Key, "triggered"},
	} {
		name := fmt.Sprintf("01LIE%d", i)
		w.looksAgain(incident.ID, func() { w.accepts(lie(name, l.kind, l.incident, l.key, l.status)) })
		if got := w.dispatched(name); got != "woke 1 request" {
			t.Errorf("%s: got outcome %q", l.kind, got)
		}
	}
	w.looksAgain(incident.ID, func() { w.pd.Acknowledge(incident.ID, w.kim.ID) }) // so the pass over the last lie is over
	w.stays(id)
	if got := w.notes(incident.ID); len(got) != 0 {
		t.Errorf("got notes %q, want none: the incident is not resolved", got)
	}
	if got := w.decided(id); !strings.Contains(got, "dana@example.com is not on call for Payments API") {
		t.Errorf("pdhook decided %q", got)
	}
}

// looksAgain does something that wakes a request and waits for a new look at it, which begins with its incident.
func (w *world) looksAgain(incident string, wake func()) {
	w.t.Helper()
	reads := func() (n int) {
		for _, r := range w.pd.Requests() {
			if r.Route == "GET /incidents/{id}" && r.Path == "/incidents/"+incident {
				n++
			}
		}
		return n
	}
	before := reads()
	wake()
	w.eventually("pdhook looks at the request again", func() bool { return reads() > before })
}

func TestAnEventOfAnUnrelatedServiceWakesNobody(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`))
	id := w.waits()
	w.pd.AddIncident(w.search.ID, pagerdutytest.IncidentOptions{Title: "Search is slow"})
	w.pd.MoveService(w.search.ID, w.payments.ID)
	for _, kind := range []string{"incident.triggered", "service.updated"} {
		if got := w.dispatched(w.delivered(kind, w.search.ID)); got != "no pending request" {
			t.Errorf("%s: got outcome %q", kind, got)
		}
	}
	w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"}) // and this one does
	w.reaches(id, types.RequestState_APPROVED)
}

// delivered waits until an event that names something was delivered and gives the event's ID.
func (w *world) delivered(kind, names string) (id string) {
	w.t.Helper()
	w.eventually(kind+" is delivered", func() bool {
		for _, d := range w.pd.Deliveries() {
			if d.EventType == kind && d.State == pagerdutytest.Delivered && strings.Contains(string(d.Body), `"`+names+`"`) {
				id = d.EventID
			}
		}
		return id != ""
	})
	return id
}

func TestAServiceThatMovesToAnotherEscalationPolicyTakesItsOnCallEngineersAlong(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request(w.sam.Email, "payments-admin")
	w.opened(id)
	w.pd.MoveService(w.paymentsAPI.ID, w.searching.ID)
	w.approvedBecauseOf(id, "webhook service.updated")
	late := w.request(w.kim.Email, "payments-admin")
	if why := w.decided(late); !strings.Contains(why, "kim@example.com is not on call for Payments API") {
		t.Errorf("pdhook decided %q on who was on call for the old policy", why)
	}
	w.stays(late)
}

func TestAServiceThatIsCreatedWithTheAwaitedNameIsUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.SetRole("future", map[string][]string{
		"pagerduty_notify_service": {"Future API"}, "pagerduty_services": {"Future API"},
	})
	w.start()
	id := w.request(w.sam.Email, "future")
	if why := w.decided(id); !strings.Contains(why, `PagerDuty knows no service "Future API"`) {
		t.Errorf("pdhook decided %q", why)
	}
	service := w.pd.AddService("Future API", w.searching.ID)
	w.approvedBecauseOf(id, "webhook service.created")
	if got := w.ended(id, 1)[0].Service; got != service.ID {
		t.Errorf("the incident is on %s, want %s", got, service.ID)
	}
}

func TestAServiceThatIsRenamedOrDeletedApprovesNobodyByItsOldName(t *testing.T) {
	for name, goes := range map[string]func(w *world){
		"renamed": func(w *world) { w.pd.RenameService(w.paymentsAPI.ID, "Billing API") },
		"deleted": func(w *world) { w.pd.DeleteService(w.paymentsAPI.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			id := w.request(w.dana.Email, "payments-admin")
			incident := w.opened(id)
			w.decided(id)
			goes(w)
			const unknown = `PagerDuty knows no service "Payments API"`
			w.eventually("pdhook notices", func() bool { return strings.Contains(w.decided(id), unknown) })
			w.comesOnCall(w.dana)
			w.looksAgain(incident.ID, func() { w.pd.Acknowledge(incident.ID, w.kim.ID) })
			w.looksAgain(incident.ID, func() { w.pd.Acknowledge(incident.ID, w.lee.ID) }) // the look before is over
			w.stays(id)
			late := w.request(w.dana.Email, "payments-admin")
			if why := w.decided(late); !strings.Contains(why, unknown) {
				t.Errorf("pdhook decided %q", why)
			}
			w.stays(late)
		})
	}
}

func TestAnEventOnAnIncidentOfPdhooksOwnWakesOnlyItsRequest(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("log.severity", `"DEBUG"`))
	var own pagerdutytest.Incident
	for range 2 {
		id := w.request(w.dana.Email, "payments-admin")
		own = w.opened(id)
		w.decided(id)
	}
	w.pd.Acknowledge(own.ID, w.kim.ID)
	if got := w.dispatched(w.delivered("incident.acknowledged", own.ID)); got != "woke 1 request" {
		t.Errorf("an event on an own incident: got outcome %q", got)
	}
	outage := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Checkout is down"})
	if got := w.dispatched(w.delivered("incident.triggered", outage.ID)); got != "woke 2 requests" {
		t.Errorf("an event on another incident: got outcome %q", got)
	}
}
