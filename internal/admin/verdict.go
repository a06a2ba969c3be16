package admin

import (
	"cmp"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// Verdict says in a few words where the request stands: how it was decided, or why it still waits. The decision's
// sentence says why.
func (r Request) Verdict() string {
	byPdhook := r.Decision != nil && (r.Decision.Verdict == access.Approve || r.Decision.Verdict == access.Already)
	switch {
	case r.State == access.Approved && byPdhook:
		return "approved automatically"
	case r.State != access.Pending:
		return cmp.Or(string(r.State), "not known")
	case r.Decision == nil:
		return "not looked at yet"
	case r.Decision.Verdict == access.CouldNotTell:
		return "could not be evaluated"
	case !byPdhook:
		return "not approved"
	case r.DryRun && r.Decision.Verdict == access.Approve:
		return "dry run: would be approved"
	case slices.ContainsFunc(r.Decision.Checks, func(c access.Check) bool { return c.Status != access.Passed }):
		return "not approved: the review was not taken"
	}
	return "more approvals are needed"
}
