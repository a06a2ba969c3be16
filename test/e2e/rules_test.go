package e2e

import (
	"testing"

	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	headerv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/header/v1"
	"github.com/gravitational/teleport/api/types"
)

// rule is an Access Monitoring Rule that names PagerDuty services for requests.
func rule(name, condition string, services ...string) *rulesv1.AccessMonitoringRule {
	return &rulesv1.AccessMonitoringRule{
		Kind: types.KindAccessMonitoringRule, Version: types.V1, Metadata: &headerv1.Metadata{Name: name},
		Spec: &rulesv1.AccessMonitoringRuleSpec{
			Subjects: []string{types.KindAccessRequest}, Condition: condition,
			Notification: &rulesv1.Notification{Name: "pagerduty", Recipients: services},
		},
	}
}

func TestARuleNamesTheServicesToNotifyInsteadOfTheAnnotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.PutRule(rule("dana", `access_request.spec.user == "dana@example.com"`, "Search API"))
	w.start()
	routed := w.opened(w.request("dana@example.com", "payments-admin"))
	if routed.Service != w.search.ID {
		t.Errorf("got an incident on %s, want one on %s as the rule says", routed.Service, w.search.ID)
	}
	annotated := w.opened(w.request("eve@example.com", "payments-admin"))
	if annotated.Service != w.paymentsAPI.ID {
		t.Errorf("got an incident on %s, want one on %s as the annotation says", annotated.Service, w.paymentsAPI.ID)
	}
}

func TestARuleThatIsAddedLaterFindsARequestWithoutAnnotations(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	id := w.request("dana@example.com", "some-other-role")
	w.opened(w.request("eve@example.com", "payments-admin")) // came later, and is served
	w.teleport.PutRule(rule("others", `access_request.spec.roles.contains("some-other-role")`, "Search API"))
	if incident := w.opened(id); incident.Service != w.search.ID {
		t.Errorf("got an incident on %s, want one on %s", incident.Service, w.search.ID)
	}
	w.stays(id)
}

func TestARuleThatCannotBeReadMatchesNothingAndIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.PutRule(rule("broken", `access_request.spec.nonsense(`, "Search API"))
	w.start()
	incident := w.opened(w.request("dana@example.com", "payments-admin"))
	if incident.Service != w.paymentsAPI.ID {
		t.Errorf("got an incident on %s, want one on %s as the annotation says", incident.Service, w.paymentsAPI.ID)
	}
	if found := w.proc.find(func(l logLine) bool { return l.text("rule") == "broken" }); len(found) != 1 {
		t.Errorf("got %d log lines about the rule, want one", len(found))
	}
}

func TestWithoutRightsToReadRulesAnnotationsCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.teleport.Deny(bot, "access_monitoring_rule")
	w.start()
	if incident := w.opened(w.request("dana@example.com", "payments-admin")); incident.Service != w.paymentsAPI.ID {
		t.Errorf("got an incident on %s, want one on %s", incident.Service, w.paymentsAPI.ID)
	}
}
