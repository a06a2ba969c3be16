package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"
	"github.com/oasdiff/yaml"

	"github.com/pdhook/pdhook/internal/access"
)

var errMayNot = &access.Failure{Class: access.Permanent, Err: fmt.Errorf("%w: by the role", access.ErrDenied)}

// cluster is Teleport as a test wants it. It fails the test when something could have an effect.
type cluster struct {
	t     *testing.T
	tried trial
	none  error // why there is no connection
}

func (c cluster) Once(ctx context.Context, f func(context.Context)) (string, error) {
	if c.none != nil {
		return "mend it", c.none
	}
	f(ctx)
	return "", nil
}
func (c cluster) Met() (name, version string) { return "prod", "17.2.0" }
func (c cluster) List(context.Context) ([]access.Request, error) {
	return c.tried.requests, c.tried.listing
}
func (c cluster) TryWatch(context.Context) error { return c.tried.watching }
func (c cluster) ListRules(context.Context) ([]access.Rule, error) {
	return c.tried.rules, c.tried.ruling
}
func (c cluster) OwnRoles(context.Context) ([]access.OwnRole, error) {
	return c.tried.roles, c.tried.showing
}
func (c cluster) PluginData(_ context.Context, id access.RequestID) (map[string]string, error) {
	return nil, c.tried.reading
}

func (c cluster) UpdatePluginData(_ context.Context, id access.RequestID, set, expect map[string]string) error {
	for key, value := range set {
		if id != nowhere || value != "" || expect[key] == "" {
			c.t.Errorf("plugin data of %s would be set to %v where it is %v", id, set, expect)
		}
	}
	return c.tried.writing
}

func (c cluster) SubmitReview(_ context.Context, id access.RequestID, state access.State, _ string) (access.Request, error) {
	if id != nowhere || state == access.Approved {
		c.t.Errorf("request %s would be %s", id, state)
	}
	return access.Request{}, c.tried.reviewing
}

// allowed is how the calls go for a user who may do all.
func allowed() trial {
	gone := &access.Failure{Class: access.Permanent, Err: access.ErrNotFound}
	return trial{writing: gone, reviewing: gone, roles: []access.OwnRole{{Name: "other"}, {Name: "pdhook", Reviews: []string{"db-*"}, Where: "x"}}}
}

func TestEachMissingPermissionIsToldWithTheRoleThatAddsIt(t *testing.T) {
	broken := errors.New("EOF")
	const fine = "✓ Teleport requests: …0 requests"
	for _, c := range []struct {
		name string
		set  func(*trial, *Teleport)
		want []string // but for identity and connection
	}{
		{"all there", func(*trial, *Teleport) {},
			[]string{fine, "✓ Teleport plugin data", "✓ Teleport reviews: role pdhook …db-*, where x", "✓ Teleport rules: may be read; 0 access monitoring rules lead"}},
		{"watch", func(tr *trial, _ *Teleport) { tr.watching = errMayNot }, []string{"✗ Teleport requests: …tctl edit role/pdhook", "✓", "✓", "✓"}},
		{"plugin data of requests", func(tr *trial, _ *Teleport) { tr.reading = errMayNot }, []string{"✗ Teleport requests", "✓", "✓", "✓"}},
		{"broken list", func(tr *trial, _ *Teleport) { tr.listing = broken }, []string{"✗ Teleport requests: could not be tried: EOF", "✓", "✓", "✓"}},
		{"write", func(tr *trial, _ *Teleport) { tr.writing = errMayNot }, []string{fine, "✗ Teleport plugin data", "✓", "✓"}},
		{"write in a dry run", func(tr *trial, tp *Teleport) { tr.writing, tp.DryRun = errMayNot, true }, []string{fine, "! Teleport plugin data: …dry run", "✓", "✓"}},
		{"write that meets a value", func(tr *trial, _ *Teleport) { tr.writing = access.ErrConflict }, []string{fine, "✓", "✓", "✓"}},
		{"write without an answer", func(tr *trial, _ *Teleport) { tr.writing = broken }, []string{fine, "✗ …could not be tried", "✓", "✓"}},
		{"review", func(tr *trial, _ *Teleport) { tr.reviewing = errMayNot }, []string{fine, "✓", "✗ Teleport reviews: …review_requests…\"ROLE\"", "✓"}},
		{"review in a dry run", func(tr *trial, tp *Teleport) { tr.reviewing, tp.DryRun = errMayNot, true }, []string{fine, "✓", "! …dry run", "✓"}},
		{"review not refused, and no role allows any", func(tr *trial, _ *Teleport) { tr.roles = tr.roles[:1] }, []string{fine, "✓", "✗ …no role of user bot has review_requests…role/other", "✓"}},
		{"review not refused, and roles not shown", func(tr *trial, _ *Teleport) { tr.roles, tr.showing = nil, broken }, []string{fine, "✓", "! …not seen", "✓"}},
		{"review by claims", func(tr *trial, tp *Teleport) { tr.roles[0].ByClaims, tp.Roles = true, []string{"web"} },
			[]string{fine, "✓", "✓ …by its claims", "✓ …db-*", "! …web is not seen", "✓"}},
		{"review of a role to be approved", func(_ *trial, tp *Teleport) { tp.Roles = []string{"db-admin", "web", "db"} },
			[]string{fine, "✓", "✓", "✗ …web, db, whose…roles: [\"web\", \"db\"]", "✓"}},
		{"rules", func(tr *trial, _ *Teleport) { tr.ruling = errMayNot }, []string{fine, "✓", "✓", "! Teleport rules: …annotations alone…access_monitoring_rule"}},
		{"no rules in this cluster", func(tr *trial, _ *Teleport) { tr.ruling = &access.Failure{Class: access.Permanent, Err: broken} }, []string{fine, "✓", "✓", "✓ …has no access monitoring rules"}},
		{"broken rules", func(tr *trial, _ *Teleport) { tr.ruling = broken }, []string{fine, "✓", "✓", "✗ …could not be tried"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tried, tp := allowed(), teleportFor(t)
			c.set(&tried, tp)
			tp.Client = cluster{t: t, tried: tried}
			seen := tp.look(t.Context())
			wants(t, seen.findings, append([]string{"✓ Teleport identity", "✓ Teleport connection: cluster prod, version 17.2.0, at tp:443 as user bot"}, c.want...)...)
			for _, f := range seen.findings {
				if _, role, pasted := strings.Cut(f.Mend, "kind: role"); pasted {
					parses(t, "kind: role"+role)
				}
			}
		})
	}
}

func teleportFor(t *testing.T) *Teleport {
	return &Teleport{Client: cluster{t: t}, Addr: "tp:443", User: "bot", File: "/id", Expires: time.Now().Add(time.Hour), Overdue: time.Now().Add(time.Minute)}
}

// parses checks that Teleport's own types take a role, and that it grants something.
func parses(t *testing.T, text string) {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	var role types.RoleV6
	if err := errors.Join(decoder.Decode(&role), role.CheckAndSetDefaults()); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	rules, reviews := role.GetRules(types.Allow), role.GetAccessReviewConditions(types.Allow).Roles
	for _, r := range rules {
		if len(r.Resources) != 1 || len(r.Verbs) == 0 || slices.Contains(r.Verbs, types.Wildcard) {
			t.Errorf("got the rule %+v in\n%s", r, text)
		}
	}
	if role.GetKind() != types.KindRole || role.GetName() == "" || len(rules)+len(reviews) == 0 {
		t.Errorf("it grants nothing:\n%s", text)
	}
}

func TestPermissionsAreNotSeenWithoutAConnection(t *testing.T) {
	tp := teleportFor(t)
	tp.Client = cluster{none: errors.New("refused")}
	wants(t, tp.look(t.Context()).findings, "✓ Teleport identity", "✗ Teleport connection: cannot connect to tp:443: refused…mend it", "! Teleport permissions: not seen")
	tp.Expires = time.Now()
	wants(t, tp.look(t.Context()).findings, "✗ Teleport identity: user bot, expired at …--out=/id", "! Teleport permissions: not seen")
	tp.Err, tp.Client = errors.New("no identity"), nil
	wants(t, tp.look(t.Context()).findings, "✗ Teleport identity: no identity")
	tp = nil
	wants(t, tp.look(t.Context()).findings, "! Teleport: not checked: [teleport] has mistakes")
}

func TestRolesAreComparedAsTeleportDoes(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"db", "db", true}, {"db", "dba", false}, {"*", "any", true}, {"db-*", "db-admin", true}, {"db-*", "a-db-admin", false},
		{"d.", "db", false}, {"^d.$", "db", true}, {"^d.$", "dba", false}, {"^(d$", "d", false}, {"DB", "db", false},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%q and %q: got %v", c.pattern, c.name, got)
		}
	}
	own := []access.OwnRole{{Reviews: []string{"*"}}, {Refuses: []string{"root"}}}
	if reviewable(own, "root") || !reviewable(own, "web") {
		t.Error("a role that is refused may be reviewed, or another may not")
	}
}
