package pagerduty

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// Codes of PagerDuty's errors, https://developer.pagerduty.com/docs/errors. For an unknown From, both
// the documented code and the one that PagerDuty answers with are in use.
const (
	codeAlreadyResolved  = 1001
	codeUnknownFrom      = 1008
	codeNobodyOnCall     = 1015
	codeNotFound         = 2100
	codeUnknownFromToo   = 2017
	codeMissingAbility   = 2014
	codeFromMissing      = 2011
	codeProductLimit     = 2019
	codeScheduleNotFound = 3004
	codeIncidentNotFound = 5001
	codeServiceNotFound  = 5002
)

// errNotSent says that the call ended before anything of it was sent.
var errNotSent = errors.New("not sent")

func permanent(err error) *access.Failure {
	return &access.Failure{Class: access.Permanent, Err: err}
}

func errNoIncidentID() error {
	return permanent(fmt.Errorf("that is no PagerDuty ID: %w", access.ErrNotFound))
}

// refused classifies an answer outside 2xx, with a sentence that names what to mend.
func (c *Client) refused(q call, r *refusal) *access.Failure {
	switch {
	case r.status == http.StatusTooManyRequests:
		return &access.Failure{Class: access.Wait, NotBefore: c.budget.until(q.route), Err: r}
	case r.status == http.StatusRequestTimeout || r.status >= 500:
		return &access.Failure{Class: access.Retry, Unclear: q.write(), Err: r}
	case r.status < 400:
		f := permanent(fmt.Errorf("redirects are not followed; mend pagerduty.api_endpoint: %w", r))
		f.Unclear = q.write()
		return f
	case r.status == http.StatusUnauthorized:
		return permanent(fmt.Errorf("PagerDuty refused the API key (pagerduty.api_key): %w: %w", access.ErrDenied, r))
	case r.status == http.StatusPaymentRequired || r.code == codeMissingAbility:
		return permanent(fmt.Errorf("the PagerDuty account lacks the ability for this: %w: %w", access.ErrDenied, r))
	case r.status == http.StatusForbidden:
		return permanent(fmt.Errorf("the API key (pagerduty.api_key) has no permission for this: %w: %w", access.ErrDenied, r))
	case r.code == codeProductLimit:
		return permanent(fmt.Errorf("%w: %w", access.ErrLimit, r))
	case r.isNotFound():
		return permanent(fmt.Errorf("%w: %w", access.ErrNotFound, r))
	case r.status == http.StatusNotFound:
		return permanent(fmt.Errorf("is pagerduty.api_endpoint PagerDuty's? %w", r))
	case q.write() && r.blamesFrom():
		return permanent(fmt.Errorf("PagerDuty knows no user %s (pagerduty.user_email): %w: %w", c.from, access.ErrDenied, r))
	}
	return permanent(r)
}

// forbidden reports whether PagerDuty took the key, but not for this.
func forbidden(err error) bool {
	r, refused := errors.AsType[*refusal](err)
	return refused && (r.status == http.StatusForbidden || r.status == http.StatusPaymentRequired || r.code == codeMissingAbility)
}

// isNotFound asks for PagerDuty's own error object: a 404 of something in between proves nothing.
func (r *refusal) isNotFound() bool {
	return r.explained && (r.status == http.StatusNotFound ||
		slices.Contains([]int{codeNotFound, codeScheduleNotFound, codeIncidentNotFound, codeServiceNotFound}, r.code))
}

func (r *refusal) blamesFrom() bool {
	return slices.Contains([]int{codeUnknownFrom, codeUnknownFromToo, codeFromMissing}, r.code) ||
		r.says(`"from" header`) || r.says("requester user not found")
}

// unanswered classifies a call that got no whole answer.
func unanswered(q call, err error) *access.Failure {
	if f, ok := errors.AsType[*access.Failure](err); ok {
		return f // the rate limit's, see budget
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // without the address, whose query names people
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Source != nil {
		plain := *op
		plain.Source, err = nil, &plain // without our port, which differs each time
	}
	return &access.Failure{
		Class:   access.Retry,
		Unclear: q.write() && !neverSent(err),
		Err:     fmt.Errorf("no answer from PagerDuty to %s: %w", q.route, err),
	}
}

// neverSent reports whether err came before any byte of the request can have left.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	_, dns := errors.AsType[*net.DNSError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	return dns || certificate || errors.Is(err, errNotSent)
}
