package reconcile

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pdhook/pdhook/internal/access"
)

func TestTheLedgerComesBackAsItWasWritten(t *testing.T) {
	req := access.Request{User: alice, Roles: []string{"dev", "ops"}, Reason: "a, b", Created: time.Unix(946684800, 0), State: access.Pending}
	incidents := []access.LinkedIncident{
		{ID: "Q2", Ref: "shipping", Service: "SSHIP", ServiceName: "shipping", Key: "k", URL: "u", Reviews: 2, StillNoted: true, Verified: true},
		{ID: "Q1", Ref: "payments", Service: "SPAY", ServiceName: "payments", Reviews: 1, Status: access.Acknowledged, AcknowledgedBy: []string{"Bob"}, MergedInto: "Q9"},
		{Ref: "nowhere"},
	}
	until := time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)
	empty := ledger{}
	set, expect := empty.swap(encode(req, incidents, claim{effect: effectReopen, holder: "a", until: until, reopening: []access.IncidentID{"Q1"}}, true))
	if len(expect) != len(allKeys) {
		t.Errorf("%d keys are expected, want all %d: those that are not named are not checked", len(expect), len(allKeys))
	}
	for key, want := range map[string]string{keyIncident: "Q1", keyService: "SPAY", keyUser: alice, keyRoles: "dev,ops", keyCreated: "946684800",
		keyReason: "a, b", keyReviews: "1", keyResolution: "", keyResolve: "", keyEffect: "reopen", keyHolder: "a", keyUntil: "2000-01-01T00:01:00Z"} {
		if set[key] != want {
			t.Errorf("%s = %q, want %q", key, set[key], want)
		}
	}
	got, err := parseLedger(set)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.claim, claim{effect: effectReopen, holder: "a", until: until, reopening: []access.IncidentID{"Q1"}}) || !got.upstream {
		t.Errorf("claim = %+v, upstream = %v", got.claim, got.upstream)
	}
	want := []access.LinkedIncident{
		{ID: "Q2", Ref: "shipping", Service: "SSHIP", ServiceName: "shipping", Key: "k", URL: "u", Reviews: 2, StillNoted: true},
		{ID: "Q1", Ref: "payments", Service: "SPAY", ServiceName: "payments", Reviews: 1},
		{Ref: "nowhere"},
	}
	if !reflect.DeepEqual(got.incidents, want) {
		t.Errorf("incidents\ngot  %+v\nwant %+v", got.incidents, want)
	}
	back := got.request("id")
	if back.User != alice || !reflect.DeepEqual(back.Roles, req.Roles) || back.Reason != req.Reason || !back.Created.Equal(req.Created) {
		t.Errorf("request = %+v", back)
	}
}

func TestTheResolutionIsWrittenWhenEveryIncidentTellsIt(t *testing.T) {
	req := access.Request{State: access.Denied, ResolveReason: "no"}
	told, silent := access.LinkedIncident{ID: "Q1", Noted: true}, access.LinkedIncident{ID: "Q2"}
	for _, tt := range []struct {
		name      string
		incidents []access.LinkedIncident
		want      string
	}{
		{"one told", []access.LinkedIncident{told}, "denied"},
		{"one of two told", []access.LinkedIncident{told, silent}, ""},
		{"a service without incident does not count", []access.LinkedIncident{told, {Ref: "nowhere"}}, "denied"},
		{"no incident", nil, ""},
	} {
		if got := encode(req, tt.incidents, claim{}, false)[keyResolution]; got != tt.want {
			t.Errorf("%s: resolution = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestASwapSetsOnlyWhatDiffers(t *testing.T) {
	l := ledger{raw: map[string]string{keyUser: alice, keyHolder: "a"}}
	set, expect := l.swap(map[string]string{keyUser: alice, keyRoles: "dev"})
	if want := map[string]string{keyRoles: "dev", keyHolder: ""}; !maps.Equal(set, want) {
		t.Errorf("set = %v, want %v", set, want)
	}
	if expect[keyUser] != alice || expect[keyHolder] != "a" || expect[keyRoles] != "" {
		t.Errorf("expect = %v", expect)
	}
}

func TestALedgerOfForeignHands(t *testing.T) {
	upstream := []access.LinkedIncident{{ID: "Q1", Ref: "id:SPAY", Service: "SPAY"}}
	for _, tt := range []struct {
		name   string
		record string
		want   []access.LinkedIncident
		fails  bool
	}{
		{"no record", "", upstream, false},
		{"garbage", "{{", upstream, false},
		{"another shape", `[1,2]`, upstream, false},
		{"no version", `{"incidents":[{"id":"Q7"}]}`, upstream, false},
		{"a negative version", `{"v":-1,"incidents":[{"id":"Q7"}]}`, upstream, false},
		{"ours", `{"v":1,"incidents":[{"id":"Q7"}]}`, []access.LinkedIncident{{ID: "Q7"}}, false},
		{"ours with what a replica sees for itself", `{"v":1,"incidents":[{"id":"Q7","verified":true,"status":"resolved","merged_into":"Q8"}]}`,
			[]access.LinkedIncident{{ID: "Q7"}}, false},
		{"a newer one", `{"v":2,"incidents":[{"id":"Q7"}]}`, nil, true},
	} {
		got, err := parseLedger(map[string]string{keyRecord: tt.record, keyIncident: "Q1", keyService: "SPAY"})
		if (err != nil) != tt.fails || !reflect.DeepEqual(got.incidents, tt.want) {
			t.Errorf("%s: incidents %+v, error %v, want %+v", tt.name, got.incidents, err, tt.want)
		}
	}
}

func FuzzParseLedger(f *testing.F) {
	f.Add(`{"v":1,"incidents":[{"id":"Q1","ref":"payments","verified":true}],"upstream":true,"reopening":["Q1"]}`, "Q1", "SPAY", "2000-01-01T00:01:00Z", "dev,ops", "946684800")
	f.Add(`{"v":1,"incidents":[{"id":"Q1","reviews":3,"noted":true,"basis":true},{"ref":"nowhere"}],"reopening":[]}`, "Q1", "SPAY", "2000-01-01T00:01:00.5+01:00", "dev", "-1")
	f.Add(`{"v":2}`, "", "", "", "", "")
	f.Add(`{`, "", "S", "never", ",", "x")
	f.Fuzz(func(t *testing.T, record, incident, service, until, roles, created string) {
		raw := map[string]string{keyRecord: record, keyIncident: incident, keyService: service, keyUntil: until, keyRoles: roles, keyCreated: created,
			keyEffect: effectReopen, keyHolder: "a"}
		for _, value := range raw {
			if !utf8.ValidString(value) {
				return // gRPC lets no other text through
			}
		}
		l, err := parseLedger(raw)
		if err != nil {
			if !reflect.DeepEqual(l, ledger{}) {
				t.Errorf("an error beside what was read: %+v", l)
			}
			return
		}
		for _, i := range l.incidents {
			if i.Verified || i.Status != "" || i.AcknowledgedBy != nil || i.MergedInto != "" {
				t.Errorf("plugin data vouches for an incident: %+v", i)
			}
		}
		again, err := parseLedger(merged(raw, encode(l.request("id"), l.incidents, l.claim, l.upstream)))
		if err != nil || !reflect.DeepEqual(again.incidents, l.incidents) || again.upstream != l.upstream {
			t.Fatalf("written and read again: %+v, %v, want %+v", again, err, l)
		}
		if r, w := again.claim, l.claim; r.effect != w.effect || r.holder != w.holder || !slices.Equal(r.reopening, w.reopening) ||
			w.until.UTC().Year() >= 0 && r.until.Unix() != w.until.Unix() {
			t.Errorf("claim written and read again: %+v, want %+v", r, w)
		}
		if r, w := again.request("id"), l.request("id"); !reflect.DeepEqual(r, w) {
			t.Errorf("request written and read again: %+v, want %+v", r, w)
		}
	})
}
