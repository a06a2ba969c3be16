package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// logEntry is what pdhook reads of a log entry. The library's own type fails on odd ones.
type logEntry struct {
	Type    string           `json:"type"`
	Created string           `json:"created_at"`
	Agent   maybe[reference] `json:"agent"`
}

// Resolver gives the user who resolved the incident last, by its log entries; the zero User when no user did: a
// time-out, an integration, automation.
func (c *Client) Resolver(ctx context.Context, id access.IncidentID) (access.User, error) {
	who, err := c.resolver(WithPriority(ctx, Background), id)
	if err != nil {
		return access.User{}, fmt.Errorf("reading who resolved incident %q: %w", id, err)
	}
	return who, nil
}

func (c *Client) resolver(ctx context.Context, id access.IncidentID) (access.User, error) {
	if !validID(id) {
		return access.User{}, errNoIncidentID()
	}
	q := call{route: "GET /incidents/{id}/log_entries", path: "/incidents/" + string(id) + "/log_entries", query: url.Values{}}
	entries, _, err := list[logEntry](ctx, c, q, "log_entries")
	if err != nil {
		return access.User{}, err
	}
	who, err := lastResolver(entries)
	if err != nil {
		return access.User{}, answer{call: q}.unreadable(err)
	}
	return who, nil
}

// lastResolver finds the last resolution by its time: the order of log entries is not documented.
func lastResolver(entries []logEntry) (access.User, error) {
	var last maybe[reference]
	var at time.Time
	for _, e := range entries {
		if e.Type != "resolve_log_entry" {
			continue
		}
		created, err := parseTime(e.Created)
		if err != nil {
			return access.User{}, fmt.Errorf("reading when the incident was resolved: %w", err)
		}
		if created.After(at) {
			last, at = e.Agent, created
		}
	}
	if at.IsZero() {
		return access.User{}, errors.New("no log entry tells that the incident was resolved")
	}
	who, notShown := agentOf(last)
	if notShown {
		return access.User{}, errors.New("the log entry does not show who resolved the incident")
	}
	return who, nil
}
