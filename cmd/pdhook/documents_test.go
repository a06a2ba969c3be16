package main

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/pdhook/pdhook/test/documents"
)

func allDocuments(t *testing.T) []documents.Document {
	t.Helper()
	all, err := documents.All("../..")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryCommandLineOfTheDocumentsIsUnderstood(t *testing.T) {
	checked := 0
	for _, d := range allDocuments(t) {
		for _, b := range d.Blocks {
			if b.Language != "" && b.Language != "sh" {
				continue
			}
			for _, line := range documents.Commands(b.Text) {
				checked += understands(t, b.Where, line)
			}
		}
		for _, c := range d.Code {
			if !slices.ContainsFunc(d.Rows, func(r documents.Row) bool { return r.Where == c.Where && isQuote(r, c.Text) }) {
				checked += understands(t, c.Where, c.Text)
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d command lines were found", checked)
	}
}

// isQuote reports whether a row explains a text that pdhook says: test/documents looks for those.
func isQuote(r documents.Row, text string) bool { return r.Cells[0] == "`"+text+"`" }

// understands checks a line in which pdhook is called, and counts it.
func understands(t *testing.T, where, line string) int {
	t.Helper()
	_, args, called := strings.Cut(" "+line, " pdhook ")
	args, _, _ = strings.Cut(args, " | ")
	args, _, _ = strings.Cut(args, " >")
	words := strings.Fields(args)
	if !called || len(words) == 0 || strings.Contains(line, "pdhook: ") || !strings.HasPrefix(line, "pdhook ") && !strings.Contains(line, "-- pdhook ") {
		return 0
	}
	understood := false
	root := rootCommand(&understood)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if words[0] == "COMMAND" {
		return 1
	}
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root {
		t.Errorf("%s: %q: pdhook has no such command", where, line)
		return 1
	}
	cmd.InitDefaultHelpFlag()
	for _, word := range rest {
		name, isFlag := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		if isFlag && cmd.Flags().Lookup(name) == nil {
			t.Errorf("%s: %q: %s has no flag --%s", where, line, cmd.CommandPath(), name)
		}
	}
	return 1
}

func TestTheReferenceHasEachCommandWithItsFlags(t *testing.T) {
	all := allDocuments(t)
	page := all[slices.IndexFunc(all, func(d documents.Document) bool { return d.Path == "docs/reference.md" })]
	understood := false
	for _, cmd := range rootCommand(&understood).Commands() {
		heading := cmd.CommandPath()
		if !slices.Contains(page.Anchors, strings.ReplaceAll(heading, " ", "-")) {
			t.Errorf("docs/reference.md has no heading %q", heading)
		}
		described := flagsUnder(page, heading)
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name := "--" + f.Name
			want := f.DefValue
			if want == "[]" {
				want = ""
			}
			switch got, there := described[name]; {
			case !there:
				t.Errorf("docs/reference.md lacks %s of %s", name, heading)
			case got != want:
				t.Errorf("docs/reference.md gives %s of %s the default %q, it is %q", name, heading, got, want)
			}
			if short := "-" + f.Shorthand; short != "-" && described[short] != want {
				t.Errorf("docs/reference.md lacks %s of %s", short, heading)
			}
			delete(described, name)
			delete(described, "-"+f.Shorthand)
		})
		for name := range described {
			t.Errorf("docs/reference.md gives %s the flag %s, which it has not", heading, name)
		}
	}
}

// flagsUnder gives the flags that the tables under a heading describe, with their defaults.
func flagsUnder(page documents.Document, heading string) map[string]string {
	described := map[string]string{}
	for _, row := range page.Rows {
		if row.Heading != heading || len(row.Cells) != 3 {
			continue
		}
		for name := range strings.SplitSeq(row.Cells[0], ",") {
			name, _, _ = strings.Cut(strings.Trim(strings.TrimSpace(name), "`"), " ")
			described[name] = row.Cells[1]
		}
	}
	return described
}

func TestTheReferenceHasTheExitCodes(t *testing.T) {
	all := allDocuments(t)
	page := all[slices.IndexFunc(all, func(d documents.Document) bool { return d.Path == "docs/reference.md" })]
	described := map[string]bool{}
	for _, row := range page.Rows {
		if row.Heading == "Commands" {
			described[row.Cells[0]] = true
		}
	}
	for _, line := range []string{"version", "check --config /nowhere/pdhook.toml", "unknown"} {
		code := run(t.Context(), strings.Fields(line), strings.NewReader(""), io.Discard, io.Discard)
		if !described[strconv.Itoa(code)] {
			t.Errorf("docs/reference.md does not explain the exit code %d", code)
		}
		delete(described, strconv.Itoa(code))
	}
	if len(described) > 0 {
		t.Errorf("docs/reference.md explains exit codes that do not come: %v", described)
	}
}
