package admin

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Pill is a state as a symbol, a word and a tone: the colour alone says nothing.
type Pill struct{ Tone, Mark, Word string }

func stateOf(s access.State) Pill {
	switch s {
	case access.Pending:
		return Pill{"wait", "…", "waiting"}
	case access.Approved:
		return Pill{"good", "✓", "approved"}
	case access.Denied:
		return Pill{"bad", "✗", "denied"}
	case access.Expired:
		return Pill{"quiet", "–", "expired"}
	}
	return Pill{"quiet", "–", cmp.Or(name(string(s)), "unknown")}
}

// verdictOf says how a waiting request stands.
func verdictOf(r Request) Pill {
	switch {
	case r.Decision == nil:
		return Pill{"quiet", "…", "not looked at yet"}
	case r.needsMore():
		return Pill{"busy", "½", "more approvals needed"}
	case r.Decision.Verdict == access.Approve:
		return Pill{"busy", "…", "not approved yet"}
	case r.Decision.Verdict == access.CouldNotTell:
		return Pill{"unsure", "?", "could not tell"}
	}
	return Pill{"wait", "✗", "not approved"}
}

func statusOf(s access.Status) Pill {
	switch s {
	case access.Passed:
		return Pill{"good", "✓", "yes"}
	case access.Failed:
		return Pill{"bad", "✗", "no"}
	}
	return Pill{"unsure", "?", "could not tell"}
}

// decidedBy tells who gave the last word on a request, and when.
func decidedBy(r Request) (who string, at Moment) {
	for _, v := range slices.Backward(r.Reviews) {
		if v.State == r.State {
			return name(v.Author), Moment{v.Time}
		}
	}
	if r.State == access.Expired && !r.Expires.IsZero() {
		return "", Moment{r.Expires}
	}
	if r.Decision != nil {
		return "", Moment{r.Decision.Time}
	}
	return "", Moment{}
}

// checkNames are titles of the checks of a decision. What is not here shows its own name, e.g. "service Payments".
var checkNames = map[string]string{
	"user": "PagerDuty user", "roles": "Roles", "on call": "On call", "incident": "Incident",
	"window": "Time window", "reviews": "Reviews", reviewCheck: "pdhook’s review", "account": "PagerDuty account",
}

func checkName(s string) string {
	if title := checkNames[s]; title != "" {
		return title
	}
	if s = name(s); s == "" {
		return "Check"
	}
	return s
}

// tally counts checks by their outcome: "4 yes, 1 no, 1 could not tell".
func tally(checks []CheckView) string {
	var parts []string
	for _, s := range []access.Status{access.Failed, access.Unknown, access.Passed} {
		word := statusOf(s).Word
		n := 0
		for _, c := range checks {
			if c.Pill.Word == word {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return strings.Join(parts, ", ")
}

// mostRemedies is how many ways out are worth reading.
const mostRemedies = 5

// remedies gathers what would make the checks pass, each once. What a check says repeats its children.
func remedies(checks []access.Check) []string {
	var all []string
	for _, c := range checks {
		of := remedies(c.Children)
		if own := oneLine(c.Remedy); own != "" && (len(of) == 0 || !slices.Contains(of, own)) {
			of = append([]string{own}, of...)
		}
		for _, remedy := range of {
			if !slices.Contains(all, remedy) && len(all) < mostRemedies {
				all = append(all, remedy)
			}
		}
	}
	return all
}

// Piece is a stretch of a sentence: text, or a moment that the reader's clock turns into local time.
type Piece struct {
	Text string
	At   Moment
}

var written = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

// words divides a sentence at the times in it: at night nobody should have to count from UTC.
func words(sentence string) []Piece {
	var pieces []Piece
	rest := 0
	for _, at := range written.FindAllStringIndex(sentence, -1) {
		t, err := time.Parse(time.RFC3339, sentence[at[0]:at[1]])
		if err != nil {
			continue // looks like a time only
		}
		pieces = append(pieces, Piece{Text: sentence[rest:at[0]]}, Piece{At: Moment{t}})
		rest = at[1]
	}
	return append(pieces, Piece{Text: sentence[rest:]})
}
