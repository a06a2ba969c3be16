package teleport_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	headerv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/header/v1"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/teleport"
	"github.com/pdhook/pdhook/test/teleporttest"
)

const user = "bot-pdhook"

// cluster is a Teleport with a pending request for payments-admin, made by somebody with requester.yaml, and
// pdhook's client of it.
type cluster struct {
	*teleport.Client
	server  *teleporttest.Server
	request access.RequestID
}

// newCluster gives pdhook's user the rights of roles and nothing else.
func newCluster(t *testing.T, roles ...*types.RoleV6) *cluster {
	t.Helper()
	server, err := teleporttest.New(teleporttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	given := make([]types.Role, 0, len(roles))
	for _, r := range roles {
		given = append(given, r)
	}
	if err := server.SetUserRoles(user, given...); err != nil {
		t.Fatal(err)
	}
	identity := filepath.Join(t.TempDir(), "identity")
	if err := server.WriteIdentity(identity, user, teleporttest.IdentityOptions{}); err != nil {
		t.Fatal(err)
	}
	client, err := teleport.New(teleport.Config{Addr: server.Addr(), Identity: identity, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	tick, late := time.NewTicker(2*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !client.Status().Connected {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not connected: %s", client.Status().LastError)
		}
	}
	return &cluster{Client: client, server: server, request: ask(t, server)}
}

// ask makes a request with what the requester's role says of it.
func ask(t *testing.T, server *teleporttest.Server) access.RequestID {
	t.Helper()
	may := role(t, "requester.yaml").GetAccessRequestConditions(types.Allow)
	annotations := map[string][]string{}
	for key, values := range may.Annotations {
		annotations[key] = values
	}
	return access.RequestID(server.CreateRequest(teleporttest.Request{User: "kim@example.com", Roles: may.Roles, Annotations: annotations}))
}

// patience is for what comes at once or not at all; only a refusal that Teleport does not tell takes so long.
const patience = 20 * time.Second

// calls are what pdhook asks of Teleport, by the method of its client. Each fails when the answer is not what
// pdhook works with. WatchRules is Watch once more: Teleport leaves rules out of a watch without a word.
var calls = map[string]func(context.Context, *cluster) error{
	"List": func(ctx context.Context, c *cluster) error {
		return shows(c, func() ([]access.Request, error) { return c.List(ctx) })
	},
	"Get": func(ctx context.Context, c *cluster) error {
		return shows(c, func() ([]access.Request, error) { r, err := c.Get(ctx, c.request); return []access.Request{r}, err })
	},
	"Watch": func(ctx context.Context, c *cluster) error {
		return watch(ctx, c, func() { _ = c.server.Review(string(c.request), "lee@example.com", types.RequestState_DENIED, "") }, access.Put)
	},
	"WatchRules": func(ctx context.Context, c *cluster) error {
		return watch(ctx, c, func() {
			c.server.PutRule(&rulesv1.AccessMonitoringRule{Metadata: &headerv1.Metadata{Name: "rule"}})
			_ = c.server.Review(string(c.request), "lee@example.com", types.RequestState_DENIED, "")
		}, access.RulesChanged)
	},
	"PluginData": func(ctx context.Context, c *cluster) error { _, err := c.PluginData(ctx, c.request); return err },
	"UpdatePluginData": func(ctx context.Context, c *cluster) error {
		return c.UpdatePluginData(ctx, c.request, map[string]string{"incident_id": "P1"}, nil)
	},
	"SubmitReview": func(ctx context.Context, c *cluster) error {
		_, err := c.SubmitReview(ctx, c.request, access.Approved, "on call")
		return err
	},
	"TryWatch": func(ctx context.Context, c *cluster) error {
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		return c.TryWatch(ctx)
	},
	"ListRules": func(ctx context.Context, c *cluster) error { _, err := c.ListRules(ctx); return err },
}

// shows fails unless the request of somebody else is among those that are read.
func shows(c *cluster, read func() ([]access.Request, error)) error {
	requests, err := read()
	if err == nil && !slices.ContainsFunc(requests, func(r access.Request) bool { return r.ID == c.request }) {
		err = errors.New("the request is not shown")
	}
	return err
}

// watch makes something happen once the watch is confirmed, and fails unless its first change is of the kind.
func watch(ctx context.Context, c *cluster, happen func(), want access.ChangeKind) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	var first *access.Change
	err := c.Watch(ctx, happen, func(ch access.Change) {
		if first == nil {
			first = &ch
			stop()
		}
	})
	if first != nil && first.Kind == want {
		return nil
	}
	return fmt.Errorf("got %+v first; %w", first, err)
}

// refused tries each call with a cluster of its own and gives the names of those that fail.
func refused(t *testing.T, roles ...*types.RoleV6) []string {
	t.Helper()
	var names []string
	for name, call := range calls {
		if err := call(t.Context(), newCluster(t, roles...)); err != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestEachFeatureSetCoversItsCallsAndNoOthers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   []string
		refused []string
	}{
		{"notifications", []string{"role.yaml"}, []string{"ListRules", "SubmitReview", "WatchRules"}},
		{"and automatic approval", []string{"role.yaml", "role-approval.yaml"}, []string{"ListRules", "WatchRules"}},
		{"and rules", []string{"role.yaml", "role-rules.yaml"}, []string{"SubmitReview"}},
		{"everything", []string{"role.yaml", "role-approval.yaml", "role-rules.yaml"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var roles []*types.RoleV6
			for _, file := range tt.files {
				roles = append(roles, role(t, file))
			}
			if got := refused(t, roles...); !slices.Equal(got, tt.refused) {
				t.Errorf("with %s: got %q refused, want %q", strings.Join(tt.files, ", "), got, tt.refused)
			}
		})
	}
}

func TestNoRightIsMoreThanPdhookNeeds(t *testing.T) {
	needs := map[string][]string{ // right: the calls that fail without it
		"access_request list":         {"Get", "List", "PluginData"},
		"access_request read":         {"Get", "List", "PluginData", "TryWatch", "Watch", "WatchRules"},
		"access_plugin_data update":   {"UpdatePluginData"},
		"access_monitoring_rule list": {"ListRules"},
		"access_monitoring_rule read": {"ListRules", "WatchRules"},
		"review_requests":             {"SubmitReview"},
	}
	for _, file := range []string{"role.yaml", "role-approval.yaml", "role-rules.yaml"} {
		for right, without := range withoutOne(role(t, file)) {
			t.Run(right, func(t *testing.T) {
				t.Parallel()
				roles := []*types.RoleV6{without}
				for _, other := range []string{"role.yaml", "role-approval.yaml", "role-rules.yaml"} {
					// Whoever may review a request sees it: that must not stand in for the right to read requests.
					if other != file && (file != "role.yaml" || other != "role-approval.yaml") {
						roles = append(roles, role(t, other))
					}
				}
				want := slices.Clone(needs[right])
				if len(want) == 0 {
					t.Fatal("pdhook works without it")
				}
				if file == "role.yaml" {
					want = append(want, "SubmitReview")
					slices.Sort(want)
				}
				if got := refused(t, roles...); !slices.Equal(got, want) {
					t.Errorf("without %s: got %q refused, want %q", right, got, want)
				}
			})
		}
	}
}

// withoutOne gives for each right of a role the role without it.
func withoutOne(r *types.RoleV6) map[string]*types.RoleV6 {
	less := map[string]*types.RoleV6{}
	for i, rule := range r.Spec.Allow.Rules {
		for j, verb := range rule.Verbs {
			next := types.RoleV6{Kind: r.Kind, Version: r.Version, Metadata: r.Metadata, Spec: r.Spec}
			next.Spec.Allow.Rules = slices.Clone(r.Spec.Allow.Rules)
			next.Spec.Allow.Rules[i].Verbs = slices.Delete(slices.Clone(rule.Verbs), j, j+1)
			less[rule.Resources[0]+" "+verb] = &next
		}
	}
	if r.Spec.Allow.ReviewRequests != nil {
		next := types.RoleV6{Kind: r.Kind, Version: r.Version, Metadata: r.Metadata, Spec: r.Spec}
		next.Spec.Allow.ReviewRequests = nil
		less["review_requests"] = &next
	}
	return less
}

func TestApprovalIsLimitedToTheNamedServiceAndRole(t *testing.T) {
	c := newCluster(t, role(t, "role.yaml"), role(t, "role-approval.yaml"))
	for name, r := range map[string]teleporttest.Request{
		"another service": {Roles: []string{"payments-admin"}, Annotations: map[string][]string{"pagerduty_services": {"Shipping"}}},
		"no service":      {Roles: []string{"payments-admin"}},
		"another role":    {Roles: []string{"root"}, Annotations: map[string][]string{"pagerduty_services": {"Payments API"}}},
		"one role more":   {Roles: []string{"payments-admin", "root"}, Annotations: map[string][]string{"pagerduty_services": {"Payments API"}}},
	} {
		r.User = "kim@example.com"
		id := access.RequestID(c.server.CreateRequest(r))
		if after, err := c.SubmitReview(t.Context(), id, access.Approved, "on call"); !errors.Is(err, access.ErrDenied) {
			t.Errorf("%s: got %s and %v, want a refusal", name, after.State, err)
		}
	}
}

func TestEachCallOfTheClientIsTried(t *testing.T) {
	needNothing := []string{"Run", "Once", "OwnRoles"} // Teleport answers Ping to every user, and what roles it has
	client := reflect.TypeFor[*teleport.Client]()
	for method := range client.Methods() {
		takesContext := method.Type.NumIn() > 1 && method.Type.In(1) == reflect.TypeFor[context.Context]()
		if _, tried := calls[method.Name]; takesContext && !tried && !slices.Contains(needNothing, method.Name) {
			t.Errorf("%s calls Teleport: try it here, and give its right to a role", method.Name)
		}
	}
}
