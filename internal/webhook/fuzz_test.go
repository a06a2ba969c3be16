package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/webhook"
)

// seeds are the samples of every event that PagerDuty sends, and bodies that mean to confuse.
func seeds(f *testing.F) []string {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	bodies := []string{
		``, `{}`, `[]`, `null`, `{"event":null}`, `{"event":[]}`, `{"EVENT":{"ID":"1","EVENT_TYPE":"incident.triggered"}}`,
		`{"event":{"id":"1","event_type":"incident.triggered"},"event":{"id":"2","event_type":"service.deleted"}}`,
		`{"event":{"id":"1","id":"","event_type":"incident.resolved","data":{"id":"Q1","id":7,"incident_key":"teleport-access-request/1/2"}}}`,
		`{"event":{"id":"\ud800","event_type":"incident.triggered","data":{"id":"\u0000"}}}`,
		`{"event":{"id":"1","event_type":"incident.role.assigned","data":{"incident_role_assignments":[{"incident":{"id":"Q1"}},7,{"incident":null}]}}}`,
		`{"event":{"id":"1","event_type":"service.custom_field_values.updated","data":{"service":{"id":"S1","summary":"\u202e"}}}}`,
		`{"event":{"id":"1","event_type":"incident.triggered","data":{"number":1e999}}}`,
	}
	for _, file := range files {
		bodies = append(bodies, fixture(f, strings.TrimSuffix(filepath.Base(file), ".json")))
	}
	return bodies
}

func FuzzParseEvent(f *testing.F) {
	for _, body := range seeds(f) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := webhook.ParseEvent(body)
		if err != nil {
			if !reflect.DeepEqual(e, access.Event{}) {
				t.Errorf("an error beside an event: %+v", e)
			}
			return
		}
		wantSafe(t, e)
		wantSaid(t, e, body)
	})
}

// wantSafe checks that everything that may become part of a key is one, and that nothing is without bound.
func wantSafe(t *testing.T, e access.Event) {
	t.Helper()
	if strings.TrimSpace(string(e.ID)) == "" || strings.TrimSpace(e.Type) == "" || len(e.Incidents) > 64 {
		t.Errorf("got %+v", e)
	}
	limits := map[string]int{string(e.ID): 256, e.Type: 256, string(e.Service): 256, e.ServiceName: 1024, e.IncidentKey: 1024}
	for _, id := range e.Incidents {
		if id == "" {
			t.Error("an empty incident ID")
		}
		limits[string(id)] = 256
	}
	for text, limit := range limits {
		if len(text) > limit || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%q is not safe", text)
		}
	}
	scope := webhook.Concerns(e)
	if own, ours := strings.CutPrefix(e.IncidentKey, "teleport-access-request/"); scope.Own != "" && (!ours || !strings.HasPrefix(own, string(scope.Own))) {
		t.Errorf("key %q: got the request %q", e.IncidentKey, scope.Own)
	}
}

// wantSaid checks that the event names nothing but what the body says at the documented places.
func wantSaid(t *testing.T, e access.Event, body []byte) {
	t.Helper()
	var document any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber() // one that no float can hold is JSON all the same
	if err := decoder.Decode(&document); err != nil || !json.Valid(body) {
		t.Fatalf("an event from what is no JSON: %v", err)
	}
	data := at(document, "event", "data")
	incidents := []any{at(data, "id"), at(data, "incident", "id")}
	if list, ok := at(data, "incident_role_assignments").([]any); ok {
		for _, assignment := range list {
			incidents = append(incidents, at(assignment, "incident", "id"))
		}
	}
	for _, id := range e.Incidents {
		if !slices.Contains(incidents, any(string(id))) {
			t.Errorf("the event names incident %q, the body says %v", id, incidents)
		}
	}
	for said, places := range map[string][]any{
		string(e.ID):      {at(document, "event", "id")},
		e.IncidentKey:     {at(data, "incident_key")},
		string(e.Service): {at(data, "id"), at(data, "service", "id")},
		e.ServiceName:     {at(data, "summary"), at(data, "service", "summary")},
	} {
		if said != "" && !slices.Contains(places, any(said)) {
			t.Errorf("the event names %q, the body says %v", said, places)
		}
	}
}

// at walks down the names of a JSON document; nil where there is nothing.
func at(value any, names ...string) any {
	for _, name := range names {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// FuzzDelivery signs parts of the header for the fuzzer, which could never guess a digest: {0} and {1} are
// those of the two secrets, {x} is a stranger's.
func FuzzDelivery(f *testing.F) {
	bodies := seeds(f)
	for i, header := range []string{
		"v1={0}", "v1={1}", "v1={x}", "v1={x},v1={1}", "v2=1, v1={0}", "", ",", "v1=,v1=00", "V1={0}", "v1={0}0", "v1= {0}", "\tv1={0} ,", "v1={0};v1={0}", "v1=v1={0}",
		"v1={0}\nv1={x}", "v2={0}\nv1={1}",
	} {
		f.Add(header, false, []byte(bodies[i%len(bodies)]))
		f.Add(header, true, []byte(bodies[len(bodies)-1-i]))
	}
	wellFormed := regexp.MustCompile(`^[ \t]*v1=([0-9a-fA-F]{64})[ \t]*$`)
	e := newEndpoint(f)
	e.secrets = [][]byte{[]byte(secret), []byte(oldSecret)}
	f.Fuzz(func(t *testing.T, header string, upper bool, body []byte) {
		if len(body) > limit || strings.ContainsRune(header, '\r') {
			return
		}
		right := []string{digest(secret, body), digest(oldSecret, body)}
		header = strings.NewReplacer("{0}", right[0], "{1}", right[1], "{x}", digest(stranger, body)).Replace(header)
		if upper {
			header = strings.NewReplacer("a", "A", "b", "B", "c", "C").Replace(header)
		}
		want := http.StatusBadRequest
		for entry := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ',' || r == '\n' }) {
			switch found := wellFormed.FindStringSubmatch(entry); {
			case found == nil:
			case slices.Contains(right, strings.ToLower(found[1])):
				want = http.StatusAccepted
			case want == http.StatusBadRequest:
				want = http.StatusForbidden
			}
		}
		if _, err := webhook.ParseEvent(body); err != nil && want == http.StatusAccepted {
			want = http.StatusBadRequest
		}
		e.log.Reset()
		clear(e.inbox.events)
		e.accepted, e.observed = nil, nil
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header["X-Pagerduty-Signature"] = strings.Split(header, "\n")
		answer := e.serve(r)
		if answer.StatusCode != want {
			t.Errorf("%q: got %d, want %d", header, answer.StatusCode, want)
		}
		if kept := len(e.inbox.events); kept != len(e.accepted) || (kept == 1) != (want == http.StatusAccepted) || len(e.observed) != 1 {
			t.Errorf("%d: %d events kept, %d handed on, counted %q", want, kept, len(e.accepted), e.observed)
		}
		told := new(bytes.Buffer)
		_, _ = told.ReadFrom(answer.Body)
		for _, leak := range append(right, secret, oldSecret) {
			if strings.Contains(told.String(), leak) || strings.Contains(e.log.String(), leak) {
				t.Errorf("%q is told: %s %s", leak, told, e.log.String())
			}
		}
	})
}

// digest is HMAC-SHA256 in hex as RFC 2104 draws it, for keys up to the block size: not the library's.
func digest(key string, message []byte) string {
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i := range key {
		inner[i] ^= key[i]
		outer[i] ^= key[i]
	}
	first := sha256.Sum256(append(inner, message...))
	second := sha256.Sum256(append(outer, first[:]...))
	return hex.EncodeToString(second[:])
}

// What costs time must not grow with the square of what a sender may send: that would take minutes here.
func TestTheWorstThatFitsIsAnsweredAtOnce(t *testing.T) {
	fill := func(head, part, tail string) string {
		return head + strings.Repeat(part, (limit-len(head)-len(tail))/len(part)) + tail
	}
	about := func(kind, data string) string {
		return fmt.Sprintf(`{"event":{"id":"1","event_type":%q,"data":%s}}`, kind, data)
	}
	for name, body := range map[string]string{
		"deep lists":              fill(`{"event":`, "[", ""),
		"deep objects":            fill("", `{"event":`, ""),
		"names over and over":     fill(`{"event":{`, `"id":"1",`, `"event_type":"incident.triggered"}}`),
		"incidents over and over": fill(`{"event":{"id":"1","event_type":"incident.role.assigned","data":{"incident_role_assignments":[`, `{"incident":{"id":"Q1"}},`, `0]}}}`),
		"a long key":              about("incident.triggered", `{"incident_key":"`+strings.Repeat("/", limit-200)+`"}`),
		"a long type":             about(strings.Repeat("x", limit-200), `{}`),
		"escapes":                 about("incident.triggered", `{"id":"`+strings.Repeat(`\u202e`, (limit-200)/6)+`"}`),
		"white space":             fill("", " ", "{"),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEndpoint(t)
			r := signed(body)
			r.Header["X-Pagerduty-Signature"] = []string{strings.Repeat("v1="+strings.Repeat("0", 64)+",", 240), sign(secret, []byte(body))}
			begun := time.Now()
			if got := e.serve(r).StatusCode; got != http.StatusAccepted && got != http.StatusBadRequest {
				t.Errorf("got %d", got)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}
