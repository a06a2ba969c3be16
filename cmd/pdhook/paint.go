package main

import (
	"io"
	"os"
)

// paint colours words for people. On anything but a terminal, and where NO_COLOR is set (https://no-color.org), words
// stay as they are.
type paint bool

// newPaint gives the paint for what is written to w.
func newPaint(w io.Writer) paint {
	file, is := w.(*os.File)
	if !is || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return paint(err == nil && info.Mode()&os.ModeCharDevice != 0)
}

func (p paint) green(text string) string  { return p.in("32", text) }
func (p paint) yellow(text string) string { return p.in("33", text) }
func (p paint) red(text string) string    { return p.in("31", text) }
func (p paint) dim(text string) string    { return p.in("2", text) }

func (p paint) in(colour, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
