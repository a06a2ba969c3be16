package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

// sheet is a text for people, written line by line.
type sheet struct {
	strings.Builder
	paint
	width int // columns of the terminal; 0: lines are as long as they are
	now   time.Time
}

// explanation tells the story of a request: what it is, what was decided and why, and what comes next.
func explanation(r admin.Request, p paint, width int, now time.Time) string {
	s := &sheet{paint: p, width: width, now: now}
	s.about(r)
	s.verdict(r)
	if r.Decision != nil {
		s.tree(r.Decision.Checks, "")
		s.line("")
	}
	s.incidents(r)
	s.prospects(r)
	return strings.TrimRight(s.String(), "\n") + "\n"
}

func (s *sheet) about(r admin.Request) {
	s.words(fmt.Sprintf("Access request %s is %s", r.ID, r.State), s.bold)
	s.row("user", r.User)
	s.row("roles", strings.Join(r.Roles, ", "))
	s.row("reason", r.Reason)
	s.at("made", r.Created)
	if r.State == access.Approved {
		s.at("ends", r.Expires)
	} else {
		s.at("expires", r.Expires)
	}
	s.row("link", r.URL)
	for _, v := range r.Reviews {
		text := fmt.Sprintf("%s by %s", v.State, v.Author)
		if !v.Time.IsZero() {
			text += ", " + moment(v.Time, s.now)
		}
		if v.Reason != "" {
			text += ": " + v.Reason
		}
		s.row("review", text)
	}
	s.line("")
}

// verdict says where the request stands, in the colour of that.
func (s *sheet) verdict(r admin.Request) {
	colour := s.yellow
	switch {
	case r.State == access.Approved:
		colour = s.green
	case r.State == access.Denied || r.State == access.Pending && r.Decision != nil && r.Decision.Verdict == access.No:
		colour = s.red
	}
	head, why := r.Verdict()
	s.words(strings.TrimSuffix(head+": "+cmp.Or(why, r.ResolveReason), ": "), func(line string) string { return s.bold(colour(line)) })
	if d := r.Decision; d != nil {
		s.words(fmt.Sprintf("decided %s (%s)", moment(d.Time, s.now), d.Cause), s.dim)
	}
}

func (s *sheet) incidents(r admin.Request) {
	for _, i := range r.Incidents {
		text := fmt.Sprintf("%s on %s", i.ID, i.Service)
		if i.Status != "" && (i.Status != access.Acknowledged || len(i.AcknowledgedBy) == 0) {
			text += ", " + string(i.Status)
		}
		if len(i.AcknowledgedBy) > 0 {
			text += ", acknowledged by " + strings.Join(i.AcknowledgedBy, " and ")
		}
		if i.MergedInto != "" {
			text += ", merged into " + string(i.MergedInto)
		}
		s.row("incident", text)
		s.row("", i.URL)
	}
	for _, why := range r.Unnotified {
		s.row("no incident", why)
	}
}

// prospects tells what happens next, and who can do something.
func (s *sheet) prospects(r admin.Request) {
	s.at("last look", r.LastLook)
	if !r.NextLook.IsZero() {
		s.row("next look", strings.TrimSuffix(moment(r.NextLook, s.now)+": "+r.NextLookReason(), ": "))
	}
	if d := r.Decision; d != nil && r.State == access.Pending {
		who, command, _ := strings.Cut(d.Instead, ": tsh ")
		s.row("meanwhile", who)
		if command != "" { // on a line of its own, to be copied
			s.row("", "tsh "+command)
		}
	}
	if r.DryRun {
		s.row("dry run", "pdhook changes nothing in Teleport or PagerDuty (policy.dry_run)")
	}
	s.row("last error", r.Failing)
}

// labels is the width of the longest label of a row, and of the space behind it.
const labels = len("no incident") + 2

// row writes a value behind its label; none for an empty value.
func (s *sheet) row(label, value string) {
	if value = plain(value); value == "" {
		return
	}
	for n, line := range wrapped(value, s.room(2+labels)) {
		if n > 0 {
			label = ""
		}
		s.line("  " + s.dim(fmt.Sprintf("%-*s", labels, label)) + line)
	}
}

func (s *sheet) at(label string, t time.Time) {
	if !t.IsZero() {
		s.row(label, moment(t, s.now))
	}
}

// words writes a text over the whole width.
func (s *sheet) words(text string, colour func(string) string) {
	for _, line := range wrapped(plain(text), s.width) {
		s.line(colour(line))
	}
}

func (s *sheet) line(text string) { s.WriteString(strings.TrimRight(text, " ") + "\n") }

// room is what is left of the terminal's columns beside an indentation; 0: as much as it takes.
func (s *sheet) room(indent int) int {
	if s.width == 0 {
		return 0
	}
	return max(s.width-indent, narrowest)
}

// narrowest is how few columns a text is wrapped into. What does not fit then, the terminal wraps.
const narrowest = 20

// wrapped divides a text into lines of at most width columns, 0 for one line. A longer word has a line of its own.
func wrapped(text string, width int) []string {
	if width == 0 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
