package check

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Account is the PagerDuty account that the key belongs to.
type Account interface {
	User(ctx context.Context, email string) (access.User, error)
	Rights(ctx context.Context) []access.Right
	Subscriptions(ctx context.Context) ([]access.Subscription, error)
	Service(ctx context.Context, ref string) (access.Service, error)
	OnDuty(ctx context.Context, policy access.PolicyID) ([]access.OnCall, time.Time, error)
	Schedule(ctx context.Context, ref string, until time.Time) (access.Schedule, time.Time, error)
	// Refused reports whether the error says that the key was not taken at all.
	Refused(err error) bool
	// Measured gives the rate limit as last seen, 0 when it was not, and our clock minus PagerDuty's.
	Measured() (limit, remaining int, skew time.Duration)
	// Close lets go of idle connections.
	Close()
}

// PagerDuty is the section [pagerduty].
type PagerDuty struct {
	Err       error // why the key cannot be read; Client is nil then
	Client    Account
	Endpoint  string // api_endpoint
	Key       string // where the key is: a file, or what to call the one in the configuration
	UserEmail string // user_email
	Account   string // account; "": any
	Skew      time.Duration
}

// accountSeen is what PagerDuty showed.
type accountSeen struct {
	findings      []Finding
	usable        bool // it takes the key
	subscriptions []access.Subscription
	listing       error // why there are none
}

const keyName = "PagerDuty key"

func (p *PagerDuty) look(ctx context.Context) (seen accountSeen) {
	if p == nil {
		return accountSeen{findings: notChecked("PagerDuty", "pagerduty")}
	}
	if p.Client == nil {
		return accountSeen{findings: []Finding{failed(keyName, "", "%v", p.Err)}}
	}
	user, err := p.Client.User(ctx, p.UserEmail)
	unknown := errors.Is(err, access.ErrNotFound)
	if err != nil && !unknown {
		return accountSeen{findings: []Finding{p.unusable(err)}}
	}
	seen.usable = true
	var rights []access.Right
	var asking sync.WaitGroup
	asking.Go(func() { rights = p.Client.Rights(ctx) })
	asking.Go(func() { seen.subscriptions, seen.listing = p.Client.Subscriptions(ctx) })
	asking.Wait()

	limit, remaining, skew := p.Client.Measured()
	seen.findings = append(seen.findings, ok(keyName, "taken by %s%s", p.Endpoint, headRoom(limit, remaining)))
	seen.findings = append(seen.findings, p.owner(user, unknown)...)
	seen.findings = append(seen.findings, p.rights(rights, unknown)...)
	if skew.Abs() > p.Skew {
		seen.findings = append(seen.findings, warning("clock", "let NTP set the clock of this machine",
			"it differs from PagerDuty's by %s; PagerDuty's counts", skew.Abs().Round(time.Second)))
	}
	return seen
}

func headRoom(limit, remaining int) string {
	if limit == 0 {
		return ""
	}
	return fmt.Sprintf("; %d of %d calls are left in this window", remaining, limit)
}

// unusable tells why the first question was not answered.
func (p *PagerDuty) unusable(err error) Finding {
	switch {
	case p.Client.Refused(err):
		return failed(keyName, fmt.Sprintf("make one at %s (Integrations, API Access Keys; not read-only) and put it into %s\n%s", p.page("api_keys"), p.Key, p.region()),
			"%s does not take the key in %s", p.Endpoint, p.Key)
	case errors.Is(err, access.ErrDenied):
		return failed(keyName, fmt.Sprintf("make one that may at %s (Integrations, API Access Keys; not read-only) and put it into %s", p.page("api_keys"), p.Key),
			"the key in %s may not read users: %v", p.Key, err)
	case access.IsPermanent(err):
		return failed(keyName, "correct pagerduty.api_endpoint\n"+p.region(), "%s answers as PagerDuty does not: %v", p.Endpoint, err)
	}
	return failed(keyName, "correct pagerduty.api_endpoint, or let pdhook through to it: DNS, firewall, HTTPS_PROXY\n"+p.region(),
		"%s gives no useful answer: %v", p.Endpoint, err)
}

const (
	hostUS = "https://api.pagerduty.com"
	hostEU = "https://api.eu.pagerduty.com"
)

// region names the other service region: an account lives in one of them.
func (p *PagerDuty) region() string {
	if p.Endpoint == hostEU {
		return `if the pages of the account are not below eu.pagerduty.com, set pagerduty.api_endpoint = "` + hostUS + `"`
	}
	return `if the pages of the account are below eu.pagerduty.com, set pagerduty.api_endpoint = "` + hostEU + `"`
}

// page is a page of the account on PagerDuty's site.
func (p *PagerDuty) page(path string) string {
	account := p.Account
	if account == "" {
		account = "SUBDOMAIN"
	}
	if u, err := url.Parse(p.Endpoint); err == nil && strings.HasSuffix(u.Hostname(), ".eu.pagerduty.com") {
		account += ".eu"
	}
	return "https://" + account + ".pagerduty.com/" + path
}

// owner judges user_email and account.
func (p *PagerDuty) owner(user access.User, unknown bool) []Finding {
	const name, accountName = "PagerDuty user", "PagerDuty account"
	if unknown {
		return []Finding{failed(name,
			fmt.Sprintf("set pagerduty.user_email to the login e-mail of a user (%s), or a key of the account that has this user", p.page("users")),
			"nobody in the account logs in as %s: no incident could be opened", p.UserEmail)}
	}
	all := []Finding{ok(name, "incidents are opened as %s <%s>", user.Name, user.Email)}
	switch {
	case user.Account == "" && p.Account == "":
		return all
	case user.Account == "":
		return append(all, warning(accountName, "", "PagerDuty does not show it, so that it is not compared with %s", p.Account))
	case p.Account != "" && user.Account != p.Account:
		return append(all, failed(accountName,
			fmt.Sprintf("set pagerduty.account = %q, or make a key at %s and put it into %s", user.Account, p.page("api_keys"), p.Key),
			"the key belongs to account %s, and pagerduty.account is %s: nobody is approved", user.Account, p.Account))
	}
	return append(all, ok(accountName, "%s", user.Account))
}

// rights judges what the key may do. An unknown user_email makes a write fail, which is told already.
func (p *PagerDuty) rights(rights []access.Right, unknownUser bool) []Finding {
	const name = "PagerDuty rights"
	var all []Finding
	var may []string
	written := ""
	for _, r := range rights {
		switch {
		case r.Err == nil && r.Doing == access.WriteIncidents:
			written = "; a write was not refused"
		case r.Err == nil:
			may = append(may, r.Doing)
		case unknownUser && r.Doing == access.WriteIncidents:
		case errors.Is(r.Err, access.ErrDenied):
			all = append(all, failed(name,
				fmt.Sprintf("make a key that may, and is not read-only, at %s (Integrations, API Access Keys) and put it into %s", p.page("api_keys"), p.Key),
				"the key may not %s: %v", r.Doing, r.Err))
		default:
			all = append(all, warning(name, "try again", "whether the key may %s is not seen: %v", r.Doing, r.Err))
		}
	}
	if len(all) > 0 {
		return all
	}
	return []Finding{ok(name, "may %s%s", strings.Join(may, ", "), written)}
}
