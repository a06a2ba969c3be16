package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// Verdict says in a few words where the request stands, and in a sentence why, where that is known: how it was approved
// automatically, or what it still waits for.
func (r Request) Verdict() (verdict, why string) {
	var d access.Decision
	if r.Decision != nil {
		d = *r.Decision
	}
	switch {
	case r.State == access.Approved && r.Reviewed:
		return "Approved automatically", reason(d)
	case r.State != access.Pending:
		return cmp.Or(capital(string(r.State)), "Not known"), ""
	case r.needsMore():
		return "Reviewed automatically, but more approvals are needed", reason(d)
	case d.Verdict == "":
		return "Not looked at yet", ""
	case d.Verdict == access.CouldNotTell:
		return "Could not be evaluated", d.Sentence
	case d.Verdict != access.Approve:
		return "Not approved automatically", d.Sentence
	case r.DryRun:
		return "Would be approved automatically, but this is a dry run", d.Sentence
	}
	if i := slices.IndexFunc(d.Checks, func(c access.Check) bool { return c.Name == reviewCheck }); i >= 0 {
		return "Qualifies, but is not approved", d.Checks[i].Sentence
	}
	return "Qualifies, the approval is on its way", d.Sentence
}

// reviewCheck tells what became of pdhook's own review.
const reviewCheck = "review"

// needsMore reports whether a request waits although pdhook has reviewed it.
func (r Request) needsMore() bool {
	return r.State == access.Pending && (r.Reviewed || r.Decision != nil && r.Decision.Verdict == access.Already)
}

// reason is the decision's sentence, unless that says only that there is a review.
func reason(d access.Decision) string {
	if d.Sentence == access.AlreadySentence {
		return ""
	}
	return d.Sentence
}

func capital(word string) string {
	return strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
}

// nextReasons say what the next look is for.
var nextReasons = map[string]string{
	access.CauseTimer: "the regular look at everything that waits", access.CauseShift: "a shift or the access starts",
	access.CauseRetry: "it is tried again", access.CausePoll: "PagerDuty is asked who is on call",
}

// NextLookReason says what the next look is for; "" when none is known.
func (r Request) NextLookReason() string { return cmp.Or(nextReasons[r.NextLookWhy], r.NextLookWhy) }
