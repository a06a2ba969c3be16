package pagerduty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/pdhook/pdhook/internal/access"
)

// refusal is an answer outside 2xx with what PagerDuty gave as the reason, in whichever of the shapes
// that occur: "error" as an object, a string or a list of strings; "errors" in it missing, a string, a
// list, or lists by field; no JSON at all (always so with 401).
type refusal struct {
	status    int
	explained bool // PagerDuty's "error" was there
	code      int
	message   string
	details   []string
}

func (r *refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "PagerDuty answered %d %s", r.status, http.StatusText(r.status))
	if r.message != "" {
		fmt.Fprintf(&b, ": %s", r.message)
	}
	if r.code != 0 {
		fmt.Fprintf(&b, " (code %d)", r.code)
	}
	if len(r.details) > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(r.details, "; "))
	}
	return b.String()
}

// says reports whether message or details hold the text, which must be in lower case.
func (r *refusal) says(text string) bool {
	return strings.Contains(access.Fold(r.message), text) || strings.Contains(access.Fold(strings.Join(r.details, "\n")), text)
}

// readRefusal reads what it can of an error answer. The secret is cut out should the answer repeat it.
func readRefusal(status int, body []byte, secret string) *refusal {
	r := &refusal{status: status}
	var document map[string]any
	if json.Unmarshal(body, &document) != nil {
		return r
	}
	switch reason := document["error"].(type) {
	case string:
		r.message = reason
	case []any:
		r.details = flatten(reason)
	case map[string]any:
		r.message, _ = reason["message"].(string)
		if code, ok := reason["code"].(float64); ok && code > 0 && code < 1e6 {
			r.code = int(code)
		}
		r.details = flatten(reason["errors"])
	default:
		return r
	}
	r.explained = true
	r.message = clean(r.message, secret)
	for i, d := range r.details {
		r.details[i] = clean(d, secret)
	}
	return r
}

// Enough of an error for people; PagerDuty's are a line or two.
const (
	maxDetails = 10
	maxText    = 300
)

// flatten gives the texts in v, each of an object with the name of its field.
func flatten(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		out = []string{v}
	case []any:
		for _, it := range v {
			out = append(out, flatten(it)...)
		}
	case map[string]any:
		for _, field := range sortedKeys(v) {
			for _, text := range flatten(v[field]) {
				out = append(out, field+" "+text)
			}
		}
	}
	return out[:min(len(out), maxDetails)]
}

// clean makes a foreign text fit for a log line.
func clean(text, secret string) string {
	if secret != "" {
		text = strings.ReplaceAll(text, secret, "<redacted>")
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText-1]) + "…"
	}
	return text
}
