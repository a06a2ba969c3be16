package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/teleporttest"
)

// poison is what somebody may write who wants to be taken for somebody else, or to take over a terminal, a page or
// the words of pdhook. It has no e-mail address in it.
const poison = "x\nResolution: APPROVED\r\nReason: ok\u2028User: root\u0085Request ID: 1\nApproved by pdhook: kim is on call." +
	"\npdhook: basis=none oncall=P/1/U read=2026-01-01T00:00:00Z\n" +
	"\x00\x07\x1b[2J\x1b]0;owned\x07\u009b31m\x7f \u202eevil\u202c \u2066iso\u2069 \u200fmark \u200bzero\ufeffwidth " +
	`<script>alert(1)</script><img src=x onerror=alert(1)> [a](javascript:alert(1)) *b* _c_ @here "q" 'q' \ %s %!d(x) {{.}} ${x} é 日本`

// forbidden reports what must not reach a person's screen from others.
func forbidden(r rune) bool {
	return r != '\n' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// harmless checks a text of several lines: each begins in one of the given ways, and nothing forbidden is in it.
func harmless(t *testing.T, what, text string, limit int, beginnings ...string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, forbidden) {
		t.Errorf("%s holds what it must not: %q", what, text)
	}
	if n := utf8.RuneCountInString(text); n > limit {
		t.Errorf("%s has %d characters, want at most %d", what, n, limit)
	}
	lines := strings.Split(text, "\n")
	if len(lines) > len(beginnings) {
		t.Errorf("%s has %d lines, want at most %d: %q", what, len(lines), len(beginnings), text)
		return
	}
	for i, line := range lines {
		if !regexp.MustCompile("^" + beginnings[i]).MatchString(line) {
			t.Errorf("%s: line %d is %q, want it to begin with %s", what, i+1, line, beginnings[i])
		}
	}
}

// logged checks that every line of the log is one record, which no terminal obeys.
func (w *world) logged() {
	w.t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(w.proc.output(), "\n"), "\n") {
		if len(line) > 16<<10 {
			w.t.Errorf("a line of the log has %d bytes: %.200q", len(line), line)
		}
		if strings.ContainsFunc(line, forbidden) || !utf8.ValidString(line) {
			w.t.Errorf("the log holds what it must not: %q", line)
		}
		if !json.Valid([]byte(line)) && !regexp.MustCompile(`^time=\S+ level=[A-Z]+ msg=`).MatchString(line) {
			w.t.Errorf("this line of the log is no record: %.200q", line)
		}
	}
}

// saysAnyhow waits until the log has the text, in whichever format.
func (w *world) saysAnyhow(text string) {
	w.t.Helper()
	w.eventually("pdhook says "+text, func() bool { return strings.Contains(w.proc.output(), text) })
}

func TestTextByOthersIsOnlyText(t *testing.T) {
	long := poison + strings.Repeat("Ä", 100_000)
	for _, c := range []struct {
		name   string
		text   string // in names
		words  string // in reasons, of which Teleport takes 4 KiB
		format string
	}{
		{"as it comes", poison, poison, "json"},
		{"as text in the log", poison, poison, "text"},
		{"100 kB", long, poison + strings.Repeat("x", 4096-len(poison)), "json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, with("log.severity", `"DEBUG"`))
			service := w.pd.AddService("Service "+poison, w.payments.ID)
			schedule := w.pd.AddSchedule("Schedule " + poison)
			w.pd.SetOnCall(schedule.ID, w.pd.AddUser("Somebody "+poison, "somebody@example.com").ID, time.Time{}, time.Time{})
			w.teleport.SetRole("role "+c.text, map[string][]string{
				"pagerduty_notify_service": {"id:" + service.ID, "Nowhere " + c.text},
				"pagerduty_services":       {service.Name, "Nowhere " + c.text},
				"pagerduty_schedules":      {schedule.Name},
			})
			w.start()
			w.reconfigure("log.format", quote(c.format))
			w.saysAnyhow("The configuration was read again")
			hostile := w.teleport.CreateRequest(teleporttest.Request{
				User: "dana@example.com " + c.text, Roles: []string{"role " + c.text}, Reason: c.words,
				Resources: []types.ResourceID{{ClusterName: "teleport.example.com", Kind: "node", Name: c.text}},
			})
			incident := w.opened(hostile)
			if err := w.teleport.Review(hostile, "reviewer "+c.text, types.RequestState_DENIED, c.words); err != nil {
				t.Fatal(err)
			}
			incident = w.ended(hostile, 1)[0]
			harmless(t, "the title", incident.Title, 255, "Access request from dana@example.com x")
			harmless(t, "the body", incident.Details, 1024, "User: ", "Roles: ", "Resources: ", "Reason: ", "Time: ", "Link: ", "Request ID: "+hostile, "(Not approved automatically|Could not be evaluated): ")
			notes := w.notes(incident.ID)
			if len(notes) != 2 {
				t.Fatalf("got notes %q", notes)
			}
			harmless(t, "the review's note", notes[0], 1024, "reviewer x.*", "Resolution: DENIED$", "Reason: x")
			harmless(t, "the decision's note", notes[1], 1024, "Access request has been denied$", "Reason: x")

			// One who is on call is approved all the same, with the evidence on a line of its own.
			good := w.teleport.CreateRequest(teleporttest.Request{User: "kim@example.com", Roles: []string{"role " + c.text}, Reason: c.words})
			w.reaches(good, types.RequestState_APPROVED)
			reason := w.teleport.Request(good).GetReviews()[0].Reason
			harmless(t, "the review's reason", reason, 4096, "Approved by pdhook: kim@example.com is on call for Service x", "pdhook: basis=none oncall="+w.payments.ID+"/1/"+w.kim.ID+"/"+w.primary.ID+" read=20[^ ]*$")
			w.ended(good, 1)
			w.settled()
			_, status := w.get("/status")
			if strings.Contains(string(status), "evil") || strings.ContainsFunc(string(status), forbidden) {
				t.Errorf("/status tells %s", status)
			}
			w.logged()
		})
	}
}
