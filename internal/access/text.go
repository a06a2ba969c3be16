package access

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// OneLine makes text written by others safe to show among our own: line breaks and tabs become spaces,
// control characters and bidirectional overrides go, bytes that are no UTF-8 become U+FFFD, and what is
// longer than limit characters is cut, the last one then being an ellipsis (spec §5).
func OneLine(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\v' || r == '\f' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n"))
	return Cut(strings.TrimSpace(s), limit)
}

// Cut shortens s to limit characters, the last one then being an ellipsis.
func Cut(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimRightFunc(string([]rune(s)[:limit-1]), unicode.IsSpace) + "…"
}

// SameName compares names and e-mail addresses as spec §3 and §4 want it: whole, upper and lower case of
// ASCII letters being equal and nothing else folded.
func SameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// Fold gives the one spelling of all names that SameName takes for the same: the letters A to Z in lower case and
// nothing else changed. strings.ToLower would make a k of a Kelvin sign.
func Fold(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		folded[i] = lower(c)
	}
	return string(folded)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
