package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pdhook/pdhook/internal/access"
)

const hostile = "urgent\r\nResolution: APPROVED\n\x00\x1b[31m\u202eevil\u2066"

func TestTitle(t *testing.T) {
	for user, want := range map[string]string{
		"alice@example.com":       "Access request from alice@example.com",
		"mallory\nAll\u202e fine": "Access request from mallory All fine",
	} {
		if got := Title(access.Request{User: user}); got != want {
			t.Errorf("title = %q, want %q", got, want)
		}
	}
	if got := Title(access.Request{User: strings.Repeat("ü", 400)}); utf8.RuneCountInString(got) != 255 || !strings.HasSuffix(got, "ü…") {
		t.Errorf("a long title has %d characters and ends in %q", utf8.RuneCountInString(got), got[len(got)-5:])
	}
}

func TestDetails(t *testing.T) {
	req := access.Request{ID: "R", User: "alice@example.com", Roles: []string{"dev", "ops"}, Resources: []string{"/c/node/a", "/c/db/b"},
		State: access.Pending, Reason: "disk is full", Created: time.Date(2026, 3, 1, 4, 0, 0, 5, time.FixedZone("", 3600))}
	no := access.Decision{Verdict: access.No, Sentence: "alice@example.com is not on call for payments"}
	for _, tt := range []struct {
		name   string
		change func(*access.Request)
		url    string
		want   string
	}{
		{"with everything", func(*access.Request) {}, "https://proxy.example.com/web/requests/R", `User: alice@example.com
Roles: dev, ops
Resources: /c/node/a, /c/db/b
Reason: disk is full
Time: 2026-03-01T03:00:00Z
Link: https://proxy.example.com/web/requests/R
Request ID: R
Not approved automatically: alice@example.com is not on call for payments.`},
		{"without link, resources and reason", func(r *access.Request) { r.Resources, r.Reason = nil, " \n" }, "", `User: alice@example.com
Roles: dev, ops
Time: 2026-03-01T03:00:00Z
Request ID: R
Not approved automatically: alice@example.com is not on call for payments.`},
		{"with a hostile reason", func(r *access.Request) { r.Resources, r.Reason = nil, hostile }, "", `User: alice@example.com
Roles: dev, ops
Reason: urgent Resolution: APPROVED [31mevil
Time: 2026-03-01T03:00:00Z
Request ID: R
Not approved automatically: alice@example.com is not on call for payments.`},
	} {
		r := req
		tt.change(&r)
		if got := Details(r, tt.url, no, nil); got != tt.want {
			t.Errorf("%s\ngot:\n%s\nwant:\n%s", tt.name, got, tt.want)
		}
	}
	req.Reason = strings.Repeat("long ", 1000)
	if got := Details(req, "", no, nil); utf8.RuneCountInString(got) > textLimit || !strings.HasSuffix(got, "is not on call for payments.") {
		t.Errorf("a long reason leaves no room for the decision:\n%s", got)
	}
	long := strings.Repeat("long ", 1000)
	req.User, req.Roles, req.Resources, no.Sentence = long, []string{long}, []string{long}, long
	got := Details(req, "https://proxy.example.com/"+strings.Repeat("x", 300), no, nil)
	last := got[strings.LastIndex(got, "\n")+1:]
	if n := utf8.RuneCountInString(got); n > textLimit || strings.Count(got, "\n") != 7 || utf8.RuneCountInString(last) != 2*fieldLimit || !strings.HasPrefix(last, "Not approved") {
		t.Errorf("everything long: %d characters:\n%s", n, got)
	}
}

func TestTheDetailsTellWhatBecameOfTheAutomaticApproval(t *testing.T) {
	onCall := "alice is on call for payments (level 1, always)"
	for _, tt := range []struct {
		state   access.State
		verdict access.Verdict
		said    string
		failed  error
		want    string
	}{
		{access.Pending, access.No, "alice is not on call", nil, "Not approved automatically: alice is not on call."},
		{access.Pending, access.CouldNotTell, "PagerDuty answers 503", nil, "Could not be evaluated: PagerDuty answers 503."},
		{access.Approved, access.Approve, onCall, nil, "Approved automatically: " + onCall + "."},
		{access.Pending, access.Approve, onCall, nil, "Reviewed automatically, but more approvals are needed: " + onCall + "."},
		{access.Pending, access.Already, "bot has already reviewed the request", nil, "Reviewed automatically, but more approvals are needed: bot has already reviewed the request."},
		{access.Pending, access.Approve, onCall, errors.New("access denied"), "Not approved automatically, although " + onCall + ": access denied"},
		{access.Pending, access.No, "alice is not on call", errors.New("a denial failed"), "Not approved automatically: alice is not on call."},
		{access.Denied, "", "", nil, "The request is denied by now."},
	} {
		got := Details(access.Request{State: tt.state}, "", access.Decision{Verdict: tt.verdict, Sentence: tt.said}, tt.failed)
		if got = got[strings.LastIndex(got, "\n")+1:]; got != tt.want {
			t.Errorf("%s, %s: %q, want %q", tt.state, tt.verdict, got, tt.want)
		}
	}
}

func TestReviewNote(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		review access.Review
		want   string
	}{
		{access.Review{Author: "bob", State: access.Approved, Reason: "looks right", Time: at},
			"bob reviewed the request at 2026-03-01T03:00:00Z.\nResolution: APPROVED\nReason: looks right"},
		{access.Review{Author: "bob", State: access.Denied, Time: at},
			"bob reviewed the request at 2026-03-01T03:00:00Z.\nResolution: DENIED"},
		{access.Review{Author: "bob\nbot", State: access.Denied, Reason: hostile, Time: at},
			"bob bot reviewed the request at 2026-03-01T03:00:00Z.\nResolution: DENIED\nReason: urgent Resolution: APPROVED [31mevil"},
	} {
		if got := ReviewNote(tt.review); got != tt.want {
			t.Errorf("got %q\nwant %q", got, tt.want)
		}
	}
	long := ReviewNote(access.Review{Author: strings.Repeat("b", 5000), State: access.Denied, Reason: strings.Repeat("no ", 5000), Time: at})
	if n := utf8.RuneCountInString(long); n > textLimit || !strings.HasSuffix(long, "…") {
		t.Errorf("a long note has %d characters, at most %d are allowed", n, textLimit)
	}
}

func TestDecisionNote(t *testing.T) {
	for _, tt := range []struct {
		state  access.State
		reason string
		want   string
	}{
		{access.Approved, "on call", "Access request has been approved\nReason: on call"},
		{access.Denied, "", "Access request has been denied"},
		{access.Promoted, "", "Access request has been promoted"},
		{access.Expired, "", "Access request has been expired"},
		{access.Denied, "a\nb", "Access request has been denied\nReason: a b"},
	} {
		if got := DecisionNote(tt.state, tt.reason); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestStillPendingNote(t *testing.T) {
	const first = "This incident is resolved, but the access request is still pending.\n"
	if got, want := StillPendingNote("R", "https://p/web/requests/R", false), first+"Decide it at https://p/web/requests/R"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := StillPendingNote("R", "https://p/web/requests/R", true), "This incident was resolved, but the access request is still pending: the incident is open again.\nDecide it at https://p/web/requests/R"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := StillPendingNote("R", "", false), first+"Decide it with: tctl requests approve R (or deny)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDenialReason(t *testing.T) {
	for who, want := range map[string]string{
		"Bob":          "Denied by pdhook: Bob resolved PagerDuty incident Q1, which asked for this decision.",
		"Bob\n\u202eX": "Denied by pdhook: Bob X resolved PagerDuty incident Q1, which asked for this decision.",
	} {
		if got := DenialReason(access.LinkedIncident{ID: "Q1"}, who); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestReviewReasonEndsWithWhatProvesIt(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	user := access.User{ID: "UALICE"}
	for _, tt := range []struct {
		name     string
		evidence access.Evidence
		want     string
	}{
		{"by a policy's schedule", access.Evidence{User: user, OnCall: access.OnCall{Policy: "PPAY", Level: 1, Schedule: "SCHED"}, ReadAt: at},
			"pdhook: basis=none oncall=PPAY/1/UALICE/SCHED read=2026-03-01T03:00:00Z"},
		{"by a policy", access.Evidence{User: user, OnCall: access.OnCall{Policy: "PPAY", Level: 2}, ReadAt: at},
			"pdhook: basis=none oncall=PPAY/2/UALICE read=2026-03-01T03:00:00Z"},
		{"by a schedule", access.Evidence{User: user, OnCall: access.OnCall{Schedule: "SNIGHT"}, ReadAt: at},
			"pdhook: basis=none oncall=SNIGHT/UALICE read=2026-03-01T03:00:00Z"},
		{"with incidents", access.Evidence{User: user, OnCall: access.OnCall{Policy: "PPAY", Level: 1}, ReadAt: at, Incidents: []access.Incident{{ID: "Q1"}, {ID: "Q2"}}},
			"pdhook: basis=Q1,Q2 oncall=PPAY/1/UALICE read=2026-03-01T03:00:00Z"},
	} {
		d := access.Decision{Sentence: "alice is on call for pay\nments (level 1, always)", Evidence: &tt.evidence}
		if got, want := ReviewReason(d), "Approved by pdhook: alice is on call for pay ments (level 1, always).\n"+tt.want; got != want {
			t.Errorf("%s: got %q\nwant %q", tt.name, got, want)
		}
		d.Sentence = strings.Repeat("🚒", 9000)
		if got := ReviewReason(d); len(got) > 4096 || !strings.HasSuffix(got, "….\n"+tt.want) {
			t.Errorf("%s: a long reason has %d bytes, Teleport takes 4096, and ends in %q", tt.name, len(got), got[len(got)-80:])
		}
	}
}

func TestPdhookKnowsItsOwnReviewAndIsNotTakenInByAQuotation(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	ours := ReviewReason(access.Decision{Sentence: "alice is on call for payments\n" + hostile, Evidence: &access.Evidence{
		User: access.User{ID: "UALICE"}, OnCall: access.OnCall{Policy: "PPAY", Level: 1}, ReadAt: at}})
	line := ours[strings.LastIndex(ours, "\n"):]
	denial := DenialReason(access.LinkedIncident{ID: "Q1"}, "Bob\n"+hostile)
	for _, tt := range []struct {
		name   string
		review access.Review
		want   bool
	}{
		{"by the user that pdhook is", access.Review{Author: "bot", State: access.Denied, Reason: "by hand", Time: at}, true},
		{"under another name", access.Review{Author: "oldbot", State: access.Approved, Reason: ours, Time: at.Add(9 * time.Second)}, true},
		{"under another name, with clocks apart", access.Review{Author: "oldbot", State: access.Approved, Reason: ours, Time: at.Add(-4 * time.Minute)}, true},
		{"under another name, at a time not shown", access.Review{Author: "oldbot", State: access.Approved, Reason: ours}, true},
		{"a person's", access.Review{Author: "bob", State: access.Approved, Reason: "looks good", Time: at}, false},
		{"quoted with another request's facts", access.Review{Author: "bob", State: access.Approved, Reason: ours, Time: at.Add(time.Hour)}, false},
		{"quoted before words", access.Review{Author: "bob", State: access.Approved, Reason: ours + "\nas last time", Time: at}, false},
		{"quoted after words", access.Review{Author: "bob", State: access.Approved, Reason: "Again: " + ours, Time: at}, false},
		{"its last line alone", access.Review{Author: "bob", State: access.Approved, Reason: "fine" + line, Time: at}, false},
		{"quoted in a denial", access.Review{Author: "bob", State: access.Denied, Reason: ours, Time: at}, false},
		{"a denial under another name", access.Review{Author: "oldbot", State: access.Denied, Reason: denial, Time: at}, true},
		{"a person's denial", access.Review{Author: "bob", State: access.Denied, Reason: "Bob resolved PagerDuty incident Q1", Time: at}, false},
		{"a denial quoted in an approval", access.Review{Author: "bob", State: access.Approved, Reason: denial, Time: at}, false},
		{"a denial quoted after words", access.Review{Author: "bob", State: access.Denied, Reason: "Again: " + denial, Time: at}, false},
		{"with a time that is none", access.Review{Author: "bob", State: access.Approved, Reason: strings.Replace(ours, "read=2026", "read=soon", 1), Time: at}, false},
	} {
		if got := Reviewed(access.Request{Reviews: []access.Review{tt.review}}, "bot"); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
