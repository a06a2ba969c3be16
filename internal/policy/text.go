package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Limits of the texts in characters. PagerDuty publishes none for titles, details and notes; these are
// what its other APIs take (spec §5: cut at PagerDuty's limits). Teleport's review reasons hold 4096 bytes.
const (
	titleLimit = 255
	textLimit  = 1024
	fieldLimit = 200

	sentenceLimit = 900 // of a review's reason: four bytes a character at worst, and room for the line that proves it
)

// Time is how pdhook writes a moment to people: RFC 3339 in UTC with seconds.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Title is the title of a request's incidents.
func Title(req access.Request) string {
	return access.OneLine("Access request from "+req.User, titleLimit)
}

// Details is the body of a request's incidents. url is the request's page in Teleport, "" when the
// cluster gives no public address.
func Details(req access.Request, url string, d access.Decision, reviewFailed error) string {
	ours := append(lines(fieldLimit, "Time", Time(req.Created), "Link", url, "Request ID", string(req.ID)),
		access.OneLine(automatic(req, d, reviewFailed), 2*fieldLimit))
	room := textLimit - len([]rune(strings.Join(ours, "\n")))
	theirs := []string{"User", req.User, "Roles", strings.Join(req.Roles, ", "), "Resources", strings.Join(req.Resources, ", "), "Reason", req.Reason}
	share := min(fieldLimit, room/4-len("Resources: \n")) // so that what others wrote cannot push out the decision
	return access.Cut(strings.Join(append(lines(share, theirs...), ours...), "\n"), textLimit)
}

// lines gives a line for each pair of name and value, but for empty values; a value has at most limit characters.
func lines(limit int, pairs ...string) []string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		if value := access.OneLine(pairs[i+1], limit); value != "" {
			all = append(all, pairs[i]+": "+value)
		}
	}
	return all
}

// automatic says in one sentence what became of the automatic approval.
func automatic(req access.Request, d access.Decision, reviewFailed error) string {
	switch {
	case d.Verdict == "":
		return fmt.Sprintf("The request is %s by now.", req.State)
	case reviewFailed != nil && d.Verdict == access.Approve:
		return fmt.Sprintf("Not approved automatically, although %s: %v", d.Sentence, reviewFailed)
	case d.Verdict == access.Approve && req.State == access.Pending:
		return "Reviewed automatically, but more approvals are needed: " + d.Sentence + "."
	case d.Verdict == access.Approve:
		return "Approved automatically: " + d.Sentence + "."
	case d.Verdict == access.Already:
		return "Reviewed automatically, but more approvals are needed: " + d.Sentence + "."
	case d.Verdict == access.CouldNotTell:
		return "Could not be evaluated: " + d.Sentence + "."
	}
	return "Not approved automatically: " + d.Sentence + "."
}

// ReviewNote is the note that tells of one review.
func ReviewNote(r access.Review) string {
	return note(fmt.Sprintf("%s reviewed the request at %s.", access.OneLine(r.Author, fieldLimit), Time(r.Time)),
		"Resolution: "+strings.ToUpper(string(r.State)), r.Reason)
}

// DecisionNote is the note that tells how the request ended.
func DecisionNote(state access.State, reason string) string {
	return note("Access request has been "+string(state), "", reason)
}

// StillPendingNote is written once when a person or a time-out resolves the incident of a request that
// still waits for its decision.
func StillPendingNote(id access.RequestID, url string, reopened bool) string {
	where := fmt.Sprintf("Decide it with: tctl requests approve %s (or deny)", id)
	if url != "" {
		where = "Decide it at " + url
	}
	if reopened {
		return "This incident was resolved, but the access request is still pending: the incident is open again.\n" + where
	}
	return "This incident is resolved, but the access request is still pending.\n" + where
}

// DenialReason is the reason of pdhook's review when somebody's resolving of the incident denies the request.
func DenialReason(i access.LinkedIncident, who string) string {
	return fmt.Sprintf("Denied by pdhook: %s resolved PagerDuty incident %s, which asked for this decision.", access.OneLine(who, fieldLimit), i.ID)
}

func note(first, second, reason string) string {
	lines := []string{first}
	if second != "" {
		lines = append(lines, second)
	}
	used := len([]rune(strings.Join(lines, "\n"))) + len("\nReason: ")
	if reason = access.OneLine(reason, textLimit-used); reason != "" {
		lines = append(lines, "Reason: "+reason)
	}
	return strings.Join(lines, "\n")
}

// proof begins the last line of the reason of pdhook's approvals, and proven is the form of all of it: the decision's
// sentence, and when the facts were read.
const proof = "\npdhook: basis="

var proven = regexp.MustCompile(`^Approved by pdhook: (.*)\.` + proof + `\S+ oncall=\S+ read=(\S+)$`)

// refuses is the form of the reason of pdhook's denials. Who quotes one denies the request, too.
var refuses = regexp.MustCompile(`^Denied by pdhook: .* resolved PagerDuty incident \S+, which asked for this decision\.$`)

// provenFor is how far the facts behind pdhook's approval can lie from the review: Fresh, and what the clocks here
// and in Teleport may differ.
const provenFor = 5 * time.Minute

// Reviewed reports whether pdhook has reviewed the request: as the user that it is now or, as the proof shows,
// under another name, before its identity was replaced or as another replica. It reviews at most once, ever.
func Reviewed(req access.Request, reviewer string) bool {
	_, ours := req.ReviewBy(reviewer)
	return ours || slices.ContainsFunc(req.Reviews, func(r access.Review) bool {
		return proves(r) || r.State == access.Denied && refuses.MatchString(r.Reason)
	})
}

// ApprovedBy reports whether a review is an approval of pdhook's, as Reviewed tells.
func ApprovedBy(reviewer string, r access.Review) bool {
	return r.State == access.Approved && r.Author == reviewer || proves(r)
}

// proves reports whether a review is an approval of pdhook's. A person who quotes one adds words, or quotes one
// whose facts were read for another request, at another time.
func proves(r access.Review) bool {
	found := proven.FindStringSubmatch(r.Reason)
	if found == nil || r.State != access.Approved {
		return false
	}
	read, err := time.Parse(time.RFC3339, found[2])
	return err == nil && (r.Time.IsZero() || r.Time.Sub(read).Abs() <= provenFor)
}

// approvedBecause gives the sentence of the decision that pdhook's approval rested on, "" when no review tells it.
func approvedBecause(req access.Request, reviewer string) string {
	for _, r := range req.Reviews {
		if found := proven.FindStringSubmatch(r.Reason); found != nil && ApprovedBy(reviewer, r) {
			return access.OneLine(found[1], sentenceLimit) // whoever can quote a review wrote it
		}
	}
	return ""
}

// ReviewReason is the reason of pdhook's own review. Its last line makes the approval provable later: it is whole
// whatever the sentence holds.
func ReviewReason(d access.Decision) string {
	e := d.Evidence
	entry := fmt.Sprintf("%s/%d/%s", e.OnCall.Policy, e.OnCall.Level, e.User.ID)
	if e.OnCall.Policy == "" {
		entry = fmt.Sprintf("%s/%s", e.OnCall.Schedule, e.User.ID)
	} else if e.OnCall.Schedule != "" {
		entry += "/" + string(e.OnCall.Schedule)
	}
	basis := "none"
	if len(e.Incidents) > 0 {
		basis = strings.Join(idsOf(e.Incidents), ",")
	}
	return fmt.Sprintf("Approved by pdhook: %s."+proof+"%s oncall=%s read=%s",
		access.OneLine(d.Sentence, sentenceLimit), basis, entry, Time(e.ReadAt))
}
