package teleport

import (
	"context"
	"slices"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/client/accessmonitoringrules"
	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
)

// nextRules reads a page of rules, from token on; the answer's token is "" after the last page.
type nextRules func(ctx context.Context, rules *accessmonitoringrules.Client, token string) ([]*rulesv1.AccessMonitoringRule, string, error)

// ListRules gives the Access Monitoring Rules that name services to notify of Access Requests. Both answers
// that only somebody's action can change are a Failure of class Permanent: access.ErrDenied, when the role
// of pdhook's user may not read rules, and that the cluster has none of them.
func (c *Client) ListRules(ctx context.Context) ([]access.Rule, error) {
	var all []*rulesv1.AccessMonitoringRule
	err := c.read(ctx, listTimeout, "listing access monitoring rules", func(ctx context.Context, t *client.Client) (err error) {
		rules := t.AccessMonitoringRulesClient()
		all, err = allRules(ctx, rules, filteredRules)
		if trace.IsNotImplemented(err) { // servers that have rules, but no filter yet
			all, err = allRules(ctx, rules, anyRules)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var ours []access.Rule
	for _, r := range all {
		if notifiesUs(r) {
			ours = append(ours, ruleOf(r))
		}
	}
	return ours, nil
}

func filteredRules(ctx context.Context, rules *accessmonitoringrules.Client, token string) ([]*rulesv1.AccessMonitoringRule, string, error) {
	return rules.ListAccessMonitoringRulesWithFilter(ctx, page, token, []string{types.KindAccessRequest}, plugin)
}

func anyRules(ctx context.Context, rules *accessmonitoringrules.Client, token string) ([]*rulesv1.AccessMonitoringRule, string, error) {
	return rules.ListAccessMonitoringRules(ctx, page, token)
}

func allRules(ctx context.Context, rules *accessmonitoringrules.Client, next nextRules) ([]*rulesv1.AccessMonitoringRule, error) {
	var all []*rulesv1.AccessMonitoringRule
	token := ""
	for {
		some, following, err := next(ctx, rules, token)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if following == "" {
			return all, nil
		}
		token = following
	}
}

// notifiesUs is the filter of the server once more: filters only save traffic.
func notifiesUs(r *rulesv1.AccessMonitoringRule) bool {
	return slices.Contains(r.GetSpec().GetSubjects(), types.KindAccessRequest) &&
		r.GetSpec().GetNotification().GetName() == plugin
}

func ruleOf(r *rulesv1.AccessMonitoringRule) access.Rule {
	return access.Rule{
		Name:       r.GetMetadata().GetName(),
		Condition:  r.GetSpec().GetCondition(),
		Recipients: slices.Clone(r.GetSpec().GetNotification().GetRecipients()),
	}
}
