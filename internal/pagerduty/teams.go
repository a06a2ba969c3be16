package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// Team gives the team that ref means: a name, compared as those of services are, or "id:" and an ID. None:
// access.ErrNotFound; two of one name: *access.AmbiguousError.
func (c *Client) Team(ctx context.Context, ref string) (access.Team, error) {
	id, byID := strings.CutPrefix(ref, "id:")
	find := c.teamByName
	if byID {
		find = c.teamByID
	}
	t, err := find(WithPriority(ctx, Background), id)
	if err != nil {
		return access.Team{}, fmt.Errorf("looking up PagerDuty team %q: %w", id, err)
	}
	return t, nil
}

func (c *Client) teamByID(ctx context.Context, id string) (access.Team, error) {
	if !validID(id) {
		return access.Team{}, permanent(fmt.Errorf("no PagerDuty ID looks like %q: %w", id, access.ErrNotFound))
	}
	a, err := c.do(ctx, call{route: "GET /teams/{id}", path: "/teams/" + id, optional: true})
	if err != nil {
		return access.Team{}, err
	}
	t, err := part[reference](a, "team")
	if err != nil {
		return access.Team{}, err
	}
	if t.ID != id {
		return access.Team{}, a.unreadable(fmt.Errorf("team %q came instead of %q", t.ID, id))
	}
	return access.Team{ID: t.ID, Name: t.label()}, nil
}

func (c *Client) teamByName(ctx context.Context, name string) (access.Team, error) {
	if strings.TrimSpace(name) == "" {
		return access.Team{}, permanent(errors.New("an empty name is not looked up"))
	}
	q := call{route: "GET /teams", path: "/teams", query: url.Values{"query": {name}}, optional: true}
	listed, _, err := list[reference](ctx, c, q, "teams")
	if err != nil {
		return access.Team{}, err
	}
	found := map[string]access.Team{}
	for _, t := range listed {
		if access.SameName(t.Name, name) && validID(t.ID) {
			found[t.ID] = access.Team{ID: t.ID, Name: t.Name}
		}
	}
	return only("team", name, found)
}
