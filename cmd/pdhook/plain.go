package main

import (
	"io"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// longest is how much of one text of others is shown.
const longest = 2000

// plain makes what others wrote safe to show on a terminal, on one line.
func plain(text string) string { return access.OneLine(text, longest) }

// plainLines does so for each line of a text, and keeps its indentation.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		lines[i] = line[:indent] + plain(line)
	}
	return strings.Join(lines, "\n")
}

// plainJSON writes JSON so that no text in it steers a terminal, and reads as before. What is written at once is whole.
type plainJSON struct{ io.Writer }

// Write writes it.
func (w plainJSON) Write(text []byte) (int, error) {
	if _, err := w.Writer.Write(escaped(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}
