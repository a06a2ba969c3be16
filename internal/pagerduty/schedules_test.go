package pagerduty

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const notOfThisKind = `{"error":{"message":"Invalid request","code":2001,"errors":{"schedule.type":["is not a v3 schedule"]}}}`

// rotas answers for schedules of both kinds: layers and shifts hold what is behind each kind's endpoints, by ID.
type rotas struct{ layers, shifts map[string]object }

func (s rotas) fake() *fake {
	list := func(of map[string]object) (int, string) {
		var all []object
		for _, id := range sortedKeys(of) {
			all = append(all, of[id])
		}
		return 200, encode(object{"schedules": append([]object{}, all...), "limit": 100, "offset": 0, "more": false})
	}
	one := func(of map[string]object, id string) (int, string) {
		if o, ok := of[id]; ok {
			return 200, encode(object{"schedule": o})
		}
		return 404, `{"error":{"message":"Not Found","code":2100}}`
	}
	return &fake{respond: func(r *http.Request) (int, string) {
		path, shiftBased := strings.CutPrefix(r.URL.Path, "/v3")
		id, single := strings.CutPrefix(path, "/schedules/")
		switch {
		case shiftBased && single && s.layers[id] != nil && s.shifts[id] == nil:
			return 400, notOfThisKind
		case shiftBased && single:
			return one(s.shifts, id)
		case shiftBased:
			return list(s.shifts)
		case single:
			return one(s.layers, id)
		}
		return list(s.layers)
	}}
}

func layerSchedule(id, name string, entries ...object) object {
	return object{"id": id, "type": "schedule", "name": name, "summary": name, "html_url": "https://acme.pagerduty.com/schedules/" + id,
		"final_schedule": object{"rendered_schedule_entries": append([]object{}, entries...)}}
}

func shiftSchedule(id, name string, assignments ...object) object {
	return object{"id": id, "type": "schedule_v3", "name": name, "html_url": "https://acme.eu.pagerduty.com/schedules/" + id,
		"final_schedule": object{"type": "final_schedule", "computed_shift_assignments": append([]object{}, assignments...)}}
}

func entryOf(user string, more object) object {
	return with(object{"user": object{"id": user, "type": "user_reference"}, "start": "2026-03-01T08:00:00-05:00", "end": "2026-03-08T08:00:00-05:00"}, more)
}

func assignmentOf(member object, more object) object {
	return with(object{"type": "computed_shift_assignment", "member": member, "start_time": "2026-03-01T13:00:00Z", "end_time": "2026-03-08T13:00:00Z"}, more)
}

func userMember(id string) object { return object{"type": "user_member", "user_id": id} }

func shiftOf(user access.UserID) access.Shift {
	return access.Shift{User: user, Start: instant("2026-03-01T13:00:00Z"), End: instant("2026-03-08T13:00:00Z")}
}

func TestSchedulesOfBothKindsAreReadByNameAndByID(t *testing.T) {
	r := rotas{
		layers: map[string]object{
			"PLAYER": layerSchedule("PLAYER", "Primary", entryOf("PANN", nil), entryOf("PBOB", object{"end": nil}), entryOf("", object{"user": nil})),
			"PX":     layerSchedule("PX", "Primary EU"),
		},
		shifts: map[string]object{
			"PSHIFT": shiftSchedule("PSHIFT", "Platform",
				assignmentOf(userMember("PANN"), nil), assignmentOf(userMember("PBOB"), nil),
				assignmentOf(object{"type": "empty_member"}, nil), assignmentOf(object{"type": "shadow_member", "user_id": "PEVE"}, nil)),
		},
	}
	endless := shiftOf("PBOB")
	endless.End = time.Time{}
	layered := access.Schedule{ID: "PLAYER", Name: "Primary", Account: "acme", Shifts: []access.Shift{shiftOf("PANN"), endless}}
	shifted := access.Schedule{ID: "PSHIFT", Name: "Platform", Account: "acme", Shifts: []access.Shift{shiftOf("PANN"), shiftOf("PBOB")}}
	for ref, want := range map[string]access.Schedule{"primary": layered, "id:PLAYER": layered, "PLATFORM": shifted, "id:PSHIFT": shifted} {
		f := r.fake()
		f.header = http.Header{"Date": {"Sun, 01 Mar 2026 13:00:00 GMT"}}
		got, now, err := f.start(t).Schedule(t.Context(), ref, time.Time{})
		if err != nil || !reflect.DeepEqual(got, want) || !now.Equal(instant("2026-03-01T13:00:00Z")) {
			t.Errorf("%s: got %+v at %v, %v, want %+v", ref, got, now, err, want)
		}
		q := f.query(-1)
		if q.Get("overflow") != "true" || q.Get("time_zone") != "UTC" || q.Get("since") != "2026-03-01T12:59:00Z" || q.Get("until") != "2026-03-01T13:01:00Z" {
			t.Errorf("%s: got query %v, want whole shifts around PagerDuty's now", ref, q)
		}
	}
}

func TestAScheduleThatIsUpgradedIsFoundAgain(t *testing.T) {
	old, upgraded := layerSchedule("PSCHED", "Primary", entryOf("PANN", nil)), shiftSchedule("PSCHED", "Primary", assignmentOf(userMember("PBOB"), nil))
	r := rotas{layers: map[string]object{"PSCHED": old}, shifts: map[string]object{}}
	f := r.fake()
	c := f.start(t)
	calls := 0
	ask := func(ref string, want access.UserID, more int) {
		t.Helper()
		got, _, err := c.Schedule(t.Context(), ref, time.Time{})
		calls += more
		if err != nil || len(got.Shifts) != 1 || got.Shifts[0].User != want || f.count() != calls {
			t.Errorf("%s: got %+v, %v after %d calls, want %s after %d", ref, got, err, f.count(), want, calls)
		}
	}
	ask("id:PSCHED", "PANN", 2) // the newer kind is asked for first
	ask("id:PSCHED", "PANN", 1) // the kind is known
	r.shifts["PSCHED"] = upgraded
	ask("Primary", "PBOB", 3) // in both lists
	delete(r.layers, "PSCHED")
	ask("id:PSCHED", "PBOB", 1)
	ask("Primary", "PBOB", 3)
	delete(r.shifts, "PSCHED")
	r.layers["PSCHED"] = old
	ask("id:PSCHED", "PANN", 2)
}

func TestNoScheduleTwoSchedulesAndNothingInBetween(t *testing.T) {
	r := rotas{
		layers: map[string]object{"P1": layerSchedule("P1", "Primary"), "P3": layerSchedule("P3", "Primary EU")},
		shifts: map[string]object{"P2": shiftSchedule("P2", "primary"), "P4": shiftSchedule("P4", "Platform 2")},
	}
	c := r.fake().start(t)
	_, _, err := c.Schedule(t.Context(), "PRIMARY", time.Time{})
	wantAmbiguous(t, err, "schedule")
	for _, ref := range []string{"Platform", "id:PNONE", "id:../users"} {
		if _, _, err := c.Schedule(t.Context(), ref, time.Time{}); !errors.Is(err, access.ErrNotFound) || !access.IsPermanent(err) {
			t.Errorf("%s: got %v, want a permanent ErrNotFound", ref, err)
		}
	}
}

func TestAScheduleThatCannotBeReadIsCouldNotTell(t *testing.T) {
	layers, shifts := map[string]object{}, map[string]object{}
	layer := func(name string, o object) { layers["P"+fmt.Sprint(len(layers))+"L"] = with(o, object{"why": name}) }
	shift := func(name string, o object) { shifts["P"+fmt.Sprint(len(shifts))+"S"] = with(o, object{"why": name}) }

	layer("no final schedule", object{})
	layer("final schedule null", object{"final_schedule": nil})
	layer("final schedule empty", object{"final_schedule": object{}})
	layer("entries null", object{"final_schedule": object{"rendered_schedule_entries": nil}})
	layer("entries of the other kind", object{"final_schedule": object{"computed_shift_assignments": []object{}}})
	for name, e := range map[string]object{
		"user without id":   entryOf("", nil),
		"no start":          entryOf("PANN", object{"start": nil}),
		"start a word":      entryOf("PANN", object{"start": "monday"}),
		"end a word":        entryOf("PANN", object{"end": "friday"}),
		"end the zero time": entryOf("PANN", object{"end": "0001-01-01T00:00:00Z"}),
		"no end":            {"user": object{"id": "PANN"}, "start": "2026-03-01T08:00:00Z"},
	} {
		layer(name, layerSchedule("", "Primary", entryOf("PBOB", nil), e))
	}
	shift("no final schedule", object{})
	shift("entries of the other kind", object{"final_schedule": object{"rendered_schedule_entries": []object{}}})
	for name, e := range map[string]object{
		"no member":         assignmentOf(nil, nil),
		"member of no kind": assignmentOf(object{"user_id": "PANN"}, nil),
		"user without id":   assignmentOf(object{"type": "user_member"}, nil),
		"start a number":    assignmentOf(userMember("PANN"), object{"start_time": 5}),
		"start empty":       assignmentOf(userMember("PANN"), object{"start_time": ""}),
		"no end":            {"member": userMember("PANN"), "start_time": "2026-03-01T08:00:00Z"},
	} {
		shift(name, shiftSchedule("", "Primary", e))
	}
	c := rotas{layers, shifts}.fake().start(t)
	for _, of := range []map[string]object{layers, shifts} {
		of["PLAST"] = layerSchedule("POTHER", "Primary")
		of["PLAST"]["why"] = "another schedule"
		for id, o := range of {
			if id != "PLAST" {
				o["id"] = id
			}
			got, now, err := c.Schedule(t.Context(), "id:"+id, time.Time{})
			if err == nil || failure(t, err).Class != access.Retry || errors.Is(err, access.ErrNotFound) || got.ID != "" || !now.IsZero() {
				t.Errorf("%s: got %+v, %v, want could not tell", o["why"], got, err)
			}
		}
		delete(of, "PLAST")
	}
}

func TestAScheduleThatChangesBetweenTwoAnswersIsCouldNotTell(t *testing.T) {
	notFound := func(string) (int, string) { return 404, `{"error":{"message":"Not Found","code":2100}}` }
	upgraded := func(path string) (int, string) { // after it was asked for as the newer kind
		if strings.HasPrefix(path, "/v3") {
			return 400, notOfThisKind
		}
		return notFound(path)
	}
	tests := []struct {
		name, ref string
		read      func(path string) (int, string)
	}{
		{"renamed", "Primary", func(string) (int, string) { return 200, encode(object{"schedule": layerSchedule("PSCHED", "Old")}) }},
		{"deleted", "Primary", notFound},
		{"upgraded", "Primary", upgraded},
		{"upgraded", "id:PSCHED", upgraded},
	}
	for _, tt := range tests {
		f := &fake{respond: func(r *http.Request) (int, string) {
			switch {
			case strings.HasSuffix(r.URL.Path, "PSCHED"):
				return tt.read(r.URL.Path)
			case r.URL.Path == "/schedules":
				return 200, encode(object{"schedules": []object{layerSchedule("PSCHED", "Primary")}, "offset": 0, "more": false})
			}
			return 200, `{"schedules":[],"offset":0,"more":false}`
		}}
		_, _, err := f.start(t).Schedule(t.Context(), tt.ref, time.Time{})
		if err == nil || failure(t, err).Class != access.Retry || errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s, asked for as %s: got %v, want Retry", tt.name, tt.ref, err)
		}
	}
}

func TestANamelessScheduleInEitherListIsCouldNotTell(t *testing.T) {
	for _, r := range []rotas{
		{layers: map[string]object{"P1": layerSchedule("P1", "Primary"), "P2": layerSchedule("P2", "")}},
		{layers: map[string]object{"P1": layerSchedule("P1", "Primary")}, shifts: map[string]object{"P2": shiftSchedule("P2", "")}},
		{layers: map[string]object{"P1": layerSchedule("P1", "Primary")}, shifts: map[string]object{"P2": shiftSchedule("", "Platform")}},
	} {
		if _, _, err := r.fake().start(t).Schedule(t.Context(), "Primary", time.Time{}); err == nil || failure(t, err).Class != access.Retry {
			t.Errorf("got %v, want Retry: that one may be of the same name", err)
		}
	}
}

func TestAScheduleWithoutDateIsCouldNotTell(t *testing.T) {
	f := rotas{layers: map[string]object{"PSCHED": layerSchedule("PSCHED", "Primary")}}.fake()
	f.header = http.Header{"Date": nil}
	if _, _, err := f.start(t).Schedule(t.Context(), "Primary", time.Time{}); err == nil || failure(t, err).Class != access.Retry {
		t.Errorf("got %v, want Retry", err)
	}
}

func TestASchedulesLookAheadIsLimitedAndByPagerDutysClock(t *testing.T) {
	date := instant("2026-03-01T13:00:00Z")
	for _, tt := range []struct {
		clock time.Duration // ours against PagerDuty's
		until time.Time
		want  string
	}{
		{0, date.Add(8 * time.Hour), "2026-03-01T21:00:00Z"},
		{0, date.AddDate(1, 0, 0), "2026-05-30T12:59:00Z"}, // 90 days
		{0, date.Add(-time.Hour), "2026-03-01T13:01:00Z"},
		{time.Hour, date.Add(8 * time.Hour), "2026-03-01T21:00:00Z"},
		{-48 * time.Hour, date.Add(-24 * time.Hour), "2026-03-01T13:01:00Z"},
	} {
		f := rotas{shifts: map[string]object{"PSCHED": shiftSchedule("PSCHED", "Primary")}}.fake()
		f.header = http.Header{"Date": {date.Format(http.TimeFormat)}}
		c := f.startWith(t, Config{now: func() time.Time { return date.Add(tt.clock) }})
		_, _, err := c.Schedule(t.Context(), "id:PSCHED", tt.until)
		q := f.query(-1)
		if err != nil || q.Get("since") != "2026-03-01T12:59:00Z" || q.Get("until") != tt.want || q.Get("include[]") != "final_schedule" {
			t.Errorf("clock off by %s, until %s: got query %v, %v, want it until %s", tt.clock, tt.until, q, err, tt.want)
		}
	}
}
