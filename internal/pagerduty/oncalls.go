package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// How many users, or policies, one question may name, so that its address stays under the 8 KiB that web servers
// commonly take.
const (
	usersPerCall    = 250
	policiesPerCall = 180
)

type onCall struct {
	User     reference        `json:"user"`
	Policy   reference        `json:"escalation_policy"`
	Schedule maybe[reference] `json:"schedule"`
	Level    int              `json:"escalation_level"`
	Start    maybe[string]    `json:"start"`
	End      maybe[string]    `json:"end"`
}

// OnCalls gives the on-call entries of q's users on all policies: those that cover now, and with q.Until also
// those that begin by then (at most 90 days ahead). Now is PagerDuty's. An entry's user has no e-mail when
// PagerDuty left it out. No user and an empty ID are errors: PagerDuty would take them for everybody. A
// schedule that no policy uses has no entries here, see Schedule.
func (c *Client) OnCalls(ctx context.Context, q access.OnCallQuery) (entries []access.OnCall, now time.Time, err error) {
	if len(q.Users) == 1 { // others may ask for theirs at the same moment
		var d duty
		d, err = c.duties.get(ctx, q.Until.Round(0).UTC(), q.Users[0])
		entries, now = d.entries, d.now
	} else {
		entries, now, err = c.onCalls(ctx, q)
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("asking who is on call: %w", err)
	}
	return entries, now, nil
}

// duty is a part of the on-call entries as of PagerDuty's now.
type duty struct {
	entries []access.OnCall
	now     time.Time
}

// askDuties asks for the duty of several users, for all of them as far ahead.
func (c *Client) askDuties(ctx context.Context, until time.Time, users []access.UserID) (map[access.UserID]duty, error) {
	entries, now, err := c.onCalls(ctx, access.OnCallQuery{Users: users, Until: until})
	return divided(users, entries, now, func(e access.OnCall) access.UserID { return e.User.ID }), err
}

// askOnDuty asks who is on call right now for several policies.
func (c *Client) askOnDuty(ctx context.Context, _ struct{}, policies []access.PolicyID) (map[access.PolicyID]duty, error) {
	policyOf := func(e access.OnCall) access.PolicyID { return e.Policy }
	entries, now, err := c.listOnCalls(ctx, nil, "escalation_policy_ids[]", texts(unique(policies)),
		func(e access.OnCall) bool { return slices.Contains(policies, e.Policy) })
	return divided(policies, entries, now, policyOf), err
}

// divided gives each key its entries, of which there may be none.
func divided[K comparable](keys []K, entries []access.OnCall, now time.Time, keyOf func(access.OnCall) K) map[K]duty {
	all := map[K]duty{}
	for _, key := range keys {
		all[key] = duty{now: now}
	}
	for _, e := range entries {
		d := all[keyOf(e)]
		d.entries = append(d.entries, e)
		all[keyOf(e)] = d
	}
	return all
}

func (c *Client) onCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	if len(q.Users) == 0 || !allValid(q.Users) {
		return nil, time.Time{}, permanent(fmt.Errorf("users %q: PagerDuty IDs are needed", q.Users))
	}
	if !q.Until.After(c.pagerDutyNow()) {
		return c.onCallsIn(ctx, nil, q.Users)
	}
	return lookAhead(c, q.Until, func(s span) ([]access.OnCall, time.Time, error) {
		return c.onCallsIn(ctx, &s, q.Users)
	})
}

// onCallsIn asks for a span; nil: right now by PagerDuty's clock.
func (c *Client) onCallsIn(ctx context.Context, s *span, all []access.UserID) (entries []access.OnCall, now time.Time, err error) {
	seen := map[access.OnCall]bool{}
	for users := range slices.Chunk(unique(all), usersPerCall) {
		listed, date, err := c.onCallsOf(ctx, s, users)
		if err != nil {
			return nil, time.Time{}, err
		}
		now = date
		for _, e := range listed {
			// Pages that shift repeat entries; this is what tells entries apart.
			same := access.OnCall{User: access.User{ID: e.User.ID}, Policy: e.Policy, Level: e.Level, Schedule: e.Schedule, Start: e.Start}
			if !seen[same] {
				seen[same] = true
				entries = append(entries, e)
			}
		}
	}
	return entries, now, nil
}

func (c *Client) onCallsOf(ctx context.Context, s *span, users []access.UserID) ([]access.OnCall, time.Time, error) {
	return c.listOnCalls(ctx, s, "user_ids[]", texts(users), func(e access.OnCall) bool { return slices.Contains(users, e.User.ID) })
}

// OnDuty gives who is on call for a policy right now by PagerDuty's clock, at every level. It serves to explain a
// decision and to confirm a "no", never to approve, and yields to what does.
func (c *Client) OnDuty(ctx context.Context, policy access.PolicyID) (entries []access.OnCall, now time.Time, err error) {
	if !validID(policy) {
		return nil, time.Time{}, permanent(fmt.Errorf("policy %q is no PagerDuty ID", policy))
	}
	d, err := c.onDuty.get(WithPriority(ctx, Creation), struct{}{}, policy)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("asking who is on duty on policy %s: %w", policy, err)
	}
	return d.entries, d.now, nil
}

// listOnCalls asks with one filter, and applies it again to what comes back.
func (c *Client) listOnCalls(ctx context.Context, s *span, filter string, ids []string, asked func(access.OnCall) bool) ([]access.OnCall, time.Time, error) {
	q := call{route: "GET /oncalls", path: "/oncalls", query: url.Values{
		filter:      ids,
		"include[]": {"users"},
		"time_zone": {"UTC"},
	}}
	if s != nil {
		s.addTo(q.query)
	}
	listed, date, err := list[onCall](ctx, c, q, "oncalls")
	if err != nil {
		return nil, time.Time{}, err
	}
	a := answer{call: q}
	if date.IsZero() {
		return nil, time.Time{}, a.unreadable(errors.New("it has no Date: who is on call depends on the time"))
	}
	var entries []access.OnCall
	for _, o := range listed {
		e, err := o.entry()
		if err != nil {
			return nil, time.Time{}, a.unreadable(err)
		}
		if asked(e) {
			entries = append(entries, e)
		}
	}
	return entries, date.UTC(), nil
}

// entry reads an entry. Only a start that is shown to be null means "always": one that is left out is an
// error.
func (o onCall) entry() (access.OnCall, error) {
	e := access.OnCall{
		User: access.User{
			ID:      access.UserID(o.User.ID),
			Name:    o.User.label(),
			Email:   o.User.Email,
			Account: accountOf(o.User.HTMLURL),
		},
		Policy: access.PolicyID(o.Policy.ID),
		Level:  o.Level,
	}
	if e.User.ID == "" || e.Policy == "" || e.Level < 1 {
		return e, fmt.Errorf("an entry of user %q on policy %q at level %d", e.User.ID, e.Policy, e.Level)
	}
	if !o.Schedule.shown || !o.Start.shown || !o.End.shown {
		return e, fmt.Errorf("an entry of user %s lacks schedule, start or end", e.User.ID)
	}
	if s := o.Schedule.value; s != nil {
		if e.Schedule = access.ScheduleID(s.ID); e.Schedule == "" {
			return e, fmt.Errorf("an entry of user %s has a schedule without id", e.User.ID)
		}
		e.ShiftBased = strings.HasPrefix(s.Type, "schedule_v3")
	}
	var err error
	if o.Start.value != nil {
		if e.Start, err = parseTime(*o.Start.value); err != nil {
			return e, fmt.Errorf("reading the start of user %s: %w", e.User.ID, err)
		}
	}
	if o.End.value != nil {
		if e.End, err = parseTime(*o.End.value); err != nil {
			return e, fmt.Errorf("reading the end of user %s: %w", e.User.ID, err)
		}
	}
	return e, nil
}

func allValid[T ~string](ids []T) bool {
	return !slices.ContainsFunc(ids, func(id T) bool { return !validID(id) })
}
