package pagerduty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	attemptTimeout = 10 * time.Second
	dialTimeout    = 5 * time.Second // below attemptTimeout, so that a failed dial is told from a lost answer
	maxBody        = 8 << 20         // the largest answers are 100 objects

	maxRepeats   = 2
	repeatWithin = 3 * time.Second // the last repeat begins by then
	firstDelay   = 200 * time.Millisecond
)

func defaultTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = dialTimeout
	t.MaxIdleConnsPerHost = 16
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: dialTimeout} // finds dead connections
	return t
}

// repeater makes questions again that got no answer or a passing error. Writes are sent once.
type repeater struct {
	next   *transport
	policy retrypolicy.RetryPolicy[*http.Response]
}

func newRepeater(next *transport, delay, within time.Duration) *repeater {
	return &repeater{next: next, policy: retrypolicy.NewBuilder[*http.Response]().
		HandleIf(passing).
		WithMaxRetries(maxRepeats).
		WithMaxDuration(within).
		WithBackoff(delay, 5*delay).
		WithJitterFactor(0.25).
		ReturnLastFailure().
		Build()}
}

// RoundTrip implements http.RoundTripper.
func (r *repeater) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet {
		return r.next.RoundTrip(req)
	}
	var resp *http.Response
	var err error
	return failsafe.With(r.policy).WithContext(req.Context()).Get(func() (*http.Response, error) {
		again, failed := r.next.RoundTrip(req)
		if made := resp != nil || err != nil; made && errors.Is(failed, errBlown) {
			return resp, err // what PagerDuty did says more than that it is not asked again
		}
		resp, err = again, failed
		return resp, err
	})
}

// CloseIdleConnections is what http.Client.CloseIdleConnections looks for.
func (r *repeater) CloseIdleConnections() {
	(&http.Client{Transport: r.next.next}).CloseIdleConnections()
}

// passing reports whether an attempt may go better in a moment. 429 is not for a moment.
func passing(resp *http.Response, err error) bool {
	if err != nil {
		_, held := errors.AsType[*access.Failure](err)
		return !held && !errors.Is(err, errNotSent)
	}
	return resp.StatusCode == http.StatusRequestTimeout || resp.StatusCode >= 500
}

// transport makes one attempt: in its turn, within the rate limit, with the key of the moment, within a time,
// and with the answer read to its end.
type transport struct {
	next    http.RoundTripper
	key     func() string
	timeout time.Duration
	gate    *gate
	fuses   *fuses
	mended  func() // called when PagerDuty answers again what it did not
	budget  *budget
	health  *health
	observe func(route string, code int)
	log     *slog.Logger
	now     func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, route := req.Context(), routeOf(req.Context())
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, context.Cause(ctx))
	}
	if err := t.gate.enter(ctx, priorityOf(ctx)); err != nil {
		return nil, err
	}
	leave := sync.OnceFunc(t.gate.leave)
	defer leave()
	defer time.AfterFunc(longestPlace, leave).Stop()
	probe, err := t.fuses.pass(route)
	if err != nil {
		return nil, err
	}
	if err := t.budget.take(route, priorityOf(ctx)); err != nil {
		t.fuses.givenUp(route, probe)
		return nil, err
	}
	began := t.now()
	resp, err := t.attempt(req)
	t.judge(ctx, route, probe, resp, err)
	after := t.now().Sub(began)
	if err != nil {
		t.budget.unanswered(route)
		if !errors.Is(ctx.Err(), context.Canceled) { // a caller who gave up says nothing about PagerDuty
			t.health.unanswered()
		}
		t.observe(route, 0)
		t.log.DebugContext(ctx, "PagerDuty did not answer", "route", route, "after", after)
		return nil, err
	}
	t.budget.answered(route, resp.StatusCode, resp.Header)
	skew, far := t.health.answered(t.now(), resp)
	t.observe(route, resp.StatusCode)
	t.log.DebugContext(ctx, "PagerDuty answered", "route", route, "code", resp.StatusCode, "after", after)
	if far {
		t.log.WarnContext(ctx, "The clock here differs from PagerDuty's; PagerDuty's counts", "ahead", skew.String())
	}
	return resp, nil
}

// judge tells gate and fuse how an attempt went.
func (t *transport) judge(ctx context.Context, route string, probe bool, resp *http.Response, err error) {
	switch {
	case err != nil && ctx.Err() != nil: // the caller had no patience
		t.fuses.givenUp(route, probe)
	case err != nil || passing(resp, nil):
		if t.fuses.failed(route, probe) {
			t.gate.narrow()
		}
	default:
		t.gate.widen()
		if t.fuses.answered(route) {
			t.mended()
		}
	}
}

func (t *transport) attempt(req *http.Request) (*http.Response, error) {
	late := fmt.Errorf("no whole answer within %s: %w", t.timeout, context.DeadlineExceeded)
	ctx, cancel := context.WithTimeoutCause(req.Context(), t.timeout, late)
	defer cancel()
	req = req.Clone(ctx)
	req.Header.Set("Authorization", "Token token="+t.key())

	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, withCause(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, withCause(ctx, fmt.Errorf("reading the answer: %w", err))
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxBody)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// withCause says whose patience ended, where that is why err happened.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() == nil || neverSent(err) {
		return err
	}
	return context.Cause(ctx)
}
