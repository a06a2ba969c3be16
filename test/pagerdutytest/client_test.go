package pagerdutytest

import (
	"errors"
	"strings"
	"testing"

	"github.com/PagerDuty/go-pagerduty"
)

func TestIncidentLivesThroughTheOfficialClient(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	i := w.create("teleport-access-request/1")
	if i.Status != "triggered" || i.Assignments[0].Assignee.ID != w.alice.ID || !strings.HasPrefix(i.HTMLURL, "https://acme.pagerduty.com/") {
		t.Errorf("new incident: got %s, assigned to %+v, at %s", i.Status, i.Assignments, i.HTMLURL)
	}
	note := pagerduty.IncidentNote{Content: "Access request has been approved", User: pagerduty.APIObject{Summary: w.bot.Email}}
	if _, err := w.client.CreateIncidentNoteWithContext(ctx, i.ID, note); err != nil {
		t.Fatalf("creating note: %v", err)
	}
	list, err := w.client.ListIncidentsWithContext(ctx, pagerduty.ListIncidentsOptions{
		IncidentKey: "teleport-access-request/1", ServiceIDs: []string{w.payments.ID}, Statuses: []string{"triggered", "acknowledged"}, DateRange: "all",
	})
	if err != nil || len(list.Incidents) != 1 {
		t.Fatalf("listing by key: got %+v, %v, want one incident", list, err)
	}
	_, err = w.client.ManageIncidentsWithContext(ctx, w.bot.Email, []pagerduty.ManageIncidentsOptions{{ID: i.ID, Type: "incident_reference", Status: "resolved"}})
	if err != nil {
		t.Fatalf("resolving: %v", err)
	}
	got, err := w.client.GetIncidentWithContext(ctx, i.ID)
	if err != nil || got.Status != "resolved" || len(got.Assignments) != 0 || got.LastStatusChangeBy.ID != w.bot.ID {
		t.Errorf("resolved incident: got %+v, %v", got, err)
	}
	notes, err := w.client.ListIncidentNotesWithContext(ctx, i.ID)
	if err != nil || len(notes) != 1 || notes[0].Content != note.Content || notes[0].User.ID != w.bot.ID {
		t.Errorf("notes: got %+v, %v", notes, err)
	}
	log, err := w.client.ListIncidentLogEntriesWithContext(ctx, i.ID, pagerduty.ListIncidentLogEntriesOptions{})
	if err != nil || log.LogEntries[0].Type != "resolve_log_entry" || log.LogEntries[0].Agent.ID != w.bot.ID {
		t.Errorf("newest log entry: got %+v, %v, want the resolution by the bot", log, err)
	}
	w.noViolations()
	if got := w.CountRequests("POST /incidents"); got != 1 {
		t.Errorf("creations counted: got %d, want 1", got)
	}
}

func TestSecondOpenIncidentWithAKeyIsRefused(t *testing.T) {
	w := newWorld(t, Options{})
	first := w.create("k")
	_, err := w.client.CreateIncidentWithContext(t.Context(), w.bot.Email, &pagerduty.CreateIncidentOptions{
		Title: "again", IncidentKey: "k", Service: &pagerduty.APIReference{ID: w.payments.ID, Type: "service_reference"},
	})
	refused, is := errors.AsType[pagerduty.APIError](err)
	if !is || refused.StatusCode != 400 || refused.APIError.ErrorObject.Code != 2002 ||
		refused.APIError.ErrorObject.Errors[0] != "Open incident with matching dedup key already exists on this service" {
		t.Errorf("duplicate: got %v", err)
	}
	other := w.AddService("Other", w.policy.ID)
	w.AddIncident(other.ID, IncidentOptions{Title: "other service", Key: "k"})
	w.Resolve(first.ID, "")
	w.create("k")
	if got := len(w.IncidentsByKey("k")); got != 3 {
		t.Errorf("incidents with the key: got %d, want 3", got)
	}
}

func TestServicesUsersAndPoliciesAreReadByTheOfficialClient(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	for n := range 30 {
		w.AddService("Payments "+strings.Repeat("x", n+1), w.policy.ID)
	}
	all, err := w.client.ListServicesPaginated(ctx, pagerduty.ListServiceOptions{Query: "payMENTS"})
	if err != nil || len(all) != 31 {
		t.Errorf("services over all pages: got %d, %v, want 31", len(all), err)
	}
	w.RenameService(w.payments.ID, "Money")
	service, err := w.client.GetServiceWithContext(ctx, w.payments.ID, nil)
	if err != nil || service.Name != "Money" || service.EscalationPolicy.ID != w.policy.ID {
		t.Errorf("renamed service: got %+v, %v", service, err)
	}
	w.AddUser("Malice", "malice@example.com")
	users, err := w.client.ListUsersWithContext(ctx, pagerduty.ListUsersOptions{Query: "alice@example.com"})
	if err != nil || len(users.Users) != 2 {
		t.Errorf("users found by substring: got %+v, %v, want two", users, err)
	}
	policy, err := w.client.GetEscalationPolicyWithContext(ctx, w.policy.ID, nil)
	if err != nil || policy.EscalationRules[0].Targets[0].Type != "schedule_reference" || policy.EscalationRules[1].Targets[0].ID != w.bob.ID {
		t.Errorf("policy: got %+v, %v", policy, err)
	}
	if _, err := w.client.GetServiceWithContext(ctx, "PNONE", nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("unknown service: got %v, want 404", err)
	}
	abilities, err := w.client.ListAbilitiesWithContext(ctx)
	if err != nil || len(abilities.Abilities) == 0 {
		t.Errorf("abilities: got %+v, %v", abilities, err)
	}
	w.noViolations()
}

func TestAcknowledgingThroughTheAPITakesTheIncident(t *testing.T) {
	w := newWorld(t, Options{})
	i := w.create("k")
	_, err := w.client.ManageIncidentsWithContext(t.Context(), w.bot.Email, []pagerduty.ManageIncidentsOptions{{ID: i.ID, Type: "incident_reference", Status: "acknowledged"}})
	if err != nil {
		t.Fatal(err)
	}
	got := w.Incidents()[0]
	if len(got.Assignments) != 1 || got.Assignments[0].User != w.bot.ID || got.Acknowledgements[0].User != w.bot.ID {
		t.Errorf("after acknowledging: got %+v, want it assigned to the bot", got)
	}
}

func TestIncidentForOneselfStartsAcknowledged(t *testing.T) {
	w := newWorld(t, Options{})
	got := w.AddIncident(w.payments.ID, IncidentOptions{Title: "mine", By: w.alice.ID, Assignees: []string{w.alice.ID}})
	if got.Status != "acknowledged" || got.TriggeredBy != UserRef(w.alice.ID) {
		t.Errorf("got %+v, want acknowledged and triggered by Alice", got)
	}
}

func TestMergedIncidentNamesTheSurvivor(t *testing.T) {
	w := newWorld(t, Options{})
	away, survivor := w.create("a"), w.create("b")
	w.Merge(away.ID, survivor.ID, w.alice.ID)
	got, err := w.client.GetIncidentWithContext(t.Context(), away.ID)
	if err != nil || got.Status != "resolved" || got.ResolveReason.Type != "merge_resolve_reason" || got.ResolveReason.Incident.ID != survivor.ID {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFirstTriggerLogEntryNamesWhoTriggered(t *testing.T) {
	w := newWorld(t, Options{})
	byAlice := w.AddIncident(w.payments.ID, IncidentOptions{Title: "a", By: w.alice.ID})
	byMonitor := w.AddIncident(w.payments.ID, IncidentOptions{Title: "b"})
	for id, want := range map[string]string{byAlice.ID: "user_reference", byMonitor.ID: "inbound_integration_reference"} {
		i := w.get("/incidents/" + id + "?include[]=first_trigger_log_entries").json(t)["incident"].(map[string]any)
		agent := i["first_trigger_log_entry"].(map[string]any)["agent"].(map[string]any)
		if agent["type"] != want {
			t.Errorf("agent of the first trigger: got %v, want %s", agent, want)
		}
	}
}

func TestEscalationSkipsALevelWithAGap(t *testing.T) {
	w := newWorld(t, Options{})
	w.ClearSchedule(w.primary.ID)
	i := w.AddIncident(w.payments.ID, IncidentOptions{Title: "at night"})
	if i.Level != 2 || i.Assignments[0].User != w.bob.ID {
		t.Errorf("got level %d, %+v, want Bob on level 2", i.Level, i.Assignments)
	}
}
