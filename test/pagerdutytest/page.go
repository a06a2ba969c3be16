package pagerdutytest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page cuts one page out of a list (https://developer.pagerduty.com/docs/pagination): limit is 25 unless
// told and 100 at most, beyond 10,000 entries nothing can be read, total is null unless asked for.
func page(c *call, name string, all []object) (answer, error) {
	return pageOf(c, name, all, 25, 100)
}

func pageOf(c *call, name string, all []object, limit, largest int) (answer, error) {
	limit, err := number(c.query, "limit", limit)
	if err != nil {
		return answer{}, err
	}
	offset, err := number(c.query, "offset", 0)
	if err != nil {
		return answer{}, err
	}
	limit = min(limit, largest)
	if limit < 1 || offset+limit > 10000 {
		return answer{}, invalid("Offset plus limit must be at most 10000")
	}
	start, end := min(offset, len(all)), min(offset+limit, len(all))
	body := object{"limit": limit, "offset": offset, "more": end < len(all), "total": nil}
	if c.query.Get("total") == "true" {
		body["total"] = len(all)
	}
	if !c.faults.losesPage(offset) {
		body[name] = append([]object{}, all[start:end]...)
	}
	return ok(body)
}

func number(q url.Values, name string, standard int) (int, error) {
	if !q.Has(name) {
		return standard, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 {
		return 0, invalid(name + " must be a number")
	}
	return n, nil
}

// wanted reports whether value passes a set filter such as statuses[]; an absent filter lets all pass.
func wanted(q url.Values, name, value string) bool {
	return !q.Has(name) || slices.Contains(q[name], value)
}

func including(q url.Values, name string) bool { return slices.Contains(q["include[]"], name) }

// containsFold is how PagerDuty's query parameters match (seen): a substring, ignoring case.
func containsFold(text, query string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(query))
}

// timeRange reads since and until, RFC 3339; code 2004 for a time that is none, 2005 for a range that ends
// before it starts.
func timeRange(q url.Values, since, until time.Time) (time.Time, time.Time, error) {
	for name, t := range map[string]*time.Time{"since": &since, "until": &until} {
		if !q.Has(name) {
			continue
		}
		given, err := time.Parse(time.RFC3339, q.Get(name))
		if err != nil {
			return since, until, badRequest(2004, "Invalid Since Or Until Parameter", name+" must be an ISO 8601 time")
		}
		*t = given
	}
	if until.Before(since) {
		return since, until, badRequest(2005, "Invalid Date Range", "until must not be before since")
	}
	return since, until, nil
}
