package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

type service struct {
	reference
	Policy reference `json:"escalation_policy"`
}

// Service gives the service that ref means: a name, compared whole with upper and lower case of ASCII
// letters being equal, or "id:" and an ID. None: access.ErrNotFound; two of one name:
// *access.AmbiguousError.
func (c *Client) Service(ctx context.Context, ref string) (access.Service, error) {
	s, err := c.services.get(ctx, ref, struct{}{})
	if err != nil {
		return access.Service{}, fmt.Errorf("looking up PagerDuty service %q: %w", strings.TrimPrefix(ref, "id:"), err)
	}
	return s, nil
}

func (c *Client) findService(ctx context.Context, ref string) (access.Service, error) {
	if id, byID := strings.CutPrefix(ref, "id:"); byID {
		return c.serviceByID(ctx, id)
	}
	return c.serviceByName(ctx, ref)
}

func (c *Client) serviceByID(ctx context.Context, id string) (access.Service, error) {
	if !validID(id) {
		return access.Service{}, permanent(fmt.Errorf("no PagerDuty ID looks like %q: %w", id, access.ErrNotFound))
	}
	a, err := c.do(ctx, call{route: "GET /services/{id}", path: "/services/" + id})
	if err != nil {
		return access.Service{}, err
	}
	s, err := part[service](a, "service")
	if err != nil {
		return access.Service{}, err
	}
	if s.ID != id {
		return access.Service{}, a.unreadable(fmt.Errorf("service %q came instead of %q", s.ID, id))
	}
	return c.service(a, s)
}

func (c *Client) serviceByName(ctx context.Context, name string) (access.Service, error) {
	if strings.TrimSpace(name) == "" {
		return access.Service{}, permanent(errors.New("an empty name is not looked up"))
	}
	// query= matches substrings; name= has no documented rule on case.
	q := call{route: "GET /services", path: "/services", query: url.Values{"query": {name}}}
	listed, _, err := list[service](ctx, c, q, "services")
	if err != nil {
		return access.Service{}, err
	}
	found := map[string]access.Service{}
	for _, s := range listed {
		if s.Name == "" {
			return access.Service{}, answer{call: q}.unreadable(errors.New("a service without name"))
		}
		if !access.SameName(s.Name, name) {
			continue
		}
		if found[s.ID], err = c.service(answer{call: q}, s); err != nil {
			return access.Service{}, err
		}
	}
	return only("service", name, found)
}

func (c *Client) service(a answer, s service) (access.Service, error) {
	if s.ID == "" || s.Name == "" || s.Policy.ID == "" {
		return access.Service{}, a.unreadable(fmt.Errorf("service %q shows no id, name or escalation policy", s.Name))
	}
	account := accountOf(s.HTMLURL)
	c.health.saw(account)
	return access.Service{
		ID:      access.ServiceID(s.ID),
		Name:    s.Name,
		Policy:  access.PolicyID(s.Policy.ID),
		Account: account,
	}, nil
}
