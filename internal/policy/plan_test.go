package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

var (
	byBot   = access.Review{Author: "bot", State: access.Approved}
	byBob   = access.Review{Author: "bob", State: access.Approved}
	byCarol = access.Review{Author: "carol", State: access.Denied}
)

func work(state access.State, verdict access.Verdict, incidents ...access.LinkedIncident) Work {
	return Work{Request: access.Request{ID: "R", State: state}, Decision: access.Decision{Verdict: verdict},
		Link: access.Link{Incidents: incidents}, Blocked: map[int]bool{}}
}

func reviewed(w Work, reviews ...access.Review) Work { w.Request.Reviews = reviews; return w }
func claimed(w Work) Work                            { w.Claimed = true; return w }
func under(o OnIncidentResolved, w Work) Work        { w.OnResolved = o; return w }
func ourReview(w Work) Work                          { w.Reviewed = true; return w }

// byWhom says who resolved incident Q1; "" is a time-out or automation.
func byWhom(who string, w Work) Work {
	w.ResolvedBy = map[access.IncidentID]string{"Q1": who}
	return w
}
func blocked(w Work, lanes ...int) Work {
	for _, lane := range lanes {
		w.Blocked[lane] = true
	}
	return w
}

// say tells an action in a word, the number of its incident and the beginning of its note.
func say(a Action, ok bool) string {
	switch {
	case !ok:
		return "nothing"
	case a.Kind == SubmitReview:
		return "review"
	case a.Kind == AddNote:
		first, _, _ := strings.Cut(a.Text, " at ")
		first, _, _ = strings.Cut(first, "\n")
		return fmt.Sprintf("note %d: %s", a.Index, first)
	}
	return fmt.Sprintf("%s %d", a.Kind, a.Index)
}

func TestTheFirstActionThatIsMissing(t *testing.T) {
	planned, open := access.LinkedIncident{Ref: "payments"}, access.LinkedIncident{ID: "Q1"}
	resolved := access.LinkedIncident{ID: "Q1", Status: access.Resolved}
	told := access.LinkedIncident{ID: "Q1", Status: access.Resolved, StillNoted: true}
	merged := access.LinkedIncident{ID: "Q1", Status: access.Resolved, MergedInto: "Q9"}
	noted := access.LinkedIncident{ID: "Q1", Reviews: 1}
	ended := access.LinkedIncident{ID: "Q1", Noted: true, Ended: true}
	reopened := access.LinkedIncident{ID: "Q1", Status: access.Triggered, Reopened: true}
	again := access.LinkedIncident{ID: "Q1", Status: access.Resolved, Reopened: true, StillNoted: true}
	for _, tt := range []struct {
		name string
		work Work
		want string
	}{
		{"pending, nothing there", work(access.Pending, access.No, planned), "incident 0"},
		{"pending, nothing to notify", work(access.Pending, access.No), "nothing"},
		{"pending, could not tell", work(access.Pending, access.CouldNotTell, planned), "incident 0"},
		{"pending, approvable: the review comes first", work(access.Pending, access.Approve, planned), "review"},
		{"pending, approvable, the review failed", blocked(work(access.Pending, access.Approve, planned), -1), "incident 0"},
		{"pending, already reviewed", work(access.Pending, access.Already, planned), "incident 0"},
		{"pending, the incident is open", work(access.Pending, access.No, open), "nothing"},
		{"pending, a review to tell", reviewed(work(access.Pending, access.No, open), byBob), "note 0: bob reviewed the request"},
		{"pending, the review is told", reviewed(work(access.Pending, access.No, noted), byBob), "nothing"},
		{"pending, one of two reviews is told", reviewed(work(access.Pending, access.No, noted), byBob, byCarol), "note 0: carol reviewed the request"},
		{"pending, resolved early", work(access.Pending, access.No, resolved), "note 0: This incident is resolved, but the access request is still pending."},
		{"pending, resolved early and told", work(access.Pending, access.No, told), "nothing"},
		{"pending, resolved early, retrigger", under(ResolvedRetrigger, work(access.Pending, access.No, resolved)), "reopen 0"},
		{"pending, reopened", under(ResolvedRetrigger, work(access.Pending, access.No, reopened)),
			"note 0: This incident was resolved, but the access request is still pending: the incident is open again."},
		{"pending, reopened and told", under(ResolvedRetrigger, work(access.Pending, access.No, access.LinkedIncident{ID: "Q1", Reopened: true, StillNoted: true})), "nothing"},
		{"pending, reopened and told, resolved again", under(ResolvedRetrigger, work(access.Pending, access.No, again)), "nothing"},
		{"pending, reopened, resolved again before it was told", under(ResolvedRetrigger, work(access.Pending, access.No,
			access.LinkedIncident{ID: "Q1", Status: access.Resolved, Reopened: true})), "note 0: This incident is resolved, but the access request is still pending."},
		{"pending, resolved early and told before it was to be reopened", under(ResolvedRetrigger, work(access.Pending, access.No, told)), "nothing"},
		{"pending, merged, retrigger", under(ResolvedRetrigger, work(access.Pending, access.No, merged)), "nothing"},
		{"pending, open, retrigger", under(ResolvedRetrigger, work(access.Pending, access.No, open)), "nothing"},
		{"pending, resolved early, reopening failed", blocked(under(ResolvedRetrigger, work(access.Pending, access.No, resolved)), 0), "nothing"},
		{"denied, resolved early, retrigger", under(ResolvedRetrigger, work(access.Denied, "", resolved)), "note 0: Access request has been denied"},
		{"expired, reopened", under(ResolvedRetrigger, work(access.Expired, "", reopened)), "note 0: Access request has been expired"},

		{"pending, resolved by a person, deny", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, resolved))), "denial 0"},
		{"pending, resolved by a person, deny: comes before what is to be opened", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, resolved, planned))), "denial 0"},
		{"pending, resolved by a person, deny, but approvable", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.Approve, resolved))), "review"},
		{"pending, resolved by automation, deny", under(ResolvedDeny, byWhom("", work(access.Pending, access.No, resolved))),
			"note 0: This incident is resolved, but the access request is still pending."},
		{"pending, resolved by a person, deny, pdhook has reviewed", under(ResolvedDeny, ourReview(byWhom("Bob", work(access.Pending, access.Already, resolved)))),
			"note 0: This incident is resolved, but the access request is still pending."},
		{"pending, resolved by a person, deny, Teleport refuses reviews", blocked(under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, resolved))), ReviewLane),
			"note 0: This incident is resolved, but the access request is still pending."},
		{"pending, resolved by a person, deny, told before", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, told))), "nothing"},
		{"pending, resolved by a person, deny, its lane failed", blocked(under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, resolved))), 0), "nothing"},
		{"pending, merged, deny", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, merged))), "nothing"},
		{"pending, ended, deny", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, access.LinkedIncident{ID: "Q1", Status: access.Resolved, Ended: true}))), "nothing"},
		{"denied, resolved by a person, deny", under(ResolvedDeny, byWhom("Bob", work(access.Denied, "", resolved))), "note 0: Access request has been denied"},
		{"pending, resolved by a person, note", under(ResolvedNote, byWhom("Bob", work(access.Pending, access.No, resolved))),
			"note 0: This incident is resolved, but the access request is still pending."},
		{"pending, merged", work(access.Pending, access.No, merged), "nothing"},
		{"merged, a review to tell", reviewed(work(access.Pending, access.No, merged), byBob), "note 0: bob reviewed the request"},
		{"pending, the second service is missing", work(access.Pending, access.No, open, planned), "incident 1"},
		{"pending, the missing one failed", blocked(work(access.Pending, access.No, open, planned), 1), "nothing"},
		{"pending, another name of one service", work(access.Pending, access.No, open, access.LinkedIncident{Ref: "twin", Ended: true}), "nothing"},

		{"approved before anything was announced", work(access.Approved, "", planned), "nothing"},
		{"approved after it was announced", claimed(work(access.Approved, "", planned)), "incident 0"},
		{"denied, a review to tell", reviewed(work(access.Denied, "", open), byCarol), "note 0: carol reviewed the request"},
		{"denied, the review is told", reviewed(work(access.Denied, "", noted), byCarol), "note 0: Access request has been denied"},
		{"denied, all is told", work(access.Denied, "", access.LinkedIncident{ID: "Q1", Noted: true}), "resolve 0"},
		{"denied, all is done", work(access.Denied, "", ended), "nothing"},
		{"denied, resolved early: not told that it is pending", work(access.Denied, "", resolved), "note 0: Access request has been denied"},
		{"expired", work(access.Expired, "", open), "note 0: Access request has been expired"},
		{"a failed lane does not stop the other", blocked(work(access.Denied, "", open, open), 0), "note 1: Access request has been denied"},
		{"every lane failed", blocked(work(access.Denied, "", open, open), 0, 1), "nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := say(Next(tt.work)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTheWholeSequenceOfActions(t *testing.T) {
	one, two := access.LinkedIncident{Ref: "payments"}, access.LinkedIncident{Ref: "shipping"}
	for _, tt := range []struct {
		name     string
		work     Work
		approved bool // Teleport approves by pdhook's review
		always   bool // what is announced is opened also after the approval
		want     []string
	}{
		{"pending", work(access.Pending, access.No, one), false, true, []string{"incident 0"}},
		{"approved at once, always", work(access.Pending, access.Approve, one), true, true,
			[]string{"review", "incident 0", "note 0: bot reviewed the request", "note 0: Access request has been approved", "resolve 0"}},
		{"approved at once, unless_approved", work(access.Pending, access.Approve, one), true, false, []string{"review"}},
		{"a threshold leaves it pending", work(access.Pending, access.Approve, one), false, false,
			[]string{"review", "incident 0", "note 0: bot reviewed the request"}},
		{"denied with two reviews", reviewed(work(access.Denied, "", access.LinkedIncident{ID: "Q1"}), byBob, byCarol), false, true,
			[]string{"note 0: bob reviewed the request", "note 0: carol reviewed the request", "note 0: Access request has been denied", "resolve 0"}},
		{"expired", work(access.Expired, "", access.LinkedIncident{ID: "Q1"}), false, true,
			[]string{"note 0: Access request has been expired", "resolve 0"}},
		{"two services, approved at once", work(access.Pending, access.Approve, one, two), true, true,
			[]string{"review", "incident 0", "incident 1",
				"note 0: bot reviewed the request", "note 0: Access request has been approved", "resolve 0",
				"note 1: bot reviewed the request", "note 1: Access request has been approved", "resolve 1"}},
		{"resolved early, then a review", reviewed(work(access.Pending, access.No, access.LinkedIncident{ID: "Q1", Status: access.Resolved}), byBob), false, true,
			[]string{"note 0: This incident is resolved, but the access request is still pending.", "note 0: bob reviewed the request"}},
		{"resolved early, reopened, then a review", reviewed(under(ResolvedRetrigger, work(access.Pending, access.No, access.LinkedIncident{ID: "Q1", Status: access.Resolved})), byBob), false, true,
			[]string{"reopen 0", "note 0: This incident was resolved, but the access request is still pending: the incident is open again.", "note 0: bob reviewed the request"}},
		{"resolved early by a person, which denies", under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, access.LinkedIncident{ID: "Q1", Status: access.Resolved}))), false, true,
			[]string{"denial 0", "note 0: bot reviewed the request", "note 0: Access request has been denied", "resolve 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.work
			w.Link.Incidents = slices.Clone(w.Link.Incidents)
			var got []string
			for range 30 {
				a, ok := Next(w)
				if !ok {
					break
				}
				got = append(got, say(a, ok))
				switch a.Kind {
				case SubmitReview:
					w.Request.Reviews = append(w.Request.Reviews, byBot)
					w.Blocked[-1] = true
					if tt.approved {
						w.Request.State, w.Claimed = access.Approved, tt.always
					}
				case SubmitDenial:
					w.Request.Reviews = append(w.Request.Reviews, access.Review{Author: "bot", State: access.Denied})
					w.Request.State, w.Reviewed = access.Denied, true
				case Reopen:
					a.Mark(&w.Link.Incidents[a.Index])
					w.Link.Incidents[a.Index].Status = access.Triggered
				case OpenIncident:
					w.Link.Incidents[a.Index].ID = access.IncidentID(fmt.Sprint("Q", a.Index))
				default:
					a.Mark(&w.Link.Incidents[a.Index])
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if want := w.Request.State != access.Pending; Finished(w) != want {
				t.Errorf("finished = %v, want %v", Finished(w), want)
			}
		})
	}
}

func TestTheDenialCarriesItsReason(t *testing.T) {
	w := under(ResolvedDeny, byWhom("Bob", work(access.Pending, access.No, access.LinkedIncident{ID: "Q1", Status: access.Resolved})))
	a, _ := Next(w)
	if want := "Denied by pdhook: Bob resolved PagerDuty incident Q1, which asked for this decision."; a.Text != want || a.Lane() != ReviewLane {
		t.Errorf("action = %+v, want the text %q in the review's lane", a, want)
	}
}

func TestWhatIsNotDoneIsNotFinished(t *testing.T) {
	if Finished(work(access.Denied, "", access.LinkedIncident{ID: "Q1", Ended: true}, access.LinkedIncident{ID: "Q2", Noted: true})) {
		t.Error("finished with an incident that is not resolved")
	}
	if Finished(work(access.Pending, access.No)) {
		t.Error("finished while pending")
	}
}

func TestOwned(t *testing.T) {
	own := access.Incident{ID: "Q1", Key: "teleport-access-request/R", Service: "SPAY", TriggeredBy: "UBOT"}
	for _, tt := range []struct {
		name   string
		change func(*access.Incident)
		want   string // why it is foreign
	}{
		{"ours", func(*access.Incident) {}, ""},
		{"ours beside a stranger's", func(i *access.Incident) { i.Key += "/2" }, ""},
		{"a third key", func(i *access.Incident) { i.Key += "/3" }, "its incident_key is another"},
		{"another request's", func(i *access.Incident) { i.Key = "teleport-access-request/S" }, "its incident_key is another"},
		{"no key", func(i *access.Incident) { i.Key = "" }, "its incident_key is another"},
		{"moved", func(i *access.Incident) { i.Service = "SSHIP" }, "it is on another service"},
		{"triggered by a person", func(i *access.Incident) { i.TriggeredBy = "UEVE" }, "somebody else triggered it"},
		{"triggered by an integration", func(i *access.Incident) { i.TriggeredBy = "" }, "somebody else triggered it"},
	} {
		i := own
		tt.change(&i)
		if ok, why := Owned(i, "R", "SPAY", "UBOT"); ok != (tt.want == "") || why != tt.want {
			t.Errorf("%s: %v, %q, want %q", tt.name, ok, why, tt.want)
		}
	}
	if ok, _ := Owned(access.Incident{Key: own.Key, Service: "SPAY"}, "R", "SPAY", ""); ok {
		t.Error("an incident of nobody belongs to an unknown bot")
	}
}

func TestConcerned(t *testing.T) {
	r := approvable().Rules
	for _, tt := range []struct {
		annotations map[string][]string
		want        bool
	}{
		{nil, false},
		{map[string][]string{"notify": {"payments"}}, true},
		{map[string][]string{"services": {"payments"}}, true},
		{map[string][]string{"schedules": {"night"}}, true},
		{map[string][]string{"services": {" ", ""}}, false},
		{map[string][]string{"email": {"a@b"}, "other": {"x"}}, false},
	} {
		if got := r.Concerned(access.Request{Annotations: tt.annotations}); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.annotations, got, tt.want)
		}
	}
	refs := r.NotifyRefs(access.Request{Annotations: map[string][]string{"notify": {"payments", " PAYMENTS ", "", "id:SPAY", "id:SPAY", "id:spay"}}})
	if want := []string{"payments", "id:SPAY", "id:spay"}; !slices.Equal(refs, want) {
		t.Errorf("services to notify = %q, want %q", refs, want)
	}
}
