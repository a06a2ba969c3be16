package access

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "disk is full", 100, "disk is full"},
		{"line breaks of every kind", "a\nb\rc\r\nd\te\vf\fg\u0085h\u2028i\u2029j", 100, "a b c d e f g h i j"},
		{"around it", " \n a \t", 100, "a"},
		{"control characters", "a\x00b\x1b[31mc\x7fd\u009be", 100, "ab[31mcde"},
		{"bidirectional overrides and isolates", "a\u202ab\u202bc\u202cd\u202de\u202ef\u2066g\u2067h\u2068i\u2069j\u200ek\u200fl\u061cm", 100, "abcdefghijklm"},
		{"bytes that are no UTF-8", "a\xff\xfeb\xc3", 100, "a\uFFFDb\uFFFD"},
		{"letters of the world stay", "Zoë 日本 עברית 🚒", 100, "Zoë 日本 עברית 🚒"},
		{"only what goes", "\u202e\x00\n", 100, ""},
		{"exactly the limit", "äöü", 3, "äöü"},
		{"one over the limit", "äöüß", 3, "äö…"},
		{"what goes does not count", "\u202eäöü\n", 3, "äöü"},
		{"no space before the ellipsis", "ab cd", 4, "ab…"},
		{"room for the ellipsis alone", "ab", 1, "…"},
	} {
		if got := OneLine(tt.in, tt.limit); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCutKeepsLineBreaks(t *testing.T) {
	if got := Cut("a\nb\nc", 4); got != "a\nb…" {
		t.Errorf("got %q", got)
	}
	if got := Cut("a\nb", 3); got != "a\nb" {
		t.Errorf("got %q", got)
	}
}

func FuzzOneLine(f *testing.F) {
	f.Add("a\r\n\u202eb", 3)
	f.Add("\xff", 1)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = 1 + max(limit, -limit, 0)%300
		got := OneLine(s, limit)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit || strings.ContainsAny(got, "\n\r\u202e\u2028\x00") {
			t.Errorf("OneLine(%q, %d) = %q", s, limit, got)
		}
		if again := OneLine(got, limit); again != got {
			t.Errorf("OneLine(%q) = %q, it is one line already", got, again)
		}
	})
}

func TestSameName(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"payments", "PAYments", true},
		{"", "", true},
		{"payments", "payments ", false},
		{"pay", "payments", false},
		{"Zoë", "zoë", true},
		{"ZOË", "zoë", false},                          // nothing outside ASCII is folded
		{"K@example.com", "\u212a@example.com", false}, // the Kelvin sign is no K
		{"@", "`", false},
		{"[", "{", false},
	} {
		if got := SameName(tt.a, tt.b); got != tt.want {
			t.Errorf("SameName(%q, %q) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
