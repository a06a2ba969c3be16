package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// Conclude completes the decision with what became of it: why a request waits although pdhook approves it or has
// reviewed it, as one more check, and who can decide it meanwhile. w is where the request stands after all effects;
// reviewFailed is why the review could not be submitted, or nil.
func Conclude(rules Rules, w Work, reviewFailed error) access.Decision {
	d := w.Decision
	if w.Request.State != access.Pending || d.Verdict == "" {
		return d
	}
	d.Instead = whoDecides(w.Request)
	if d.Verdict == access.Approve || d.Verdict == access.Already {
		c := checkReview(rules, w, reviewFailed)
		d.Checks = append(slices.Clone(d.Checks), c)
		if c.Status == access.Passed {
			d.Instead = "Teleport wants more reviews than pdhook's. " + d.Instead
		}
	}
	return d
}

// checkReview tells what became of pdhook's own review of a request that still waits.
func checkReview(rules Rules, w Work, failed error) access.Check {
	c := access.Check{Name: "review", Status: access.Failed}
	switch {
	case w.Decision.Verdict == access.Already, w.Link.Reviewed:
		c.Status = access.Passed
		c.Sentence = "pdhook has reviewed the request, and Teleport wants more reviews"
	case rules.DryRun:
		c.Sentence = "dry run: pdhook would approve the request, and changes nothing"
		c.Remedy = "an admin sets policy.dry_run = false, and reloads pdhook"
	case errors.Is(failed, access.ErrDenied):
		c.Sentence = fmt.Sprintf("Teleport refuses pdhook's review: %v", failed)
		c.Remedy = fmt.Sprintf("an admin lets the Teleport role of pdhook review %s: review_requests.roles names it, and review_requests.where holds for this request",
			strings.Join(w.Request.Roles, ", "))
	case failed != nil:
		c.Status = access.Unknown
		c.Sentence = fmt.Sprintf("the review could not be submitted: %v", failed)
		c.Remedy = "Teleport takes the review; pdhook tries again by itself"
	default:
		c.Status = access.Unknown
		c.Sentence = "the review was not submitted yet"
		c.Remedy = "pdhook tries again by itself"
	}
	return c
}

// whoDecides names who can decide a pending request while pdhook does not.
func whoDecides(req access.Request) string {
	suggested := ""
	if names := access.OneLine(strings.Join(req.SuggestedReviewers, ", "), fieldLimit); names != "" {
		suggested = " (suggested: " + names + ")"
	}
	return fmt.Sprintf("Whoever may review it in Teleport can decide it%s, also by: tsh request review --approve %s", suggested, req.ID)
}
