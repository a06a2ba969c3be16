// Package pagerduty asks PagerDuty's REST API and writes to it, in the words of internal/access. It
// promises that nothing is read into an answer that does not say it: an answer without the expected
// object, a page that is missing, a time that cannot be read, an object other than the one asked for is
// an error or left out, never "none". Every error it returns holds an *access.Failure that says whether
// another try can help, and whether a write may have been performed.
//
// All calls go through [pagerduty.Client.Do] of go-pagerduty with small structs of our own rather than
// through its typed calls. Those hide what the promise needs: the Date header, whether a list was absent
// or empty, and the cause of a transport error (wrapped with %v); they drop error texts of less usual
// shapes, fail on odd log entries, and lack the update of a single incident.
package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"github.com/pdhook/pdhook/internal/access"
)

// Config says which account to talk to, and as whom.
type Config struct {
	Endpoint  string                       // required: https://api.pagerduty.com or https://api.eu.pagerduty.com; plain http only to loopback
	From      string                       // required: login e-mail of the user in whose name incidents and notes are written
	Key       func() string                // required: the API key as of now; asked for each call, so that it can be replaced
	Account   func() string                // the subdomain of the account that the key must belong to, as of now; default: any. Run tells of another
	Recovered func(context.Context)        // called by Run when trouble that it told of has ended; may be nil
	Answering func()                       // called when PagerDuty answers again what it did not answer many times; may be nil
	Observe   func(route string, code int) // called after each attempt with the route's template and the HTTP status, 0: no answer; may be nil
	Log       *slog.Logger                 // default: discarded
	Transport http.RoundTripper            // default: http.DefaultTransport with shorter timeouts

	now func() time.Time
}

// Client speaks to one PagerDuty account. It may be used by several goroutines at once.
type Client struct {
	endpoint  string
	from      string
	key       func() string
	account   func() string
	recovered func(context.Context)
	log       *slog.Logger
	now       func() time.Time
	http      *http.Client
	api       *pagerduty.Client
	repeat    *repeater
	budget    *budget
	mended    chan struct{}
	health    *health
	bot       bot
	kinds     sync.Map // of schedules, by ID, as last seen: which endpoint to ask first

	people    gatherer[string, struct{}, access.User]
	services  gatherer[string, struct{}, access.Service]
	duties    gatherer[time.Time, access.UserID, duty]
	onDuty    gatherer[struct{}, access.PolicyID, duty]
	incidents gatherer[struct{}, placed, access.Incident]
	ends      gatherer[struct{}, access.IncidentID, struct{}]
}

// New checks cfg and makes a client. It calls nobody.
func New(cfg Config) (*Client, error) {
	endpoint, err := checkEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(cfg.From, "@") {
		return nil, fmt.Errorf("pagerduty.user_email %q is no e-mail address", cfg.From)
	}
	if cfg.Key == nil {
		return nil, errors.New("pagerduty.api_key is missing")
	}
	cfg = cfg.filled()
	c := &Client{
		endpoint:  endpoint,
		from:      cfg.From,
		key:       cfg.Key,
		account:   cfg.Account,
		recovered: cfg.Recovered,
		log:       cfg.Log,
		now:       cfg.now,
		budget:    newBudget(cfg.now),
		mended:    make(chan struct{}, 1),
		health:    &health{},
	}
	c.repeat = newRepeater(c.transport(cfg), firstDelay, repeatWithin)
	c.http = &http.Client{
		Transport: c.repeat,
		// A redirect is handed back as the answer, which is an error like any other outside 2xx: the
		// key must not travel to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.people.call = alone(c.findUser)
	c.services.call = alone(c.findService)
	c.duties.call, c.duties.most = c.askDuties, usersPerCall
	c.onDuty.call, c.onDuty.most = c.askOnDuty, policiesPerCall
	c.incidents.call, c.incidents.most = c.readIncidents, pageSize
	c.ends.call, c.ends.most, c.ends.write = c.resolveAll, resolvedPerCall, true
	c.api = pagerduty.NewClient("", pagerduty.WithAPIEndpoint(endpoint)) // the key is set for each attempt, see transport
	c.api.HTTPClient = c.http
	return c, nil
}

// filled gives cfg with the defaults of what is not set.
func (cfg Config) filled() Config {
	if cfg.Account == nil {
		cfg.Account = func() string { return "" }
	}
	if cfg.Recovered == nil {
		cfg.Recovered = func(context.Context) {}
	}
	if cfg.Answering == nil {
		cfg.Answering = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, int) {}
	}
	if cfg.Transport == nil {
		cfg.Transport = defaultTransport()
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	return cfg
}

// transport makes what a single attempt of a call goes through.
func (c *Client) transport(cfg Config) *transport {
	return &transport{
		next:    cfg.Transport,
		key:     cfg.Key,
		timeout: attemptTimeout,
		gate:    newGate(),
		fuses:   newFuses(cfg.now),
		mended: func() {
			cfg.Answering()
			select {
			case c.mended <- struct{}{}:
			default: // Run knows already
			}
		},
		budget:  c.budget,
		health:  c.health,
		observe: cfg.Observe,
		log:     cfg.Log,
		now:     cfg.now,
	}
}

// Close lets go of idle connections. The client stays usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status tells how the connection fares.
func (c *Client) Status() Status {
	s := c.health.snapshot()
	s.Limit, s.Remaining, s.Reset = c.budget.shown()
	if err := c.otherAccount(s.Account); err != nil && s.LastError == "" {
		s.LastError = err.Error()
	}
	return s
}

// checkEndpoint gives endpoint without trailing slashes, with which PagerDuty would see //incidents.
func checkEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(strings.TrimRight(endpoint, "/"))
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("pagerduty.api_endpoint %q is no address like https://api.pagerduty.com", endpoint)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return "", fmt.Errorf("pagerduty.api_endpoint %q must begin with https://", endpoint)
	}
	return u.String(), nil
}
