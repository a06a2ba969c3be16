package webhook_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
)

func TestEachDocumentedEventIsRead(t *testing.T) {
	const (
		queue  = access.IncidentID("Q0PAYQUEUE0001")
		own    = access.IncidentID("Q0OWNREQUEST01")
		ownKey = "teleport-access-request/5c1f0a52-7f0e-4a39-9a86-3f6a5f0d8e11"
		theirs = "nagios/payment-queue"
	)
	incident := access.Event{Incidents: []access.IncidentID{queue}, IncidentKey: theirs, Service: "PSPAYM1", ServiceName: "payments"}
	ofOwn := access.Event{Incidents: []access.IncidentID{own}, IncidentKey: ownKey, Service: "PSPAYM1", ServiceName: "payments"}
	about := access.Event{Incidents: []access.IncidentID{queue}}
	keyless := access.Event{Incidents: []access.IncidentID{queue}, Service: "PSPAYM1", ServiceName: "payments"}
	want := map[string]access.Event{
		"incident.triggered":                    ofOwn,
		"incident.acknowledged":                 ofOwn,
		"incident.unacknowledged":               incident,
		"incident.resolved":                     ofOwn,
		"incident.reopened":                     incident,
		"incident.escalated":                    incident,
		"incident.reassigned":                   incident,
		"incident.delegated":                    incident,
		"incident.service_updated":              {Incidents: []access.IncidentID{queue}, IncidentKey: theirs, Service: "PSLEDG2", ServiceName: "ledger"},
		"incident.priority_updated":             keyless,
		"incident.incident_type.changed":        incident,
		"incident.responder.added":              about,
		"incident.responder.replied":            about,
		"incident.role.assigned":                {Incidents: []access.IncidentID{queue, "Q0LEDGERLAG002"}},
		"incident.annotated":                    about,
		"incident.status_update_published":      about,
		"incident.conference_bridge.updated":    about,
		"incident.custom_field_values.updated":  about,
		"incident.task.created":                 about,
		"incident.task.updated":                 about,
		"incident.task.completed":               about,
		"incident.action_invocation.created":    about,
		"incident.action_invocation.updated":    about,
		"incident.action_invocation.terminated": about,
		"incident.workflow.started":             keyless,
		"incident.workflow.completed":           keyless,
		"service.created":                       {Service: "PSPAYM1", ServiceName: "payments"},
		"service.updated":                       {Service: "PSPAYM1", ServiceName: "payments core"},
		"service.deleted":                       {Service: "PSPAYM1", ServiceName: "payments"},
		"service.custom_field_values.updated":   {Service: "PSPAYM1"},
		"pagey.ping":                            {},
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, file := range files {
		eventType, isEvent := strings.CutSuffix(file.Name(), ".json")
		if !isEvent {
			continue
		}
		read++
		t.Run(eventType, func(t *testing.T) {
			want, ok := want[eventType]
			if !ok {
				t.Fatal("no expectation for this file")
			}
			got, err := webhook.ParseEvent([]byte(fixture(t, eventType)))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(got.ID), "01HWPDHOOKFIXTURE") || got.Type != eventType {
				t.Errorf("got ID %q and type %q", got.ID, got.Type)
			}
			if got.Occurred.Format("2006-01-02 05.000") != "2026-03-14 07.250" {
				t.Errorf("occurred: got %s", got.Occurred)
			}
			got.ID, got.Type, got.Occurred, got.Body = "", "", time.Time{}, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\ngot  %+v\nwant %+v", got, want)
			}
		})
	}
	if read != len(want) {
		t.Errorf("read %d files, want %d", read, len(want))
	}
}

func TestPagerDutysOwnSamplesHaveTheExpectedShape(t *testing.T) {
	const samples = "../../../shared/data/webhooks/"
	files, _ := os.ReadDir(samples) // only there where pdhook is developed
	for _, file := range files {
		eventType, isEvent := strings.CutSuffix(file.Name(), ".json")
		if !isEvent {
			continue
		}
		body, err := os.ReadFile(samples + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := webhook.ParseEvent(body); err != nil || got.Malformed || got.Type != eventType {
			t.Errorf("%s: got %+v, %v", eventType, got, err)
		}
	}
}

func TestBodiesThatAreNoEvent(t *testing.T) {
	for name, body := range map[string]string{
		"empty":                 ``,
		"no JSON":               `event`,
		"null":                  `null`,
		"list":                  `[{"event":{"id":"1","event_type":"x"}}]`,
		"no event":              `{"id":"1","event_type":"x"}`,
		"event is null":         `{"event":null}`,
		"event is a list":       `{"event":[]}`,
		"name in other case":    `{"Event":{"id":"1","event_type":"x"}}`,
		"trailing garbage":      `{"event":{"id":"1","event_type":"x"}} {}`,
		"no id":                 `{"event":{"event_type":"x"}}`,
		"id is null":            `{"event":{"id":null,"event_type":"x"}}`,
		"id is empty":           `{"event":{"id":"","event_type":"x"}}`,
		"id is a number":        `{"event":{"id":1,"event_type":"x"}}`,
		"id in other case":      `{"event":{"ID":"1","event_type":"x"}}`,
		"id with newline":       `{"event":{"id":"1\n2","event_type":"x"}}`,
		"id with NUL":           `{"event":{"id":"1\u0000","event_type":"x"}}`,
		"id not UTF-8":          "{\"event\":{\"id\":\"\xff\",\"event_type\":\"x\"}}",
		"id of 257 bytes":       `{"event":{"id":"` + strings.Repeat("i", 257) + `","event_type":"x"}}`,
		"id is white space":     `{"event":{"id":" \u00a0 ","event_type":"x"}}`,
		"no type":               `{"event":{"id":"1"}}`,
		"type is empty":         `{"event":{"id":"1","event_type":""}}`,
		"type is a NUL":         `{"event":{"id":"1","event_type":"\u0000"}}`,
		"type is an object":     `{"event":{"id":"1","event_type":{}}}`,
		"type is white space":   `{"event":{"id":"1","event_type":" \u2003"}}`,
		"type in other case":    `{"event":{"id":"1","Event_Type":"x"}}`,
		"nested without an end": strings.Repeat(`{"event":`, 100_000),
	} {
		if got, err := webhook.ParseEvent([]byte(body)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 100 {
			t.Errorf("%s: error repeats the body: %q", name, err)
		}
	}
}

func TestUnexpectedShapesKeepWhatCouldBeRead(t *testing.T) {
	long := strings.Repeat("n", 1025)
	tests := []struct {
		name, eventType, data string
		want                  access.Event
	}{
		{"no data", "incident.resolved", `null`, access.Event{Malformed: true}},
		{"data is a string", "incident.resolved", `"resolved"`, access.Event{Malformed: true}},
		{"id is a number", "incident.resolved", `{"id":7,"incident_key":"k","service":{"id":"S"}}`, access.Event{Malformed: true, IncidentKey: "k", Service: "S"}},
		{"id with a control character", "incident.resolved", `{"id":"Q\t","service":{"id":"S"}}`, access.Event{Malformed: true, Service: "S"}},
		{"id in other case", "incident.resolved", `{"ID":"Q","service":{"id":"S"}}`, access.Event{Malformed: true, Service: "S"}},
		{"service is a string", "incident.resolved", `{"id":"Q","service":"payments"}`, access.Event{Malformed: true, Incidents: []access.IncidentID{"Q"}}},
		{"key is a list", "incident.resolved", `{"id":"Q","incident_key":[],"service":{"id":"S"}}`, access.Event{Malformed: true, Incidents: []access.IncidentID{"Q"}, Service: "S"}},
		{"name too long", "service.updated", `{"id":"S","summary":"` + long + `"}`, access.Event{Malformed: true, Service: "S"}},
		{"one assignment of three", "incident.role.assigned", `{"incident_role_assignments":[1,{"incident":{"id":"Q"}},{}]}`, access.Event{Malformed: true, Incidents: []access.IncidentID{"Q"}}},
		{"no assignment", "incident.role.assigned", `{"incident_role_assignments":[]}`, access.Event{Malformed: true}},
		{"type not known", "incident.teleported", `[]`, access.Event{}},
		{"key is null", "incident.resolved", `{"id":"Q","incident_key":null,"service":{"id":"S","summary":null}}`, access.Event{Incidents: []access.IncidentID{"Q"}, Service: "S"}},
		{"fields added", "incident.annotated", `{"incident":{"id":"Q","new":{}},"newer":[]}`, access.Event{Incidents: []access.IncidentID{"Q"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := `{"event":{"id":"1","event_type":"` + tt.eventType + `","occurred_at":null,"data":` + tt.data + `}}`
			got, err := webhook.ParseEvent([]byte(body))
			if err != nil {
				t.Fatal(err)
			}
			tt.want.ID, tt.want.Type, tt.want.Body = "1", tt.eventType, []byte(body)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("\ngot  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestTimeOfNoKnownFormIsMalformed(t *testing.T) {
	got, err := webhook.ParseEvent([]byte(`{"event":{"id":"1","event_type":"pagey.ping","occurred_at":"yesterday"}}`))
	if err != nil || !got.Malformed || !got.Occurred.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEventTypesAreThoseThatChangeAFact(t *testing.T) {
	got := strings.Join(webhook.EventTypes(), " ")
	for _, want := range []string{"incident.acknowledged", "incident.responder.replied", "service.deleted"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	for _, unwanted := range []string{"pagey.ping", "incident.annotated"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("%s is in %s", unwanted, got)
		}
	}
}
