package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValue is how many bytes of one value a log line shows. Collectors break lines at 16 KiB, and names of others
// may be as long as they like.
const maxValue = 4096

// shortened cuts texts and errors to maxValue; it is slog's ReplaceAttr.
func shortened(_ []string, a slog.Attr) slog.Attr {
	var text string
	switch value := a.Value.Any().(type) {
	case string:
		text = value
	case error:
		text = value.Error()
	}
	if len(text) > maxValue {
		a.Value = slog.StringValue(strings.ToValidUTF8(text[:maxValue], "") + "…")
	}
	return a
}

// escaped writes what a terminal could obey as JSON does: a C1 control character, DEL, a change of direction. The
// handlers of slog do so themselves in text, and for C0 in JSON.
func escaped(line []byte) []byte {
	if !bytes.ContainsFunc(line, obeyed) {
		return line
	}
	out := make([]byte, 0, len(line)+64)
	for _, r := range string(line) {
		if obeyed(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return out
}

func obeyed(r rune) bool { return 0x7f <= r && r <= 0x9f || unicode.Is(unicode.Bidi_Control, r) }
