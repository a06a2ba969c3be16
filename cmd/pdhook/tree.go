package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pdhook/pdhook/internal/access"
)

// widestName is up to which length the names of checks have a column of their own. What is said of a check with a
// longer name stands below it.
const widestName = 10

// tree draws checks below each other, each behind what leads to it.
func (s *sheet) tree(checks []access.Check, before string) {
	column := 0
	for _, c := range checks {
		if n := utf8.RuneCountInString(plain(c.Name)); n <= widestName {
			column = max(column, n)
		}
	}
	for i, c := range checks {
		branch, below := "├─ ", "│  "
		if i == len(checks)-1 {
			branch, below = "└─ ", "   "
		}
		s.check(c, before+branch, before+below, column)
		s.tree(c.Children, before+below)
	}
}

// check writes one check behind first, and what needs further lines behind rest.
func (s *sheet) check(c access.Check, first, rest string, column int) {
	name := plain(c.Name)
	pad := column - utf8.RuneCountInString(name)
	stem := " "
	if len(c.Children) > 0 {
		stem = "│"
	}
	hang := rest + stem + "   "
	if pad >= 0 {
		hang += strings.Repeat(" ", column)
	}
	head := s.dim(first) + s.mark(c.Status) + " " + s.bold(name)
	lines := s.told(c, utf8.RuneCountInString(hang))
	if pad >= 0 && len(lines) > 0 {
		head += strings.Repeat(" ", pad+2) + lines[0]
		lines = lines[1:]
	}
	s.line(head)
	for _, line := range lines {
		s.line(s.dim(hang) + line)
	}
}

func (s *sheet) mark(status access.Status) string {
	switch status {
	case access.Passed:
		return s.green("✓")
	case access.Failed:
		return s.red("✗")
	}
	return s.yellow("?")
}

// told gives the lines that are said of a check, to stand behind indent columns, but for what its children say again.
func (s *sheet) told(c access.Check, indent int) []string {
	var lines []string
	add := func(lead, text string, colour func(string) string) {
		for _, line := range wrapped(text, s.room(indent+utf8.RuneCountInString(lead))) {
			lines = append(lines, colour(lead+line))
			lead = strings.Repeat(" ", utf8.RuneCountInString(lead))
		}
	}
	again := func(same func(child access.Check) bool) bool { return slices.ContainsFunc(c.Children, same) }
	if !again(func(child access.Check) bool { return child.Sentence == c.Sentence }) {
		add("", plain(c.Sentence), func(line string) string { return line })
	}
	if compared := compared(c); compared != "" {
		add("", compared, s.dim)
	}
	if c.Remedy != "" && !again(func(child access.Check) bool { return child.Remedy == c.Remedy }) {
		add("→ ", plain(c.Remedy), s.yellow)
	}
	return lines
}

// compared tells what a check that did not pass wanted and saw, as far as its sentence does not.
func compared(c access.Check) string {
	var parts []string
	for _, pair := range [][2]string{{"wanted: ", c.Want}, {"saw: ", c.Saw}} {
		if pair[1] != "" && c.Status != access.Passed && !strings.Contains(c.Sentence, pair[1]) {
			parts = append(parts, pair[0]+plain(pair[1]))
		}
	}
	return strings.Join(parts, ", ")
}
