package pagerduty

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// several opens n incidents.
func (a *account) several(t *testing.T, n int) (ids []access.IncidentID) {
	t.Helper()
	for i := range n {
		order := a.order()
		order.Key = access.IncidentKey(access.RequestID(fmt.Sprint(i)))
		opened, err := a.client.CreateIncident(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, opened.ID)
	}
	return ids
}

// crowded does something for each of n while PagerDuty takes its time, so that the first is served alone and the
// rest together. It gives how often a route was called.
func (a *account) crowded(n int, do func(i int), routes ...string) (calls []int) {
	before := map[string]int{}
	for _, route := range routes {
		before[route] = a.CountRequests(route)
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: 100 * time.Millisecond})
	defer a.ClearFaults()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
	for _, route := range routes {
		calls = append(calls, a.CountRequests(route)-before[route])
	}
	return calls
}

func TestIncidentsThatAreReadAtTheSameMomentAreReadAsTheyAre(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	ids := a.several(t, 30)
	a.Resolve(string(ids[3]), a.alice.ID)
	a.Acknowledge(string(ids[4]), a.bob.ID)
	other := a.AddService("Other", a.policy.ID)
	a.MoveIncident(string(ids[5]), a.alice.ID, other.ID)
	a.Merge(string(ids[6]), string(ids[7]), a.alice.ID)
	want := make([]access.Incident, len(ids))
	for i, id := range ids {
		var err error
		if want[i], err = a.client.Incident(t.Context(), id, ""); err != nil {
			t.Fatal(err)
		}
	}
	ids = append(ids, "QNONE")
	calls := a.crowded(len(ids), func(i int) {
		got, err := a.client.Incident(t.Context(), ids[i], access.ServiceID(a.payments.ID))
		switch {
		case ids[i] == "QNONE":
			if !errors.Is(err, access.ErrNotFound) {
				t.Errorf("got %v, want no such incident", err)
			}
		case err != nil || fmt.Sprint(got) != fmt.Sprint(want[i]):
			t.Errorf("incident %d: got %+v, %v, want %+v", i, got, err, want[i])
		}
	}, "GET /incidents", "GET /incidents/{id}")
	if calls[0] < 1 || calls[0]+calls[1] > 6 {
		t.Errorf("got %d lists and %d single reads, want one or two, and one for each that is not there", calls[0], calls[1])
	}
}

func TestIncidentsAmongManyOthersCostLittleMoreThanReadingThemAlone(t *testing.T) {
	others := make([]object, pageSize)
	for i := range others {
		others[i] = incidentObject(fmt.Sprintf("QOTHER%d", i), "key", "PSVC")
	}
	f := &fake{}
	f.respond = func(r *http.Request) (int, string) {
		time.Sleep(20 * time.Millisecond)
		if id, single := strings.CutPrefix(r.URL.Path, "/incidents/"); single {
			return 200, encode(object{"incident": incidentObject(id, "key", "PSVC")})
		}
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		return 200, encode(object{"incidents": others, "limit": pageSize, "offset": offset, "more": true})
	}
	c := f.start(t)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			id := access.IncidentID(fmt.Sprintf("Q%d", i))
			if got, err := c.Incident(t.Context(), id, "PSVC"); err != nil || got.ID != id {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if got := f.count(); got > 15 {
		t.Errorf("got %d calls for 10 incidents", got)
	}
}

func TestWhatPagerDutyDoesNotShowAsResolvedIsNot(t *testing.T) {
	f := &fake{}
	f.respond = func(r *http.Request) (int, string) {
		time.Sleep(20 * time.Millisecond)
		shown := func(id, status string) object {
			return with(incidentObject(id, "key", "PSVC"), object{"status": status})
		}
		if id, single := strings.CutPrefix(r.URL.Path, "/incidents/"); single {
			status := "resolved"
			if id == "QOPEN" {
				status = "triggered"
			}
			return 200, encode(object{"incident": shown(id, status)})
		}
		return 200, encode(object{"incidents": []object{shown("QDONE", "resolved"), shown("QOPEN", "triggered")}})
	}
	c := f.start(t)
	var wg sync.WaitGroup
	for _, id := range []access.IncidentID{"QFIRST", "QDONE", "QOPEN", "QLEFTOUT"} {
		wg.Go(func() {
			if err := c.Resolve(t.Context(), id); (err != nil) != (id == "QOPEN") || err != nil && !access.IsUnclear(err) {
				t.Errorf("incident %s: got %v", id, err)
			}
		})
	}
	wg.Wait()
}

func TestIncidentsThatEndAtTheSameMomentAreResolvedTogether(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	ids := a.several(t, 40)
	calls := a.crowded(len(ids), func(i int) {
		if err := a.client.Resolve(t.Context(), ids[i]); err != nil {
			t.Error(err)
		}
	}, "PUT /incidents", "PUT /incidents/{id}")
	a.wantResolved(t, ids...)
	if calls[0] < 1 || calls[0]+calls[1] > 4 {
		t.Errorf("got %d updates of several and %d of one, want a few", calls[0], calls[1])
	}
}

func (a *account) wantResolved(t *testing.T, ids ...access.IncidentID) {
	t.Helper()
	for _, i := range a.Incidents() {
		if resolved := i.Status == "resolved"; resolved != slices.Contains(ids, access.IncidentID(i.ID)) {
			t.Errorf("incident %s is %s", i.ID, i.Status)
		}
	}
}

func TestAnIncidentThatCannotBeResolvedStandsInNoOthersWay(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	ids := a.several(t, 20)
	a.Resolve(string(ids[7]), a.alice.ID) // PagerDuty refuses the whole update
	ids[8] = "QNONE"
	a.crowded(len(ids), func(i int) {
		err := a.client.Resolve(t.Context(), ids[i])
		if gone := errors.Is(err, access.ErrNotFound); gone != (i == 8) || !gone && err != nil {
			t.Errorf("incident %d: got %v", i, err)
		}
	})
	for _, i := range a.Incidents() {
		if slices.Contains(ids, access.IncidentID(i.ID)) && i.Status != "resolved" {
			t.Errorf("incident %s is %s", i.ID, i.Status)
		}
	}
}

func TestWhetherAnUpdateOfSeveralWasDoneIsUnclearToAllOfThem(t *testing.T) {
	for _, fault := range []pagerdutytest.Fault{
		{Kind: pagerdutytest.ResetAfter, Route: "PUT /incidents"},
		{Kind: pagerdutytest.StatusAfter, Status: http.StatusBadGateway, Route: "PUT /incidents"},
	} {
		a := newAccount(t, pagerdutytest.Options{})
		ids := a.several(t, 10)
		a.Fault(fault)
		a.crowded(len(ids), func(i int) {
			err := a.client.Resolve(t.Context(), ids[i])
			if err != nil && (!access.IsUnclear(err) || access.IsPermanent(err)) {
				t.Errorf("incident %d: got %v, want that nobody can tell", i, err)
			}
		})
		for _, id := range ids { // looking shows it, and doing it again does no harm
			if err := a.client.Resolve(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		a.wantResolved(t, ids...)
	}
}

func TestDutyThatIsAskedForAtTheSameMomentIsAnsweredAsIfAskedAlone(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	users := []access.UserID{access.UserID(a.alice.ID), access.UserID(a.bob.ID), access.UserID(a.bot.ID), "PNOBODY"}
	until := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	later := until.Add(-time.Hour)
	a.SetOnCall(a.primary.ID, a.bob.ID, later, until.Add(time.Hour))
	ask := func(i int) string {
		q := access.OnCallQuery{Users: []access.UserID{users[i%4]}}
		if i%3 > 0 {
			q.Until = until
		}
		entries, now, err := a.client.OnCalls(t.Context(), q)
		if err != nil || time.Since(now).Abs() > time.Minute {
			t.Errorf("got %v at %s", err, now)
		}
		return fmt.Sprint(entries)
	}
	want := map[int]string{}
	for i := range 12 {
		want[i] = ask(i)
	}
	calls := a.crowded(48, func(i int) {
		if got := ask(i); got != want[i%12] {
			t.Errorf("question %d: got %s, want %s", i, got, want[i%12])
		}
		policy := access.PolicyID(a.policy.ID)
		if i%2 > 0 {
			policy = "PUNKNOWN"
		}
		entries, _, err := a.client.OnDuty(t.Context(), policy)
		if err != nil || (len(entries) > 0) != (i%2 == 0) {
			t.Errorf("on duty on %s: got %+v, %v", policy, entries, err)
		}
	}, "GET /oncalls")
	if calls[0] > 12 {
		t.Errorf("asked %d times for 96 questions", calls[0])
	}
}

func TestAnEntryThatCannotBeReadConcernsItsUserAlone(t *testing.T) {
	entry := func(user string, more object) object {
		return with(object{"user": object{"id": user, "type": "user", "email": user + "@example.com"}, "escalation_policy": object{"id": "PPOL"},
			"escalation_level": 1, "schedule": nil, "start": nil, "end": nil}, more)
	}
	f := &fake{}
	f.respond = func(r *http.Request) (int, string) {
		time.Sleep(50 * time.Millisecond)
		var found []object
		for _, id := range r.URL.Query()["user_ids[]"] {
			more := object{}
			if id == "PBAD" {
				more["start"] = "soon"
			}
			found = append(found, entry(id, more))
		}
		return 200, encode(object{"oncalls": found, "limit": 100, "offset": 0, "more": false})
	}
	f.header = http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	c := f.start(t)
	users := []access.UserID{"PFIRST", "PGOOD", "PBAD", "PFINE"}
	var wg sync.WaitGroup
	for _, id := range users {
		wg.Go(func() {
			entries, _, err := c.OnCalls(t.Context(), access.OnCallQuery{Users: []access.UserID{id}})
			if bad := err != nil; bad != (id == "PBAD") || !bad && len(entries) != 1 {
				t.Errorf("user %s: got %+v, %v", id, entries, err)
			}
		})
	}
	wg.Wait()
}
