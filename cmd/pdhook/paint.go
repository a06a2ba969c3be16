package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// paint colours words where somebody looks at them on a terminal; false leaves them as they are.
type paint bool

// paintFor colours what goes to a terminal, unless NO_COLOR is set (https://no-color.org) or TERM is dumb.
func paintFor(w io.Writer, env func(string) string) paint {
	return paint(isTerminal(w) && env("NO_COLOR") == "" && env("TERM") != "dumb")
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// widthOf gives the columns of a terminal, and 0 for everything else: a line is then as long as it is.
func widthOf(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

func (p paint) with(code, s string) string {
	if !p || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) green(s string) string  { return p.with("32", s) }
func (p paint) red(s string) string    { return p.with("31", s) }
func (p paint) yellow(s string) string { return p.with("33", s) }
func (p paint) dim(s string) string    { return p.with("2", s) }
func (p paint) bold(s string) string   { return p.with("1", s) }
