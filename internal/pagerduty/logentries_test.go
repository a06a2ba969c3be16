package pagerduty

import (
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func resolution(at string, agent object) object {
	o := object{"type": "resolve_log_entry", "created_at": at, "channel": object{"type": nil}, "agent": agent}
	if agent == nil {
		o["agent"] = nil
	}
	return o
}

func TestTheLastResolverIsFoundAmongOddLogEntries(t *testing.T) {
	ann, bob := object{"id": "PANN", "type": "user_reference", "summary": "Ann"}, object{"id": "PBOB", "type": "user", "name": "Bob", "summary": "Bob B."}
	odd := []object{
		{"type": "acknowledgement_log_entry", "created_at": "2026-03-01T19:00:00Z", "agent": ann, "channel": nil},
		{"type": "trigger_log_entry", "created_at": nil, "event_details": object{"count": 2}, "channel": object{"type": nil}},
		{"type": "a_new_log_entry", "agent": object{"id": "PX"}},
		{"type": "trigger_log_entry_reference"},
	}
	tests := []struct {
		name        string
		resolutions []object
		want        access.User
	}{
		{"a user", []object{resolution("2026-03-01T12:00:00Z", ann)}, access.User{ID: "PANN", Name: "Ann"}},
		{"an expanded user", []object{resolution("2026-03-01T12:00:00Z", bob)}, access.User{ID: "PBOB", Name: "Bob"}},
		{"the later one, listed last", []object{resolution("2026-03-01T12:00:00Z", ann), resolution("2026-03-01T07:00:01-05:00", bob)}, access.User{ID: "PBOB", Name: "Bob"}},
		{"the later one, listed first", []object{resolution("2026-03-01T12:00:01Z", ann), resolution("2026-03-01T12:00:00Z", bob)}, access.User{ID: "PANN", Name: "Ann"}},
		{"a time-out after a user", []object{resolution("2026-03-01T12:00:00Z", ann), resolution("2026-03-01T13:00:00Z", object{"id": "PSVC", "type": "service_reference"})}, access.User{}},
		{"an integration", []object{resolution("2026-03-01T13:00:00Z", object{"id": "PI", "type": "inbound_integration_reference"})}, access.User{}},
		{"a bot", []object{resolution("2026-03-01T13:00:00Z", object{"id": "PB", "type": "bot_user_reference"})}, access.User{}},
		{"automation", []object{resolution("2026-03-01T13:00:00Z", nil)}, access.User{}},
	}
	for _, tt := range tests {
		f := paged("log_entries", 2, append(append([]object{}, odd...), tt.resolutions...)...)
		got, err := f.start(t).Resolver(t.Context(), "QINC")
		if err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
		if path := f.asked[0].URL.Path; path != "/incidents/QINC/log_entries" {
			t.Errorf("got path %s, want the incident's log entries", path)
		}
	}
}

func TestAResolverThatIsNotShownIsCouldNotTell(t *testing.T) {
	ann := object{"id": "PANN", "type": "user_reference", "summary": "Ann"}
	silent := resolution("2026-03-01T14:00:00Z", nil)
	delete(silent, "agent")
	tests := map[string][]object{
		"none":                 {},
		"not resolved":         {{"type": "trigger_log_entry", "created_at": "2026-03-01T12:00:00Z", "agent": ann}},
		"no agent":             {resolution("2026-03-01T12:00:00Z", ann), silent},
		"an agent of no kind":  {resolution("2026-03-01T12:00:00Z", object{"id": "PANN"})},
		"a user without id":    {resolution("2026-03-01T12:00:00Z", object{"type": "user_reference"})},
		"resolved sometime":    {resolution("2026-03-01T12:00:00Z", ann), resolution("sometime", ann)},
		"resolved at no time":  {resolution("", ann)},
		"resolved at the zero": {resolution("0001-01-01T00:00:00Z", ann)},
	}
	for name, entries := range tests {
		if who, err := paged("log_entries", 100, entries...).start(t).Resolver(t.Context(), "QINC"); err == nil || failure(t, err).Class != access.Retry || who.ID != "" {
			t.Errorf("%s: got %+v, %v, want could not tell", name, who, err)
		}
	}
}
