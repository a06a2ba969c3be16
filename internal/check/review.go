package check

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

const reviewsName = "Teleport reviews"

// reviews judges whether pdhook may approve. That a review of no request was not refused proves little, as Teleport
// may have looked for the request first: the roles have to allow it, too.
func (t *Teleport) reviews(tried trial) []Finding {
	switch err := tried.reviewing; {
	case errors.Is(err, access.ErrDenied) && t.DryRun:
		return []Finding{warning(reviewsName, "", "may not be submitted, which a dry run does not need: %v", err)}
	case errors.Is(err, access.ErrDenied) && strings.Contains(err.Error(), "MFA"):
		return []Finding{failed(reviewsName, "let tbot write the identity", "may not be submitted: %v", err)}
	case errors.Is(err, access.ErrDenied):
		return []Finding{failed(reviewsName, t.grantReviews(tried.roles, nil), "may not be submitted: %v", err)}
	case err != nil && !errors.Is(err, access.ErrNotFound):
		return []Finding{untried(reviewsName, err)}
	case tried.showing != nil:
		return []Finding{warning(reviewsName, "", "which reviews may be submitted is not seen: %v", tried.showing)}
	}
	reviewers := slices.DeleteFunc(slices.Clone(tried.roles), func(r access.OwnRole) bool { return len(r.Reviews) == 0 && !r.ByClaims })
	if len(reviewers) == 0 {
		return []Finding{failed(reviewsName, t.grantReviews(tried.roles, nil), "may not be submitted: no role of user %s has review_requests", t.User)}
	}
	var all []Finding
	for _, r := range reviewers {
		all = append(all, ok(reviewsName, "role %s allows them of requests for %s%s", r.Name, or(r.Reviews, "roles by its claims"), where(r)))
	}
	return append(all, t.unreviewable(tried.roles)...)
}

// unreviewable tells which of policy.auto_approve_roles could not be approved.
func (t *Teleport) unreviewable(own []access.OwnRole) []Finding {
	var missing []string
	for _, role := range t.Roles {
		if !reviewable(own, role) {
			missing = append(missing, role)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if slices.ContainsFunc(own, func(r access.OwnRole) bool { return r.ByClaims }) {
		return []Finding{warning(reviewsName, "", "whether claims allow those of %s is not seen", strings.Join(missing, ", "))}
	}
	return []Finding{failed(reviewsName, t.grantReviews(own, missing),
		"policy.auto_approve_roles names %s, whose requests user %s may not review", strings.Join(missing, ", "), t.User)}
}

// reviewable reports whether some role allows reviews of requests for a role, and none refuses them.
func reviewable(own []access.OwnRole, role string) bool {
	fits := func(pattern string) bool { return matches(pattern, role) }
	return slices.ContainsFunc(own, func(r access.OwnRole) bool { return slices.ContainsFunc(r.Reviews, fits) }) &&
		!slices.ContainsFunc(own, func(r access.OwnRole) bool { return slices.ContainsFunc(r.Refuses, fits) })
}

// matches compares as Teleport's roles do: a name, a name with "*" for anything, or an expression from "^" to "$".
func matches(pattern, name string) bool {
	if strings.HasPrefix(pattern, "^") && strings.HasSuffix(pattern, "$") {
		expression, err := regexp.Compile(pattern)
		return err == nil && expression.MatchString(name)
	}
	literal := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
	return regexp.MustCompile("^" + literal + "$").MatchString(name)
}

func where(r access.OwnRole) string {
	if r.Where == "" {
		return ""
	}
	return ", where " + r.Where
}

func or(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

// grantReviews says how to let pdhook review requests for roles, or for those that somebody has to choose.
func (t *Teleport) grantReviews(own []access.OwnRole, roles []string) string {
	if len(roles) == 0 {
		roles = t.Roles
	}
	comment := ""
	if len(roles) == 0 {
		roles, comment = []string{"ROLE"}, " # those that pdhook is to approve"
	}
	var quoted []string
	for _, r := range roles {
		quoted = append(quoted, fmt.Sprintf("%q", r))
	}
	return t.grant(own, fmt.Sprintf("    review_requests:\n      roles: [%s]%s", strings.Join(quoted, ", "), comment))
}
