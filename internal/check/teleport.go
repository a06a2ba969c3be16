package check

import (
	"context"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Cluster is the user of a Teleport cluster that pdhook is.
type Cluster interface {
	// Once connects, calls f while calls work, and disconnects. An error says why there is no connection, hint what can
	// be done about it.
	Once(ctx context.Context, f func(context.Context)) (hint string, err error)
	// Met gives what the cluster told of itself.
	Met() (name, version string)
	List(ctx context.Context) ([]access.Request, error)
	TryWatch(ctx context.Context) error
	PluginData(ctx context.Context, id access.RequestID) (map[string]string, error)
	UpdatePluginData(ctx context.Context, id access.RequestID, set, expect map[string]string) error
	SubmitReview(ctx context.Context, id access.RequestID, state access.State, reason string) (access.Request, error)
	OwnRoles(ctx context.Context) ([]access.OwnRole, error)
	ListRules(ctx context.Context) ([]access.Rule, error)
}

// Teleport is the section [teleport], and what of the policy needs rights there.
type Teleport struct {
	Err     error   // why the credentials cannot be used; the fields below are not set then
	Client  Cluster //
	Addr    string
	User    string
	File    string // whose certificate expires
	Expires time.Time
	Overdue time.Time // from then on the certificate should have been renewed

	DryRun bool     // nothing is written to Teleport
	Roles  []string // policy.auto_approve_roles; nil: any
}

// clusterSeen is what Teleport showed.
type clusterSeen struct {
	findings []Finding
	requests []access.Request
	rules    []access.Rule
}

const (
	identityName   = "Teleport identity"
	connectionName = "Teleport connection"
)

func (t *Teleport) look(ctx context.Context) (seen clusterSeen) {
	if t == nil {
		return clusterSeen{findings: notChecked("Teleport", "teleport")}
	}
	identity := t.identity(time.Now())
	seen.findings = append(seen.findings, identity)
	if t.Client == nil {
		return seen
	}
	var tried trial
	hint, err := t.Client.Once(ctx, func(ctx context.Context) { tried = try(ctx, t.Client) })
	if err != nil {
		if identity.Status != Failed { // else that is why
			seen.findings = append(seen.findings, failed(connectionName, hint, "cannot connect to %s: %v", t.Addr, err))
		}
		seen.findings = append(seen.findings, warning("Teleport permissions", "", "not seen, as there is no connection"))
		return seen
	}
	name, version := t.Client.Met()
	seen.findings = append(seen.findings, ok(connectionName, "cluster %s, version %s, at %s as user %s", name, version, t.Addr, t.User))
	seen.findings = append(seen.findings, t.permissions(tried)...)
	seen.requests, seen.rules = tried.requests, tried.rules
	return seen
}

// identity judges the certificate.
func (t *Teleport) identity(now time.Time) Finding {
	const renew = "let tbot write it (output of type identity), or: tctl auth sign --user=%s --out=%s"
	end := t.Expires.UTC().Format(time.RFC3339)
	switch {
	case t.Err != nil:
		return failed(identityName, "", "%v", t.Err)
	case !now.Before(t.Expires):
		return failed(identityName, line(renew, []any{t.User, t.File}), "user %s, expired at %s", t.User, end)
	case !now.Before(t.Overdue):
		return warning(identityName, "does tbot run, and may it write there? "+line(renew, []any{t.User, t.File}),
			"user %s, valid until %s (%s left): it should have been renewed by now", t.User, end, left(t.Expires, now))
	}
	return ok(identityName, "user %s, valid until %s (%s left)", t.User, end, left(t.Expires, now))
}

// left is the time until end, in the unit that people would use.
func left(end, now time.Time) string {
	d := end.Sub(now)
	switch {
	case d >= 48*time.Hour:
		return plural(int(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return plural(int(d/time.Hour), "hour")
	}
	return plural(int(d/time.Minute), "minute")
}
