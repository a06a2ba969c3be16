package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// scheduleKind is one of PagerDuty's two kinds of schedules, written as the path of its endpoints. No endpoint
// knows both kinds. A schedule that is upgraded keeps its ID and changes the kind.
// https://support.pagerduty.com/main/docs/shift-based-schedules-api-upgrade-examples
type scheduleKind string

const (
	layerBased scheduleKind = "/schedules"
	shiftBased scheduleKind = "/v3/schedules"
)

func (k scheduleKind) other() scheduleKind {
	if k == layerBased {
		return shiftBased
	}
	return layerBased
}

// Schedule gives the schedule that ref means, of either kind: a name, compared whole with upper and lower case
// of ASCII letters being equal, or "id:" and an ID. Its shifts are those that cover now or begin by until (at
// most 90 days ahead), also when no escalation policy uses it. One that goes on beyond until may be shown to
// end there. Now is PagerDuty's. None: access.ErrNotFound; two of one name: *access.AmbiguousError.
func (c *Client) Schedule(ctx context.Context, ref string, until time.Time) (s access.Schedule, now time.Time, err error) {
	find := c.scheduleByName
	name, byID := strings.CutPrefix(ref, "id:")
	if byID {
		find = c.scheduleByID
	}
	if s, now, err = find(ctx, name, until); err != nil {
		return access.Schedule{}, time.Time{}, fmt.Errorf("looking up PagerDuty schedule %q: %w", ref, err)
	}
	return s, now, nil
}

func (c *Client) scheduleByID(ctx context.Context, id string, until time.Time) (access.Schedule, time.Time, error) {
	if !validID(id) {
		return access.Schedule{}, time.Time{}, permanent(fmt.Errorf("no PagerDuty ID looks like %q: %w", id, access.ErrNotFound))
	}
	kind := shiftBased
	if seen, ok := c.kinds.Load(id); ok {
		kind = seen.(scheduleKind)
	}
	return c.readSchedule(ctx, foundSchedule{id, kind}, until)
}

func (c *Client) scheduleByName(ctx context.Context, name string, until time.Time) (access.Schedule, time.Time, error) {
	named, err := c.schedulesNamed(ctx, name)
	if err != nil {
		return access.Schedule{}, time.Time{}, err
	}
	found, err := only("schedule", name, named)
	if err != nil {
		return access.Schedule{}, time.Time{}, err
	}
	s, now, err := c.readSchedule(ctx, found, until)
	switch {
	case errors.Is(err, access.ErrNotFound):
		return access.Schedule{}, time.Time{}, &access.Failure{Err: fmt.Errorf("schedule %s is listed and gone: %v", found.id, err)}
	case err == nil && !access.SameName(s.Name, name):
		return access.Schedule{}, time.Time{}, &access.Failure{Err: fmt.Errorf("schedule %s has become %q meanwhile", s.ID, s.Name)}
	}
	return s, now, err
}

type foundSchedule struct {
	id   string
	kind scheduleKind
}

// schedulesNamed looks through both lists, by ID. One that is in both was upgraded.
func (c *Client) schedulesNamed(ctx context.Context, name string) (map[string]foundSchedule, error) {
	if strings.TrimSpace(name) == "" {
		return nil, permanent(errors.New("an empty name is not looked up"))
	}
	found := map[string]foundSchedule{}
	for _, kind := range []scheduleKind{layerBased, shiftBased} {
		q := call{route: "GET " + string(kind), path: string(kind), query: url.Values{"query": {name}}}
		listed, _, err := list[reference](ctx, c, q, "schedules")
		if err != nil {
			return nil, err
		}
		for _, s := range listed {
			if s.ID == "" || s.Name == "" && s.Summary == "" {
				return nil, answer{call: q}.unreadable(errors.New("a schedule without id or name"))
			}
			if access.SameName(s.label(), name) {
				found[s.ID] = foundSchedule{s.ID, kind}
			}
		}
	}
	return found, nil
}

// readSchedule reads a schedule as the kind that it was found as and, where PagerDuty does not know it so, as
// the other.
func (c *Client) readSchedule(ctx context.Context, found foundSchedule, until time.Time) (access.Schedule, time.Time, error) {
	s, now, err := c.readScheduleAs(ctx, found.kind, found.id, until)
	if !isOfOtherKind(err) {
		return s, now, err
	}
	s, now, again := c.readScheduleAs(ctx, found.kind.other(), found.id, until)
	if isOfOtherKind(again) && !(errors.Is(err, access.ErrNotFound) && errors.Is(again, access.ErrNotFound)) {
		// To one of the two it is no schedule of that kind, which is not to say that there is none.
		return s, now, &access.Failure{Err: fmt.Errorf("PagerDuty shows the schedule as neither kind: %v; %v", err, again)}
	}
	return s, now, again
}

// isOfOtherKind reports whether PagerDuty refused a schedule as it refuses one of the other kind: with 400 where
// a shift-based one was asked for, else as not found.
func isOfOtherKind(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return refused && (r.status == http.StatusBadRequest || r.isNotFound())
}

func (c *Client) readScheduleAs(ctx context.Context, kind scheduleKind, id string, until time.Time) (access.Schedule, time.Time, error) {
	return lookAhead(c, until, func(s span) (access.Schedule, time.Time, error) {
		q := call{route: "GET " + string(kind) + "/{id}", path: string(kind) + "/" + id, query: url.Values{
			"time_zone": {"UTC"},
			"overflow":  {"true"}, // shifts with their own start and end, not cut where the span ends
		}}
		if kind == shiftBased {
			q.query.Set("include[]", "final_schedule")
		}
		s.addTo(q.query)
		a, err := c.do(ctx, q)
		if err != nil {
			return access.Schedule{}, time.Time{}, err
		}
		read, err := scheduleIn(a, kind, id)
		if err != nil {
			return access.Schedule{}, time.Time{}, err
		}
		c.health.saw(read.Account)
		c.kinds.Store(id, kind)
		return read, a.date.UTC(), nil
	})
}
