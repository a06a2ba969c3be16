package webhook

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	maxID        = 256  // bytes; PagerDuty's are 7 to 36 long
	maxName      = 1024 // bytes of a name or an incident_key: PagerDuty allows 255 characters
	maxIncidents = 64   // of one event; only role assignments can name several
)

// The three ways in which a signed body is no event (spec §8).
var (
	errNoObject = errors.New("body is not a JSON object with an object \"event\"")
	errNoID     = errors.New("event.id is missing or not usable")
	errNoType   = errors.New("event.event_type is missing or not usable")
)

// object is a JSON object. A map, because the names of a struct's fields would match in any case.
type object map[string]json.RawMessage

// ParseEvent reads where a webhook body tells pdhook to look. An error means that the body is no event at
// all; any other unexpected shape gives an event with Malformed set and what could be read.
func ParseEvent(body []byte) (access.Event, error) {
	var envelope map[string]object // at once, for each Unmarshal reads all of it anew
	err := json.Unmarshal(body, &envelope)
	_, besides := errors.AsType[*json.UnmarshalTypeError](err) // beside the event there may be anything
	event := envelope["event"]
	if err != nil && !besides || event == nil {
		return access.Event{}, errNoObject
	}
	var f fields
	id := f.text(event, "id", maxID)
	if strings.TrimSpace(id) == "" {
		return access.Event{}, errNoID
	}
	name := printable(read[string](&f, event, "event_type"), maxID)
	if strings.TrimSpace(name) == "" {
		return access.Event{}, errNoType
	}

	e := access.Event{ID: access.EventID(id), Type: name, Body: body}
	e.Occurred = f.time(event, "occurred_at")
	f.about(&e, f.object(event, "data"))
	_, known := eventTypes[e.Type]
	e.Malformed = known && f.odd
	return e, nil
}

// fields reads fields that may be absent or null, and remembers whether one had another shape than
// PagerDuty documents.
type fields struct{ odd bool }

// about notes the incidents and the service of the event.
func (f *fields) about(e *access.Event, data object) {
	switch eventTypes[e.Type].shape {
	case incidentItself:
		f.incident(e, data)
		e.IncidentKey = f.text(data, "incident_key", maxName)
		f.service(e, f.object(data, "service"))
		f.odd = f.odd || e.Service == ""
	case aboutIncident:
		f.incident(e, f.object(data, "incident"))
		f.service(e, f.object(data, "service"))
	case roleAssignments:
		for _, assignment := range read[[]object](f, data, "incident_role_assignments") {
			f.incident(e, f.object(assignment, "incident"))
		}
		f.odd = f.odd || len(e.Incidents) == 0
	case serviceItself:
		f.service(e, data)
		f.odd = f.odd || e.Service == ""
	case aboutService:
		f.service(e, f.object(data, "service"))
		f.odd = f.odd || e.Service == ""
	}
}

func (f *fields) incident(e *access.Event, in object) {
	id := access.IncidentID(f.text(in, "id", maxID))
	switch {
	case slices.Contains(e.Incidents, id):
	case id == "" || len(e.Incidents) == maxIncidents:
		f.odd = true
	default:
		e.Incidents = append(e.Incidents, id)
	}
}

func (f *fields) service(e *access.Event, in object) {
	e.Service = access.ServiceID(f.text(in, "id", maxID))
	e.ServiceName = f.text(in, "summary", maxName)
}

func (f *fields) object(in object, name string) object { return read[object](f, in, name) }

// text reads a string that may become part of a key: one that is too long or holds anything but plain
// characters counts as absent.
func (f *fields) text(in object, name string, limit int) string {
	s := read[string](f, in, name)
	if len(s) > limit || !plain(s) {
		f.odd = true
		return ""
	}
	return s
}

func (f *fields) time(in object, name string) time.Time {
	s := read[string](f, in, name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		f.odd = true
		return time.Time{}
	}
	return t
}

// read decodes one field. Of a list with elements of a wrong type the others are kept.
func read[T any](f *fields, in object, name string) T {
	var v T
	if raw, ok := in[name]; ok && json.Unmarshal(raw, &v) != nil {
		f.odd = true
	}
	return v
}

// plain reports whether s holds no control characters and nothing that was not UTF-8.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// printable gives s without control and format characters, cut to limit bytes.
func printable(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
