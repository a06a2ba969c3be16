package admin

import (
	"cmp"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// Verdict says in a few words where the request stands, and in a sentence why, where that is known: how it was decided,
// or what it still waits for.
func (r Request) Verdict() (verdict, why string) {
	var d access.Decision
	if r.Decision != nil {
		d = *r.Decision
	}
	reviewed := d.Verdict == access.Approve || d.Verdict == access.Already
	switch {
	case r.State == access.Approved && reviewed:
		return "approved automatically", d.Sentence
	case r.State != access.Pending:
		return cmp.Or(string(r.State), "not known"), r.ResolveReason
	case d.Verdict == "":
		return "not looked at yet", ""
	case d.Verdict == access.CouldNotTell:
		return "could not be evaluated", d.Sentence
	case !reviewed:
		return "not approved", d.Sentence
	case r.DryRun && d.Verdict == access.Approve:
		return "dry run, would be approved", d.Sentence
	}
	if i := slices.IndexFunc(d.Checks, func(c access.Check) bool { return c.Status != access.Passed }); i >= 0 {
		return "not approved yet", d.Checks[i].Sentence // all that an approval needs has passed: this is what became of the review
	}
	return "more approvals are needed", d.Sentence
}
