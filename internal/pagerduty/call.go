package pagerduty

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// call is one question or order to PagerDuty.
type call struct {
	route string // method and template, as metrics show it: "GET /incidents/{id}"
	path  string // the template filled in
	query url.Values
	body  any // nil for questions

	optional bool // a key without permission for it is no trouble with the connection
	bodiless bool // its answer holds nothing but its status
}

func (q call) method() string { return q.route[:strings.IndexByte(q.route, ' ')] }

func (q call) write() bool { return q.method() != http.MethodGet }

type routeKey struct{}

func routeOf(ctx context.Context) string {
	route, _ := ctx.Value(routeKey{}).(string)
	return route
}

// answer is a 2xx answer that is a JSON object, not yet looked into.
type answer struct {
	call   call
	date   time.Time // PagerDuty's clock; zero when the answer does not show it
	fields map[string]json.RawMessage
}

// do makes the call. Its error is an *access.Failure.
func (c *Client) do(ctx context.Context, q call) (answer, error) {
	a, err := c.exchange(ctx, q)
	if !errors.Is(ctx.Err(), context.Canceled) && !(q.optional && forbidden(err)) {
		c.health.ended(err)
	}
	return a, err
}

func (c *Client) exchange(ctx context.Context, q call) (answer, error) {
	if c.key() == "" {
		return answer{}, permanent(errors.New("pagerduty.api_key is empty"))
	}
	req, err := c.request(context.WithValue(ctx, routeKey{}, q.route), q)
	if err != nil {
		return answer{}, permanent(fmt.Errorf("making the request %s: %w", q.route, err))
	}
	resp, err := c.api.Do(req, false)
	if err != nil {
		return answer{}, unanswered(q, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // held in memory already, see transport
	if err != nil {
		return answer{}, unanswered(q, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return answer{}, c.refused(q, readRefusal(resp.StatusCode, body, c.key()))
	}
	a := answer{call: q}
	a.date, _ = http.ParseTime(resp.Header.Get("Date"))
	if q.bodiless {
		return a, nil
	}
	if err := json.Unmarshal(body, &a.fields); err != nil {
		return answer{}, a.unreadable(errors.New("it is no JSON object"))
	}
	return a, nil
}

func (c *Client) request(ctx context.Context, q call) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		data, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	address := c.endpoint + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method(), address, body)
	if err != nil {
		return nil, err
	}
	if q.write() {
		req.Header.Set("From", c.from)
	}
	return req, nil
}

// errUnreadable is why what a 2xx answer says could not be told.
var errUnreadable = errors.New("could not tell from PagerDuty's answer")

// unreadable is the error for a 2xx answer that does not hold what it should.
func (a answer) unreadable(err error) *access.Failure {
	return &access.Failure{
		Class:   access.Retry,
		Unclear: a.call.write(),
		Err:     fmt.Errorf("%w to %s: %w", errUnreadable, a.call.route, err),
	}
}

// part gives the member key of the answer, which must be there and not null.
func part[T any](a answer, key string) (T, error) {
	var it T
	raw, shown := a.fields[key]
	if !shown || string(raw) == "null" {
		return it, a.unreadable(fmt.Errorf("it has no %q", key))
	}
	if err := json.Unmarshal(raw, &it); err != nil {
		return it, a.unreadable(fmt.Errorf("reading %q: %w", key, err))
	}
	return it, nil
}

// PagerDuty gives at most 100 objects a page and none beyond the 10000th.
const (
	pageSize = 100
	maxList  = 10000
)

// list gives the member key of all pages, with the Date of the last one.
func list[T any](ctx context.Context, c *Client, q call, key string) ([]T, time.Time, error) {
	var all []T
	for offset := 0; offset+pageSize <= maxList; {
		q.query.Set("limit", strconv.Itoa(pageSize))
		q.query.Set("offset", strconv.Itoa(offset))
		a, err := c.do(ctx, q)
		if err != nil {
			return nil, time.Time{}, err
		}
		items, more, err := page[T](a, key, offset)
		if err != nil {
			return nil, time.Time{}, err
		}
		all = append(all, items...)
		if more == 0 {
			return all, a.date, nil
		}
		offset += more
	}
	return nil, time.Time{}, permanent(fmt.Errorf("PagerDuty lists more than %d objects on %s", maxList, q.route))
}

// page reads one page and by how much the offset grows to the next; 0: it was the last.
func page[T any](a answer, key string, offset int) (items []T, next int, err error) {
	if items, err = part[[]T](a, key); err != nil {
		return nil, 0, err
	}
	at, err := part[int](a, "offset")
	if err != nil {
		return nil, 0, err
	}
	more, err := part[bool](a, "more")
	if err != nil {
		return nil, 0, err
	}
	if at != offset {
		return nil, 0, a.unreadable(fmt.Errorf("the page at %d came instead of the one at %d", at, offset))
	}
	if len(items) == 0 && (more || offset > 0) {
		return nil, 0, a.unreadable(fmt.Errorf("the page at %d is empty", offset))
	}
	if !more {
		return items, 0, nil
	}
	if next, err = part[int](a, "limit"); err != nil {
		return nil, 0, err
	}
	if next < 1 || next > pageSize {
		return nil, 0, a.unreadable(fmt.Errorf("a page of %d objects", next))
	}
	return items, next, nil
}
