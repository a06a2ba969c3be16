package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	maxLookAhead = 90 * 24 * time.Hour // PagerDuty's limit for until
	sinceMargin  = time.Minute         // since lies this far before now: Date counts whole seconds only

	// How many IDs one question may name, so that its address stays under the 8 KiB that web servers
	// commonly take.
	usersPerCall    = 150
	policiesPerCall = 75
)

type onCall struct {
	User     reference        `json:"user"`
	Policy   reference        `json:"escalation_policy"`
	Schedule maybe[reference] `json:"schedule"`
	Level    int              `json:"escalation_level"`
	Start    maybe[string]    `json:"start"`
	End      maybe[string]    `json:"end"`
}

// OnCalls gives the on-call entries of q's users on q's policies: those that cover now, and with q.Until
// also those that begin by then (at most 90 days ahead). Now is PagerDuty's. An entry's user has no
// e-mail when PagerDuty left it out. Empty lists and IDs are errors: PagerDuty would take them for
// everybody.
func (c *Client) OnCalls(ctx context.Context, q access.OnCallQuery) (entries []access.OnCall, now time.Time, err error) {
	if entries, now, err = c.onCalls(ctx, q); err != nil {
		return nil, time.Time{}, fmt.Errorf("asking who is on call: %w", err)
	}
	return entries, now, nil
}

func (c *Client) onCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	if len(q.Users) == 0 || len(q.Policies) == 0 || !allValid(q.Users) || !allValid(q.Policies) {
		return nil, time.Time{}, permanent(fmt.Errorf("users %q on policies %q: PagerDuty IDs are needed on both sides", q.Users, q.Policies))
	}
	since := c.pagerDutyNow().Add(-sinceMargin)
	entries, now, err := c.allOnCalls(ctx, q, since)
	if err == nil && !q.Until.IsZero() && since.After(now) {
		// The clock here is ahead, as the first answer shows: what ends between now and since is missing.
		entries, now, err = c.allOnCalls(ctx, q, now.Add(-sinceMargin))
	}
	return entries, now, err
}

// pagerDutyNow is the present by PagerDuty's clock as far as earlier answers tell.
func (c *Client) pagerDutyNow() time.Time { return c.now().Add(-c.health.snapshot().Skew) }

func (c *Client) allOnCalls(ctx context.Context, q access.OnCallQuery, since time.Time) (entries []access.OnCall, now time.Time, err error) {
	seen := map[access.OnCall]bool{}
	for users := range slices.Chunk(unique(q.Users), usersPerCall) {
		for policies := range slices.Chunk(unique(q.Policies), policiesPerCall) {
			part := access.OnCallQuery{Users: users, Policies: policies, Until: q.Until}
			listed, date, err := c.someOnCalls(ctx, part, since)
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
	}
	return entries, now, nil
}

func (c *Client) someOnCalls(ctx context.Context, asked access.OnCallQuery, since time.Time) ([]access.OnCall, time.Time, error) {
	q := call{route: "GET /oncalls", path: "/oncalls", query: url.Values{
		"user_ids[]":              texts(asked.Users),
		"escalation_policy_ids[]": texts(asked.Policies),
		"include[]":               {"users"},
		"time_zone":               {"UTC"},
	}}
	if asked.Until.After(since.Add(sinceMargin)) { // without since and until: right now
		until := asked.Until
		if last := since.Add(maxLookAhead); until.After(last) {
			until = last
		}
		q.query.Set("since", since.UTC().Format(time.RFC3339))
		q.query.Set("until", until.UTC().Format(time.RFC3339))
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
		if slices.Contains(asked.Users, e.User.ID) && slices.Contains(asked.Policies, e.Policy) {
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
