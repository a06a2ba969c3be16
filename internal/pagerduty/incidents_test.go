package pagerduty

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestIncidentIsReadInAllItsShapes(t *testing.T) {
	user := func(name string) object { return object{"id": "P1", "type": "user_reference", "summary": name} }
	plain := func() access.Incident {
		return access.Incident{ID: "QINC", Key: "key", Service: "PSVC", ServiceName: "Payments", Status: access.Triggered,
			URL: "https://acme.pagerduty.com/incidents/QINC", Created: instant("2026-03-01T12:00:00Z"), TriggeredBy: "PBOT"}
	}
	tests := []struct {
		name string
		more object
		want func(*access.Incident)
	}{
		{"triggered", object{}, func(*access.Incident) {}},
		{"a status not known yet", object{"status": "parked"}, func(i *access.Incident) { i.Status = "parked" }},
		{"without key, as with child alerts", object{"incident_key": nil}, func(i *access.Incident) { i.Key = "" }},
		{"acknowledged by a user and a service", object{"status": "acknowledged", "acknowledgements": []object{
			{"at": "2026-03-01T12:01:00Z", "acknowledger": user("Ann")},
			{"acknowledger": object{"id": "P2", "type": "user", "name": "Bob", "summary": "Bob B."}},
			{"acknowledger": object{"id": "PSVC", "type": "service_reference", "summary": "Payments"}},
			{"acknowledger": nil},
		}}, func(i *access.Incident) {
			i.Status, i.Acknowledged = access.Acknowledged, []access.User{{ID: "P1", Name: "Ann"}, {ID: "P2", Name: "Bob"}}
		}},
		{"resolved by a user", object{"status": "resolved", "last_status_change_by": user("Ann")}, func(i *access.Incident) {
			i.Status, i.ResolvedBy = access.Resolved, "Ann"
		}},
		{"resolved by an expanded user", object{"status": "resolved", "last_status_change_by": object{"id": "P1", "type": "user", "name": "Ann"}}, func(i *access.Incident) {
			i.Status, i.ResolvedBy = access.Resolved, "Ann"
		}},
		{"resolved by a time-out", object{"status": "resolved", "last_status_change_by": object{"id": "PSVC", "type": "service_reference", "summary": "Payments"}}, func(i *access.Incident) {
			i.Status = access.Resolved
		}},
		{"resolved by nobody", object{"status": "resolved", "last_status_change_by": nil}, func(i *access.Incident) { i.Status = access.Resolved }},
		{"triggered again by a user", object{"last_status_change_by": user("Ann")}, func(*access.Incident) {}},
		{"merged away", object{"status": "resolved", "last_status_change_by": user("Ann"), "resolve_reason": object{"type": "merge_resolve_reason", "incident": object{"id": "QBIG"}}}, func(i *access.Incident) {
			i.Status, i.ResolvedBy, i.MergedInto = access.Resolved, "Ann", "QBIG"
		}},
		{"resolved for a reason not known yet", object{"status": "resolved", "resolve_reason": object{"type": "new_reason"}}, func(i *access.Incident) { i.Status = access.Resolved }},
		{"triggered by an integration", object{"first_trigger_log_entry": object{"type": "trigger_log_entry", "agent": object{"id": "PI", "type": "inbound_integration_reference"}}}, func(i *access.Incident) { i.TriggeredBy = "" }},
		{"triggered by automation", object{"first_trigger_log_entry": object{"type": "trigger_log_entry", "agent": nil}}, func(i *access.Incident) { i.TriggeredBy = "" }},
		{"with odd event details", object{"first_trigger_log_entry": object{"agent": user("Ann"), "event_details": object{"n": 5}, "channel": object{"type": nil}}}, func(i *access.Incident) { i.TriggeredBy = "P1" }},
		{"with a mere reference to the log entry", object{"first_trigger_log_entry": object{"id": "R1", "type": "trigger_log_entry_reference"}}, func(i *access.Incident) { i.TriggeredBy, i.TriggerNotShown = "", true }},
		{"without log entry", object{"first_trigger_log_entry": nil}, func(i *access.Incident) { i.TriggeredBy, i.TriggerNotShown = "", true }},
		{"with an agent of no kind", object{"first_trigger_log_entry": object{"agent": object{}}}, func(i *access.Incident) { i.TriggeredBy, i.TriggerNotShown = "", true }},
		{"with a user without id as agent", object{"first_trigger_log_entry": object{"agent": object{"type": "user_reference"}}}, func(i *access.Incident) { i.TriggeredBy, i.TriggerNotShown = "", true }},
	}
	for _, tt := range tests {
		f := always(200, encode(object{"incident": with(incidentObject("QINC", "key", "PSVC"), tt.more)}))
		got, err := f.start(t).Incident(t.Context(), "QINC", "")
		want := plain()
		tt.want(&want)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, want)
		}
		if include := f.query(0)["include[]"]; !slices.Contains(include, "first_trigger_log_entries") {
			t.Errorf("got include[] %v, want first_trigger_log_entries in it", include)
		}
	}
}

func TestAnIncidentThatCannotBeReadIsCouldNotTell(t *testing.T) {
	for name, more := range map[string]object{
		"another one":          {"id": "QOTHER"},
		"no id":                {"id": nil},
		"no status":            {"status": nil},
		"no service":           {"service": nil},
		"created sometime":     {"created_at": "sometime"},
		"merged into nothing":  {"status": "resolved", "resolve_reason": object{"type": "merge_resolve_reason"}},
		"acknowledgers a word": {"acknowledgements": "many"},
	} {
		_, err := always(200, encode(object{"incident": with(incidentObject("QINC", "key", "PSVC"), more)})).start(t).Incident(t.Context(), "QINC", "")
		if err == nil || failure(t, err).Class != access.Retry {
			t.Errorf("%s: got %v, want Retry", name, err)
		}
	}
}

func TestIncidentsByKeyComparesKeyAndServiceAndGivesTheNewestFirst(t *testing.T) {
	at := func(id, key, service, created, status string) object {
		return with(incidentObject(id, key, service), object{"created_at": created, "status": status})
	}
	f := paged("incidents", 2,
		at("Q1", "key", "PSVC", "2026-01-01T00:00:00Z", "resolved"),
		at("Q2", "key/2", "PSVC", "2026-01-02T00:00:00Z", "triggered"),
		at("Q3", "key", "POTHER", "2026-01-03T00:00:00Z", "triggered"),
		at("Q4", "key", "PSVC", "2026-01-04T00:00:00+02:00", "acknowledged"),
		at("Q4", "key", "PSVC", "2026-01-04T00:00:00+02:00", "acknowledged"),
		at("Q5", "KEY", "PSVC", "2026-01-05T00:00:00Z", "triggered"),
		at("Q6", "key", "PSVC", "2026-01-03T23:00:00Z", "resolved"))
	got, err := f.start(t).IncidentsByKey(t.Context(), "key", "PSVC")
	var ids []access.IncidentID
	for _, i := range got {
		ids = append(ids, i.ID)
	}
	if want := []access.IncidentID{"Q6", "Q4", "Q1"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("got %v, %v, want %v", ids, err, want)
	}
	q := f.query(0)
	if q.Get("incident_key") != "key" || q.Get("service_ids[]") != "PSVC" || q.Get("date_range") != "all" || q.Has("statuses[]") ||
		!slices.Contains(q["include[]"], "first_trigger_log_entries") {
		t.Errorf("got query %v, want key, service, all dates, all statuses and the first trigger log entries", q)
	}
}

func TestNoIncidentWithTheKeyIsAnEmptyAnswer(t *testing.T) {
	got, err := paged("incidents", 100).start(t).IncidentsByKey(t.Context(), "key", "PSVC")
	if err != nil || len(got) != 0 {
		t.Errorf("got %+v, %v, want none", got, err)
	}
}

func TestOpenIncidentsAreOnTheServicesAndOpenWhateverPagerDutySends(t *testing.T) {
	at := func(id, service, status, created string) object {
		return with(incidentObject(id, "key-"+id, service), object{"status": status, "created_at": created})
	}
	f := paged("incidents", 2,
		at("Q1", "PSVC", "triggered", "2025-01-01T00:00:00Z"),
		at("Q2", "PSVC", "resolved", "2026-01-02T00:00:00Z"),
		at("Q3", "POTHER", "triggered", "2026-01-03T00:00:00Z"),
		at("Q4", "PSVD", "acknowledged", "2026-01-04T00:00:00Z"),
		at("Q4", "PSVD", "acknowledged", "2026-01-04T00:00:00Z"),
		at("Q5", "psvc", "triggered", "2026-01-05T00:00:00Z"),
		at("Q6", "PSVC", "parked", "2026-01-06T00:00:00Z"))
	got, err := f.start(t).OpenIncidents(t.Context(), []access.ServiceID{"PSVD", "PSVC", "PSVD"})
	var ids []access.IncidentID
	for _, i := range got {
		ids = append(ids, i.ID)
	}
	if want := []access.IncidentID{"Q4", "Q1"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("got %v, %v, want %v", ids, err, want)
	}
	q := f.query(0)
	if !slices.Equal(q["service_ids[]"], []string{"PSVC", "PSVD"}) || !slices.Equal(q["statuses[]"], []string{"triggered", "acknowledged"}) ||
		q.Get("date_range") != "all" || !slices.Contains(q["include[]"], "first_trigger_log_entries") {
		t.Errorf("got query %v, want each service once, both open statuses, all dates and the first trigger log entries", q)
	}
}

func TestAnOpenIncidentShowsWhoHasIt(t *testing.T) {
	shown := with(incidentObject("QINC", "key", "PSVC"), object{"status": "acknowledged",
		"assignments": []object{
			{"at": "2026-03-01T12:01:00Z", "assignee": object{"id": "PANN", "type": "user_reference", "summary": "Ann"}},
			{"assignee": object{"id": "PESC", "type": "escalation_policy_reference", "summary": "Night"}},
			{"assignee": nil},
		},
		"acknowledgements": []object{{"acknowledger": object{"id": "PBOB", "type": "user_reference", "summary": "Bob"}}}})
	got, err := paged("incidents", 100, shown).start(t).OpenIncidents(t.Context(), []access.ServiceID{"PSVC"})
	if err != nil || len(got) != 1 || !slices.Equal(got[0].Assigned, []access.User{{ID: "PANN", Name: "Ann"}}) ||
		!slices.Equal(got[0].Acknowledged, []access.User{{ID: "PBOB", Name: "Bob"}}) {
		t.Errorf("got %+v, %v, want it assigned to Ann and acknowledged by Bob", got, err)
	}
	for _, missing := range []string{"assignments", "acknowledgements"} {
		for _, value := range []any{nil, "many"} {
			o := with(incidentObject("QINC", "key", "PSVC"), object{missing: value})
			if _, err := paged("incidents", 100, o).start(t).OpenIncidents(t.Context(), []access.ServiceID{"PSVC"}); err == nil || failure(t, err).Class != access.Retry {
				t.Errorf("%s %v: got %v, want could not tell", missing, value, err)
			}
		}
	}
}

func TestCreateIncidentSendsWhatPagerDutyWants(t *testing.T) {
	f := always(201, encode(object{"incident": incidentObject("QNEW", "key", "PSVC")}))
	got, err := f.start(t).CreateIncident(t.Context(), access.NewIncident{Key: "key", Service: "PSVC", Title: "Access request from ann", Details: "line\nline"})
	if err != nil || got.ID != "QNEW" || got.URL == "" {
		t.Errorf("got %+v, %v, want QNEW with its address", got, err)
	}
	r := f.asked[0]
	if r.Method != http.MethodPost || r.URL.Path != "/incidents" || r.Header.Get("From") != testFrom || r.Header.Get("Content-Type") != "application/json" ||
		r.Header.Get("Accept") != "application/vnd.pagerduty+json;version=2" || r.Header.Get("Authorization") != "Token token="+testKey {
		t.Errorf("got %s %s with %v, want POST /incidents with From, Accept, Content-Type and the key", r.Method, r.URL, r.Header)
	}
	wantJSON(t, f.sent[0], `{"incident":{"type":"incident","title":"Access request from ann","incident_key":"key",
		"service":{"type":"service_reference","id":"PSVC"},"body":{"type":"incident_body","details":"line\nline"}}}`)
}

func TestAnotherIncidentThanOrderedIsUnclear(t *testing.T) {
	for _, o := range []object{incidentObject("QNEW", "other", "PSVC"), incidentObject("QNEW", "key", "POTHER")} {
		err := create(t.Context(), always(201, encode(object{"incident": o})).start(t))
		if !failure(t, err).Unclear {
			t.Errorf("got %v, want it unclear", err)
		}
	}
}

func TestResolveUpdatesOneIncident(t *testing.T) {
	f := always(200, encode(object{"incident": with(incidentObject("QINC", "key", "PSVC"), object{"status": "resolved"})}))
	if err := f.start(t).Resolve(t.Context(), "QINC"); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if r := f.asked[0]; r.Method != http.MethodPut || r.URL.Path != "/incidents/QINC" || r.Header.Get("From") != testFrom {
		t.Errorf("got %s %s, want PUT /incidents/QINC with From", r.Method, r.URL)
	}
	wantJSON(t, f.sent[0], `{"incident":{"type":"incident_reference","status":"resolved"}}`)
}

func TestResolvingAResolvedIncidentIsSuccess(t *testing.T) {
	f := always(400, `{"error":{"message":"Incident Already Resolved","code":1001}}`)
	if err := f.start(t).Resolve(t.Context(), "QINC"); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestAnIncidentStillOpenAfterResolvingIsUnclear(t *testing.T) {
	f := always(200, encode(object{"incident": incidentObject("QINC", "key", "PSVC")}))
	if err := f.start(t).Resolve(t.Context(), "QINC"); !failure(t, err).Unclear {
		t.Errorf("got %v, want it unclear", err)
	}
}

func TestReopenTriggersAnIncidentAgainWherePagerDutyLetsIt(t *testing.T) {
	f := always(200, encode(object{"incident": incidentObject("QINC", "key", "PSVC")}))
	if err := f.start(t).Reopen(t.Context(), "QINC"); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	wantJSON(t, f.sent[0], `{"incident":{"type":"incident_reference","status":"triggered"}}`)

	for _, refused := range []string{`{"error":{"message":"Incident Already Resolved","code":1001}}`, `{"error":{"message":"Invalid Status","code":1003}}`} {
		if err := always(400, refused).start(t).Reopen(t.Context(), "QINC"); !access.IsPermanent(err) || access.IsUnclear(err) {
			t.Errorf("refused with %s: got %v, want a permanent error", refused, err)
		}
	}
	f = always(200, encode(object{"incident": with(incidentObject("QINC", "key", "PSVC"), object{"status": "resolved"})}))
	if err := f.start(t).Reopen(t.Context(), "QINC"); !failure(t, err).Unclear {
		t.Errorf("still resolved: got %v, want it unclear", err)
	}
}

func TestNotesAreReadAndWritten(t *testing.T) {
	f := always(200, `{"notes":[{"id":"PN1","content":"one","created_at":"2026-03-01T12:00:00Z","channel":{"type":null}},{"id":"PN2","content":"two","created_at":"2026-03-01T13:00:00+01:00"}]}`)
	got, err := f.start(t).Notes(t.Context(), "QINC")
	at := instant("2026-03-01T12:00:00Z")
	if want := []access.Note{{Content: "one", Created: at}, {Content: "two", Created: at}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, status := range []int{200, 201} {
		f = always(status, `{"note":{"id":"PN3","content":"three"}}`)
		if err := f.start(t).AddNote(t.Context(), "QINC", "three"); err != nil {
			t.Errorf("answered %d: got %v, want no error", status, err)
		}
		if r := f.asked[0]; r.URL.Path != "/incidents/QINC/notes" || r.Header.Get("From") != testFrom {
			t.Errorf("got %s with From %q, want the incident's notes with %q", r.URL, r.Header.Get("From"), testFrom)
		}
		wantJSON(t, f.sent[0], `{"note":{"content":"three"}}`)
	}
}

func wantJSON(t *testing.T, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("reading %q: %v", got, err)
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("reading %q: %v", want, err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("got body %s, want %s", got, want)
	}
}
