package teleporttest

import (
	"fmt"
	"slices"

	"github.com/gravitational/teleport/api/types"
	"github.com/vulcand/predicate"
)

// SetUserRoles gives user the rights of these roles and no others, rule by rule and verb by verb, as Teleport
// does; without it a user may do everything. Allow rules and review_requests count, with its where; what else
// is in the roles says nothing here. A where that cannot be understood is an error, and nothing changes.
func (s *Server) SetUserRoles(user string, roles ...types.Role) error {
	for _, role := range roles {
		if _, err := reviewable(role, new(types.AccessRequestV3)); err != nil {
			return fmt.Errorf("reading review_requests of role %s: %w", role.GetName(), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.userRoles[user] = slices.Clone(roles)
	return nil
}

// grants reports whether the roles of user, if they were set, allow verb on kind. The caller holds s.mu.
func (s *Server) grants(user, kind, verb string) bool {
	roles, set := s.userRoles[user]
	return !set || slices.ContainsFunc(roles, func(role types.Role) bool {
		return slices.ContainsFunc(role.GetRules(types.Allow), func(r types.Rule) bool {
			return r.HasResource(kind) && r.HasVerb(verb)
		})
	})
}

// reviewsAtAll reports whether user may review any request. The caller holds s.mu.
func (s *Server) reviewsAtAll(user string) bool {
	roles, set := s.userRoles[user]
	return !s.denied[grant{user, ReviewRequests}] && (!set || slices.ContainsFunc(roles, func(role types.Role) bool {
		return len(role.GetAccessReviewConditions(types.Allow).Roles) > 0
	}))
}

// covers reports whether each role that req asks for may be reviewed by one of roles.
func covers(roles []types.Role, req *types.AccessRequestV3) bool {
	var may []string
	for _, role := range roles {
		names, err := reviewable(role, req)
		if err != nil {
			return false // what cannot be evaluated covers nothing
		}
		may = append(may, names...)
	}
	return !slices.ContainsFunc(req.GetRoles(), func(role string) bool { return !slices.Contains(may, role) })
}

// reviewable gives the roles whose requests the holder of role may review, judging by where and req.
func reviewable(role types.Role, req *types.AccessRequestV3) ([]string, error) {
	conditions := role.GetAccessReviewConditions(types.Allow)
	if conditions.Where == "" {
		return conditions.Roles, nil
	}
	parser, err := predicate.NewParser(predicate.Def{
		Operators: predicate.Operators{AND: predicate.And, OR: predicate.Or, NOT: predicate.Not},
		Functions: map[string]any{"equals": predicate.Equals, "contains": predicate.Contains},
		GetIdentifier: func(selector []string) (any, error) {
			if len(selector) == 2 && selector[0] == "request" {
				switch selector[1] {
				case "roles":
					return req.GetRoles(), nil
				case "reason":
					return req.GetRequestReason(), nil
				case "system_annotations":
					return req.GetSystemAnnotations(), nil
				}
			}
			return nil, fmt.Errorf("where knows request.roles, request.reason and request.system_annotations here, not %q", selector)
		},
		GetProperty: predicate.GetStringMapValue,
	})
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(conditions.Where)
	if err != nil {
		return nil, err
	}
	holds, ok := parsed.(predicate.BoolPredicate)
	if !ok {
		return nil, fmt.Errorf("where is no condition: %s", conditions.Where)
	}
	if !holds() {
		return nil, nil
	}
	return conditions.Roles, nil
}
