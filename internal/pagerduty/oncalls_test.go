package pagerduty

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func onCallObject(user string, level int) object {
	return object{
		"user":              with(userObject(user, strings.ToLower(user)+"@example.com"), object{}),
		"escalation_policy": object{"id": "PPOL", "type": "escalation_policy_reference"},
		"escalation_level":  level,
		"schedule":          object{"id": "PSCHED", "type": "schedule_reference"},
		"start":             "2026-03-01T08:00:00-05:00",
		"end":               "2026-03-08T08:00:00-05:00",
	}
}

func asked() access.OnCallQuery {
	return access.OnCallQuery{Users: []access.UserID{"PUSER"}}
}

func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UTC()
}

func TestOnCallEntriesAreReadInAllTheirShapes(t *testing.T) {
	user := access.User{ID: "PUSER", Name: "Name of PUSER", Email: "puser@example.com", Account: "acme"}
	start, end := instant("2026-03-01T13:00:00Z"), instant("2026-03-08T13:00:00Z")
	tests := []struct {
		name string
		more object
		want access.OnCall
	}{
		{"on a layer-based schedule", object{}, access.OnCall{User: user, Policy: "PPOL", Schedule: "PSCHED", Level: 2, Start: start, End: end}},
		{"on a shift-based schedule", object{"schedule": object{"id": "PV3", "type": "schedule_v3_reference"}}, access.OnCall{User: user, Policy: "PPOL", Schedule: "PV3", Level: 2, Start: start, End: end, ShiftBased: true}},
		{"directly", object{"schedule": nil, "start": nil, "end": nil}, access.OnCall{User: user, Policy: "PPOL", Level: 2}},
		{"without an end", object{"end": nil}, access.OnCall{User: user, Policy: "PPOL", Schedule: "PSCHED", Level: 2, Start: start}},
		{"with fractions of seconds", object{"start": "2026-03-01T13:00:00.250Z"}, access.OnCall{User: user, Policy: "PPOL", Schedule: "PSCHED", Level: 2, Start: start.Add(250 * time.Millisecond), End: end}},
		{"with a user not expanded", object{"user": object{"id": "PUSER", "type": "user_reference", "summary": "Ann"}}, access.OnCall{User: access.User{ID: "PUSER", Name: "Ann"}, Policy: "PPOL", Schedule: "PSCHED", Level: 2, Start: start, End: end}},
	}
	for _, tt := range tests {
		got, _, err := paged("oncalls", 100, with(onCallObject("PUSER", 2), tt.more)).start(t).OnCalls(t.Context(), asked())
		if err != nil || len(got) != 1 || got[0] != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestAnOnCallEntryThatCannotBeReadIsCouldNotTell(t *testing.T) {
	without := func(key string) object {
		o := onCallObject("PUSER", 1)
		delete(o, key)
		return o
	}
	changed := func(more object) object { return with(onCallObject("PUSER", 1), more) }
	tests := map[string]object{
		"no user":             without("user"),
		"no policy":           without("escalation_policy"),
		"no level":            without("escalation_level"),
		"no schedule":         without("schedule"),
		"no start":            without("start"),
		"no end":              without("end"),
		"level 0":             changed(object{"escalation_level": 0}),
		"level -1":            changed(object{"escalation_level": -1}),
		"level a text":        changed(object{"escalation_level": "1"}),
		"start a word":        changed(object{"start": "yesterday"}),
		"start empty":         changed(object{"start": ""}),
		"start without zone":  changed(object{"start": "2026-03-01T08:00:00"}),
		"end a number":        changed(object{"end": 1772000000}),
		"end the zero time":   changed(object{"end": "0001-01-01T00:00:00Z"}),
		"schedule without id": changed(object{"schedule": object{"type": "schedule_reference"}}),
	}
	for name, entry := range tests {
		got, now, err := paged("oncalls", 100, onCallObject("PUSER", 1), entry).start(t).OnCalls(t.Context(), asked())
		if err == nil || got != nil || !now.IsZero() || failure(t, err).Class != access.Retry {
			t.Errorf("%s: got %+v, %v, want Retry and nothing else", name, got, err)
		}
	}
}

func TestOnCallEntriesThatWereNotAskedForAreDropped(t *testing.T) {
	f := paged("oncalls", 2,
		onCallObject("POTHER", 1), onCallObject("PUSER", 3),
		with(onCallObject("POTHER", 2), object{"user": userObject("POTHER", "puser@example.com")}),
		onCallObject("puser", 1), onCallObject("PUSER", 1))
	got, _, err := f.start(t).OnCalls(t.Context(), asked())
	if err != nil || len(got) != 2 || got[0].Level != 3 || got[1].Level != 1 {
		t.Errorf("got %+v, %v, want the entries of PUSER at levels 3 and 1", got, err)
	}
	if f.count() != 3 {
		t.Errorf("got %d calls, want 3 pages", f.count())
	}
}

func TestAnEntryRepeatedByAShiftedPageCountsOnce(t *testing.T) {
	next := with(onCallObject("PUSER", 1), object{"start": "2026-03-15T13:00:00Z", "end": "2026-03-22T13:00:00Z"})
	f := paged("oncalls", 1,
		onCallObject("PUSER", 1),
		with(onCallObject("PUSER", 1), object{"start": "2026-03-01T13:00:00Z"}), // the same moment in another zone
		next)
	got, _, err := f.start(t).OnCalls(t.Context(), asked())
	if err != nil || len(got) != 2 {
		t.Errorf("got %+v, %v, want two entries", got, err)
	}
}

func TestOnCallsNowIsPagerDutysAndNeverGuessed(t *testing.T) {
	f := paged("oncalls", 100, onCallObject("PUSER", 1))
	f.header = http.Header{"Date": {"Sun, 01 Mar 2026 13:00:00 GMT"}}
	_, now, err := f.start(t).OnCalls(t.Context(), asked())
	if want := instant("2026-03-01T13:00:00Z"); err != nil || !now.Equal(want) {
		t.Errorf("got %v, %v, want %v", now, err, want)
	}
	if q := f.query(0); q.Has("since") || q.Has("until") {
		t.Errorf("got query %v, want neither since nor until: PagerDuty's own now counts", q)
	}
	for _, date := range []http.Header{{"Date": nil}, {"Date": {"soon"}}} {
		f.header = date
		if _, _, err := f.start(t).OnCalls(t.Context(), asked()); err == nil {
			t.Errorf("Date %v: got no error, want could not tell", date)
		}
	}
}

func TestOnCallsAsksForAllThatIsNeededAtOnce(t *testing.T) {
	f := paged("oncalls", 100)
	_, _, err := f.start(t).OnCalls(t.Context(), access.OnCallQuery{Users: []access.UserID{"PU2", "PU1", "PU2"}})
	q := f.query(0)
	if err != nil || f.count() != 1 || !slices.Equal(q["user_ids[]"], []string{"PU1", "PU2"}) ||
		q.Has("escalation_policy_ids[]") || !slices.Equal(q["include[]"], []string{"users"}) {
		t.Errorf("got %d calls, query %v, %v, want one call for all policies with each user once and users included", f.count(), q, err)
	}
}

func TestManyUsersAreAskedForInAddressesThatServersTake(t *testing.T) {
	var q access.OnCallQuery
	for i := range 2*usersPerCall + 1 {
		q.Users = append(q.Users, access.UserID(fmt.Sprintf("PUSER%09d", i)))
	}
	longest := 0
	f := &fake{respond: func(r *http.Request) (int, string) {
		longest = max(longest, len(r.RequestURI))
		entry := onCallObject(r.URL.Query().Get("user_ids[]"), 1)
		return 200, encode(object{"oncalls": []object{entry}, "offset": 0, "more": false})
	}}
	q.Until = time.Now().Add(time.Hour)
	got, _, err := f.start(t).OnCalls(t.Context(), q)
	if err != nil || len(got) != 3 || f.count() != 3 || longest > 8000 {
		t.Errorf("got %d entries in %d calls of up to %d bytes, %v, want 3 in 3 of at most 8000", len(got), f.count(), longest, err)
	}
}

func TestManyPoliciesAreAskedForInAddressesThatServersTake(t *testing.T) {
	longest := 0
	f := &fake{respond: func(r *http.Request) (int, string) {
		longest = max(longest, len(r.RequestURI))
		return 200, encode(object{"oncalls": []object{}, "offset": 0, "more": false})
	}}
	f.header = http.Header{"Date": {"Sun, 01 Mar 2026 13:00:00 GMT"}}
	c := f.start(t)
	var policies []access.PolicyID
	for i := range c.onDuty.most {
		policies = append(policies, access.PolicyID(fmt.Sprintf("PPOLICY%07d", i)))
	}
	if _, err := c.askOnDuty(t.Context(), struct{}{}, policies); err != nil || longest > 8000 {
		t.Errorf("got %v after an address of %d bytes, want at most 8000", err, longest)
	}
}

func TestLookingAheadIsByPagerDutysClock(t *testing.T) {
	date := instant("2026-03-01T13:00:00Z")
	serve := func(local time.Time) (*fake, *Client) {
		f := paged("oncalls", 100)
		f.header = http.Header{"Date": {date.Format(http.TimeFormat)}}
		return f, f.startWith(t, Config{now: func() time.Time { return local }})
	}
	ask := func(c *Client, until time.Time) {
		t.Helper()
		q := asked()
		q.Until = until
		if _, _, err := c.OnCalls(t.Context(), q); err != nil {
			t.Errorf("got %v, want no error", err)
		}
	}
	want := func(f *fake, calls int, since, until string) {
		t.Helper()
		q := f.query(-1)
		if f.count() != calls || q.Get("since") != since || q.Get("until") != until {
			t.Errorf("got %d calls, the last from %q until %q, want %d, %q, %q", f.count(), q.Get("since"), q.Get("until"), calls, since, until)
		}
	}

	f, c := serve(date)
	ask(c, date.Add(8*time.Hour))
	want(f, 1, "2026-03-01T12:59:00Z", "2026-03-01T21:00:00Z")

	ask(c, date.AddDate(1, 0, 0))
	want(f, 2, "2026-03-01T12:59:00Z", "2026-05-30T12:59:00Z") // 90 days

	ask(c, date)
	want(f, 3, "", "") // not ahead: now

	f, c = serve(date.Add(time.Hour)) // the clock here is ahead, which the first answer tells
	ask(c, date.Add(8*time.Hour))
	want(f, 2, "2026-03-01T12:59:00Z", "2026-03-01T21:00:00Z")
	ask(c, date.Add(8*time.Hour))
	want(f, 3, "2026-03-01T12:59:00Z", "2026-03-01T21:00:00Z")

	f, c = serve(date.Add(-2 * time.Hour)) // the clock here is behind: the span ended before PagerDuty's now
	ask(c, date.Add(-time.Hour))
	want(f, 2, "2026-03-01T12:59:00Z", "2026-03-01T13:01:00Z")
	ask(c, date.Add(-time.Hour))
	want(f, 3, "", "")
}

func TestAnswersThatDisagreeOnTheTimeAreCouldNotTell(t *testing.T) {
	f := paged("oncalls", 100)
	date := instant("2026-03-01T13:00:00Z")
	serve := f.respond
	f.respond = func(r *http.Request) (int, string) {
		date = date.Add(24 * time.Hour)
		f.header = http.Header{"Date": {date.Format(http.TimeFormat)}}
		return serve(r)
	}
	c := f.startWith(t, Config{now: func() time.Time { return date }})
	q := asked()
	q.Until = date.Add(time.Hour)
	if _, _, err := c.OnCalls(t.Context(), q); err == nil || failure(t, err).Class != access.Retry || f.count() != 2 {
		t.Errorf("got %v after %d calls, want could not tell after 2", err, f.count())
	}
}
