package teleporttest

import (
	"context"
	"slices"

	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/mfa"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
	"google.golang.org/protobuf/types/known/emptypb"
)

// AdminRole is the role whose holders may set the state of requests and delete them. It is written into
// an identity by IdentityOptions.Roles.
const AdminRole = "admin"

// Permission is a right that users have unless Deny takes it or SetUserRoles leaves it out. The values are the
// words of Teleport's roles.
type Permission string

// The permissions.
const (
	ReadRequests    Permission = types.KindAccessRequest        // without it: no watch, no plugin data, and a list of what one may review
	ReviewRequests  Permission = "review_requests"              // without it: "cannot submit reviews"
	WritePluginData Permission = types.KindAccessPluginData     // UpdatePluginData
	ReadRules       Permission = types.KindAccessMonitoringRule // list and watch
	UseLocks        Permission = types.KindLock                 // everything on locks
)

type grant struct {
	user       string
	permission Permission
}

// Deny takes permissions from a user. Open watches go on.
func (s *Server) Deny(user string, permissions ...Permission) { s.setDenied(true, user, permissions) }

// Allow gives them back.
func (s *Server) Allow(user string, permissions ...Permission) { s.setDenied(false, user, permissions) }

func (s *Server) setDenied(denied bool, user string, permissions []Permission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range permissions {
		s.denied[grant{user, p}] = denied
	}
}

// LimitReviews lets user review only requests all of whose roles are among roles, as review_requests.roles
// of a Teleport role does. Without roles every request but the user's own may be reviewed again.
func (s *Server) LimitReviews(user string, roles ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reviewable[user] = roles
}

// check gives Teleport's refusal when user lacks one of the verbs of the permission. The caller holds s.mu.
func (s *Server) check(user string, p Permission, verbs ...string) error {
	for _, verb := range verbs {
		if s.denied[grant{user, p}] || !s.grants(user, string(p), verb) {
			return trace.AccessDenied("access denied to perform action %q on %q", verb, p)
		}
	}
	return nil
}

// callerWith gives the caller if he has the verbs of the permission.
func (s *Server) callerWith(ctx context.Context, p Permission, verbs ...string) (caller, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return caller{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return c, s.check(c.user, p, verbs...)
}

// checkAdmin lets administrators pass only, and nobody while RequireMFA is on.
func (s *Server) checkAdmin(ctx context.Context, verb string) error {
	c, err := callerOf(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(c.roles, AdminRole) {
		return trace.AccessDenied("access denied to perform action %q on %q", verb, types.KindAccessRequest)
	}
	return s.checkMFA()
}

// checkMFA refuses an admin action for want of a second factor.
func (s *Server) checkMFA() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.switches.RequireMFA {
		return trace.Wrap(&mfa.ErrAdminActionMFARequired)
	}
	return nil
}

// GetCurrentUserRoles tells the caller's own roles, for which no permission is needed. It is called as the user and
// says what Deny and LimitReviews have left.
func (a *authService) GetCurrentUserRoles(_ *emptypb.Empty, stream proto.AuthService_GetCurrentUserRolesServer) error {
	c, err := callerOf(stream.Context())
	if err != nil {
		return err
	}
	roles, err := a.s.rolesOf(c.user)
	if err != nil {
		return err
	}
	for _, role := range roles {
		if err := stream.Send(role); err != nil {
			return err
		}
	}
	return nil
}

// rolesOf gives the roles of user as SetUserRoles set them, else writes down what user may do as one.
func (s *Server) rolesOf(user string) (roles []*types.RoleV6, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set, ok := s.userRoles[user]; ok {
		for _, role := range set {
			roles = append(roles, role.(*types.RoleV6))
		}
		return roles, nil
	}
	var allow types.RoleConditions
	for _, p := range []Permission{ReadRequests, ReadRules} {
		if !s.denied[grant{user, p}] {
			allow.Rules = append(allow.Rules, types.NewRule(string(p), []string{types.VerbList, types.VerbRead}))
		}
	}
	if !s.denied[grant{user, WritePluginData}] {
		allow.Rules = append(allow.Rules, types.NewRule(types.KindAccessPluginData, []string{types.VerbUpdate}))
	}
	if !s.denied[grant{user, ReviewRequests}] {
		allow.ReviewRequests = &types.AccessReviewConditions{Roles: s.reviewable[user]}
		if len(allow.ReviewRequests.Roles) == 0 {
			allow.ReviewRequests.Roles = []string{types.Wildcard}
		}
	}
	role, err := types.NewRole(user, types.RoleSpecV6{Allow: allow})
	if err != nil {
		return nil, err
	}
	return []*types.RoleV6{role.(*types.RoleV6)}, nil
}

// mayReview reports whether roles let user review req. The caller holds s.mu.
func (s *Server) mayReview(user string, req *types.AccessRequestV3) bool {
	if user == req.GetUser() {
		return false
	}
	if set, ok := s.userRoles[user]; ok && !covers(set, req) {
		return false
	}
	roles := s.reviewable[user]
	return len(roles) == 0 || !slices.ContainsFunc(req.GetRoles(), func(role string) bool {
		return !slices.Contains(roles, role)
	})
}

// maySee reports whether a list shows req to user. The caller holds s.mu.
func (s *Server) maySee(user string, req *types.AccessRequestV3) bool {
	if user == req.GetUser() || s.check(user, ReadRequests, types.VerbList, types.VerbRead) == nil {
		return true
	}
	return s.reviewsAtAll(user) && s.mayReview(user, req)
}
