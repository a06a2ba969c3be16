package teleporttest

import (
	"context"
	"maps"
	"slices"

	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
	"google.golang.org/protobuf/proto"
)

// PutRule creates or replaces an access monitoring rule. Metadata.Name is required; kind and version are
// filled in.
func (s *Server) PutRule(rule *rulesv1.AccessMonitoringRule) {
	stored := proto.CloneOf(rule)
	stored.Kind, stored.Version = types.KindAccessMonitoringRule, types.V1
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules[stored.GetMetadata().GetName()] = stored
	s.publish(types.Event{Type: types.OpPut, Resource: types.Resource153ToLegacy(stored)})
}

// DeleteRule removes a rule.
func (s *Server) DeleteRule(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.rules[name]; !ok {
		return trace.NotFound("access_monitoring_rule %q doesn't exist", name)
	}
	delete(s.rules, name)
	s.publishDelete(types.KindAccessMonitoringRule, types.V1, name)
	return nil
}

// ruleService answers Teleport's AccessMonitoringRulesService.
type ruleService struct {
	rulesv1.UnimplementedAccessMonitoringRulesServiceServer
	s *Server
}

// ListAccessMonitoringRules pages through all rules by name.
func (r *ruleService) ListAccessMonitoringRules(ctx context.Context, in *rulesv1.ListAccessMonitoringRulesRequest) (*rulesv1.ListAccessMonitoringRulesResponse, error) {
	rules, next, err := r.list(ctx, int(in.PageSize), in.PageToken, func(*rulesv1.AccessMonitoringRule) bool { return true })
	if err != nil {
		return nil, err
	}
	return &rulesv1.ListAccessMonitoringRulesResponse{Rules: rules, NextPageToken: next}, nil
}

// ListAccessMonitoringRulesWithFilter pages through the rules that have all the subjects and notify the
// named plugin.
func (r *ruleService) ListAccessMonitoringRulesWithFilter(ctx context.Context, in *rulesv1.ListAccessMonitoringRulesWithFilterRequest) (*rulesv1.ListAccessMonitoringRulesWithFilterResponse, error) {
	rules, next, err := r.list(ctx, int(in.PageSize), in.PageToken, func(rule *rulesv1.AccessMonitoringRule) bool {
		if in.NotificationName != "" && rule.GetSpec().GetNotification().GetName() != in.NotificationName {
			return false
		}
		return !slices.ContainsFunc(in.Subjects, func(subject string) bool {
			return !slices.Contains(rule.GetSpec().GetSubjects(), subject)
		})
	})
	if err != nil {
		return nil, err
	}
	return &rulesv1.ListAccessMonitoringRulesWithFilterResponse{Rules: rules, NextPageToken: next}, nil
}

func (r *ruleService) list(ctx context.Context, size int, start string, match func(*rulesv1.AccessMonitoringRule) bool) (rules []*rulesv1.AccessMonitoringRule, next string, err error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, "", err
	}
	if size <= 0 || size > maxPage {
		size = maxPage
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.switches.NoRules {
		return nil, "", trace.NotImplemented("access monitoring rules are not implemented")
	}
	if err := r.s.check(c.user, ReadRules, types.VerbList, types.VerbRead); err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(r.s.rules)) {
		if name < start || !match(r.s.rules[name]) {
			continue
		}
		if len(rules) == size {
			return rules, name, nil
		}
		rules = append(rules, r.s.rules[name])
	}
	return rules, "", nil
}
