package check

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// account is PagerDuty as a test wants it.
type account struct {
	user     access.User
	err      error // of User
	refused  bool
	rights   []access.Right
	skew     time.Duration
	services map[string]access.Service
	levels   map[access.PolicyID][]int // people by level
	onShift  int
}

func (a account) User(context.Context, string) (access.User, error)            { return a.user, a.err }
func (a account) Rights(context.Context) []access.Right                        { return a.rights }
func (a account) Subscriptions(context.Context) ([]access.Subscription, error) { return nil, nil }
func (a account) Refused(error) bool                                           { return a.refused }
func (a account) Measured() (limit, remaining int, skew time.Duration)         { return 960, 950, a.skew }
func (a account) Close()                                                       {}
func (a account) Service(_ context.Context, ref string) (access.Service, error) {
	switch s, known := a.services[ref]; {
	case ref == "Twins":
		return s, &access.AmbiguousError{Kind: "service", Name: ref, IDs: []string{"P1", "P2"}}
	case ref == "Broken":
		return s, errors.New("503")
	case known:
		return s, nil
	}
	return access.Service{}, access.ErrNotFound
}

func (a account) OnDuty(_ context.Context, policy access.PolicyID) (entries []access.OnCall, now time.Time, err error) {
	for i, people := range a.levels[policy] {
		for n := range people {
			e := access.OnCall{User: access.User{ID: access.UserID(fmt.Sprint("U", n))}, Policy: policy, Level: i + 1}
			entries = append(entries, e, e) // through two schedules
		}
	}
	return entries, now, nil
}

func (a account) Schedule(_ context.Context, ref string, _ time.Time) (access.Schedule, time.Time, error) {
	if ref != "Everybody" {
		return access.Schedule{}, time.Time{}, access.ErrNotFound
	}
	now := time.Now()
	s := access.Schedule{Name: ref}
	for n := range a.onShift {
		s.Shifts = append(s.Shifts, access.Shift{User: access.UserID(fmt.Sprint("U", n)), Start: now.Add(-time.Hour), End: now.Add(time.Hour)})
	}
	s.Shifts = append(s.Shifts, access.Shift{User: "later", Start: now.Add(time.Hour)})
	return s, now, nil
}

func request(state access.State, services, notified, schedules string) access.Request {
	return access.Request{ID: "r1", State: state, Annotations: map[string][]string{"s": {services}, "n": {notified}, "d": {schedules}}}
}

func TestWhatIsNamedIsLookedUpAndItsPeopleAreCounted(t *testing.T) {
	pd := account{
		services: map[string]access.Service{"API": {Name: "API", Policy: "PP"}, "Web": {Name: "Web", Policy: "PP"}, "Small": {Name: "Small", Policy: "PS"}},
		levels:   map[access.PolicyID][]int{"PP": {1, 11, 28}, "PS": {10}}, onShift: 11,
	}
	const all = "✓ services and schedules: "
	for _, c := range []struct {
		name  string
		set   func(*Approval)
		seen  clusterSeen
		want  []string
		never bool // PagerDuty does not answer
	}{
		{name: "nothing", want: []string{all + "no request or rule names any…--service"}},
		{name: "few people", set: func(a *Approval) { a.Services = []string{"Small"} }, want: []string{all + "1 named"}},
		{name: "many people, told once of a policy", set: func(a *Approval) { a.Services = []string{"Web", "API"} },
			want: []string{"! …level 2 of policy PP of service API holds 11 people…policy.max_escalation_level = 1"}},
		{name: "many people on levels that count no more", set: func(a *Approval) { a.Services, a.MaxLevel = []string{"API"}, 1 }, want: []string{all}},
		{name: "only notified", seen: clusterSeen{requests: []access.Request{request(access.Pending, "", "API", "")}}, want: []string{all + "1 named"}},
		{name: "many people by a request", seen: clusterSeen{requests: []access.Request{request(access.Pending, "API", "API", "")}}, want: []string{"! …11 people"}},
		{name: "a schedule", seen: clusterSeen{requests: []access.Request{request(access.Pending, "", "", "Everybody")}}, want: []string{"! …schedule Everybody holds 11 people"}},
		{name: "unknown", seen: clusterSeen{requests: []access.Request{request(access.Pending, "Gone", "Twins", "Night")}, rules: []access.Rule{{Name: "route", Recipients: []string{"Typo"}}}},
			want: []string{`✗ …service "Gone", named by request r1…correct…id: and the ID can`, `✗ …schedule "Night"`, `✗ …"Twins"…several (P1, P2)…id:P1`, `✗ …"Typo", named by access monitoring rule route`}},
		{name: "unknown to a request that is decided", seen: clusterSeen{requests: []access.Request{request(access.Approved, "Gone", "", "")}}, want: []string{`! …"Gone"`}},
		{name: "unknown to both", seen: clusterSeen{requests: []access.Request{request(access.Approved, "GONE", "", ""), request(access.Pending, "", "Gone", "")}}, want: []string{`✗ …"Gone"`}},
		{name: "not answered", set: func(a *Approval) { a.Services = []string{"Broken"} }, want: []string{`! …"Broken"…not seen: 503`}},
		{name: "PagerDuty is away", set: func(a *Approval) { a.Services = []string{"API"} }, never: true, want: []string{"! …not seen"}},
		{name: "dry run", set: func(a *Approval) { a.DryRun = true }, want: []string{"! policy: a dry run changes nothing", all}},
		{name: "too many", set: func(a *Approval) {
			for i := range maxNamed + 1 {
				a.Services = append(a.Services, fmt.Sprint("A", i))
				pd.services[fmt.Sprint("A", i)] = access.Service{Policy: "PS"}
			}
		}, want: []string{"! …40 of 41 named are looked at", all}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Approval{Refs: func(r access.Request) (services, notified, schedules []string) {
				return full(r.Annotations["s"]), full(r.Annotations["n"]), full(r.Annotations["d"])
			}}
			if c.set != nil {
				c.set(&a)
			}
			p := &PagerDuty{Client: pd}
			wants(t, a.look(t.Context(), p, !c.never, c.seen), c.want...)
		})
	}
}

func full(values []string) []string {
	if values[0] == "" {
		return nil
	}
	return values
}
