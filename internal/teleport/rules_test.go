package teleport

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	headerv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/header/v1"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

// putRule makes a rule that notifies a plugin of the subjects, by default access requests.
func (b *bench) putRule(name, notifies string, subjects ...string) {
	if len(subjects) == 0 {
		subjects = []string{"access_request"}
	}
	b.cluster.PutRule(&rulesv1.AccessMonitoringRule{
		Metadata: &headerv1.Metadata{Name: name},
		Spec: &rulesv1.AccessMonitoringRuleSpec{
			Subjects: subjects, Condition: `access_request.spec.roles.contains("db")`,
			Notification: &rulesv1.Notification{Name: notifies, Recipients: []string{"payments", "shipping"}},
		},
	})
}

func names(rules []access.Rule) []string {
	var names []string
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return names
}

func TestListRulesGivesTheRulesThatNotifyPagerDutyOfAccessRequests(t *testing.T) {
	b := connected(t)
	b.putRule("slack", "slack")
	b.putRule("ours", "pagerduty", "user", "access_request")
	b.putRule("users", "pagerduty", "user")
	b.cluster.PutRule(&rulesv1.AccessMonitoringRule{Metadata: &headerv1.Metadata{Name: "bare"}})
	got, err := b.ListRules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []access.Rule{{Name: "ours", Condition: `access_request.spec.roles.contains("db")`, Recipients: []string{"payments", "shipping"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestListRulesReadsAllPagesAndFiltersWhereTheServerDoesNot(t *testing.T) {
	for name, faults := range map[string]func(*teleporttest.Server){
		"filter on the server": func(*teleporttest.Server) {},
		"no filter on the server": func(s *teleporttest.Server) {
			s.Fail("ListAccessMonitoringRulesWithFilter", teleporttest.Fault{Err: trace.NotImplemented("no"), Times: teleporttest.Always})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := connected(t)
			faults(b.cluster)
			var want []string
			for i := range 2*page + 1 {
				want = append(want, fmt.Sprintf("rule-%03d", i))
				b.putRule(want[i], "pagerduty")
			}
			b.putRule("a", "slack")
			got, err := b.ListRules(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(names(got), want) {
				t.Errorf("got %d rules, want %d: %v", len(got), len(want), names(got))
			}
		})
	}
}

func TestListRulesFailsWhenAPageFails(t *testing.T) {
	b := connected(t)
	for i := range page + 1 {
		b.putRule(fmt.Sprint(i), "pagerduty")
	}
	b.cluster.Fail("ListAccessMonitoringRulesWithFilter", teleporttest.Fault{})
	b.cluster.Fail("ListAccessMonitoringRulesWithFilter", teleporttest.Fault{Err: errors.New("page lost")})
	if got, err := b.ListRules(t.Context()); err == nil || access.IsPermanent(err) {
		t.Errorf("got %d rules and %v, want a failure to retry", len(got), err)
	}
}

func TestARefusalToListRulesSaysThatSomebodyHasToMendIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse func(*teleporttest.Server)
		denied bool
	}{
		{"no permission", func(s *teleporttest.Server) { s.Deny(user, teleporttest.ReadRules) }, true},
		{"no rules in this cluster", func(s *teleporttest.Server) { s.Switch(func(w *teleporttest.Switches) { w.NoRules = true }) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := connected(t)
			tt.refuse(b.cluster)
			_, err := b.ListRules(t.Context())
			if !access.IsPermanent(err) || errors.Is(err, access.ErrDenied) != tt.denied {
				t.Errorf("got %v, want a permanent failure, access.ErrDenied: %v", err, tt.denied)
			}
		})
	}
}
