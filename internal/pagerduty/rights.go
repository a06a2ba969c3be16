package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/pdhook/pdhook/internal/access"
)

// questions are what pdhook reads, beside users, with the route to ask for the least of it.
var questions = []struct{ doing, route string }{
	{"read services", "GET /services"},
	{"read who is on call", "GET /oncalls"},
	{"read schedules", "GET /schedules"},
	{"read shift-based schedules", "GET /v3/schedules"},
	{"read incidents", "GET /incidents"},
}

// Rights tries what pdhook does in PagerDuty, side by side: each kind of question, and one write. That write is to
// an incident which does not exist, and would change nothing of one that does. A key that may not write is refused;
// that this one was not is all that can be told without opening an incident, as PagerDuty does not document what it
// looks at first.
func (c *Client) Rights(ctx context.Context) []access.Right {
	rights := make([]access.Right, len(questions)+1)
	var asking sync.WaitGroup
	for i, q := range questions {
		asking.Go(func() {
			_, err := c.do(ctx, call{
				route: q.route, path: strings.TrimPrefix(q.route, "GET "), query: url.Values{"limit": {"1"}}, optional: true,
			})
			rights[i] = access.Right{Doing: q.doing, Err: err}
		})
	}
	asking.Go(func() { rights[len(questions)] = access.Right{Doing: access.WriteIncidents, Err: c.tryWriting(ctx)} })
	asking.Wait()
	return rights
}

// nowhere has the form of an incident's ID.
const nowhere = "Q0PDHOOKCHECK0"

func (c *Client) tryWriting(ctx context.Context) error {
	_, err := c.do(ctx, call{
		route: "PUT /incidents/{id}", path: "/incidents/" + nowhere, optional: true,
		body: map[string]any{"incident": map[string]string{"type": "incident_reference"}},
	})
	if err == nil {
		return fmt.Errorf("PagerDuty answered for incident %s, which does not exist", nowhere)
	}
	if errors.Is(err, access.ErrNotFound) {
		return nil
	}
	return err
}

// KeyRefused reports whether PagerDuty did not take the key at all.
func KeyRefused(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return refused && r.status == http.StatusUnauthorized
}
