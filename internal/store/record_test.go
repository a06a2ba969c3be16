package store

import (
	"errors"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func no(id access.RequestID, sentence string, at time.Time) access.Decision {
	return access.Decision{
		Request: id, Verdict: access.No, Cause: "poll", Time: at, Sentence: sentence, Next: at.Add(time.Hour),
		Checks: []access.Check{{
			Name: "on call", Status: access.Failed, ReadAt: at, Sentence: sentence,
			Children: []access.Check{{Name: "user", Status: access.Passed, ReadAt: at}},
		}},
	}
}

func TestLinkAndDecisionAreReadBackAfterReopen(t *testing.T) {
	r := newRig(t)
	link := pending("r1", "P1")
	link.Incidents = []access.LinkedIncident{{ID: "Q1", Key: "k", Service: "P1", AcknowledgedBy: []string{"Bob"}}}
	link.Named.ServiceNames = []string{"Payments"}
	decision := no("r1", "alice is not on call", noon)
	r.record(access.Outcome{Link: &link, Decision: &decision})
	r.reopen()

	wantSame(t, "link", must[access.Link](t)(r.Link(t.Context(), "r1")), link)
	wantSame(t, "open links", must[[]access.Link](t)(r.OpenLinks(t.Context())), []access.Link{link})
	wantSame(t, "decision", must[access.Decision](t)(r.Decision(t.Context(), "r1")), decision)
	if _, err := r.Link(t.Context(), "r"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("unknown link: got error %v, want not found", err)
	}
	if _, err := r.Decision(t.Context(), "r11"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("unknown decision: got error %v, want not found", err)
	}
}

func TestPendingRequestsAreFoundByServiceIDOrFoldedName(t *testing.T) {
	r := newRig(t)
	byID, byName, both := pending("r1", "P1"), pending("r2"), pending("r3", "P1")
	byName.Named.ServiceNames = []string{"Payments"}
	both.Named.ServiceNames = []string{"PAYMENTS", "Search\x00"}
	for _, l := range []access.Link{byID, byName, both} {
		r.record(access.Outcome{Link: &l})
	}
	r.reopen()
	for _, row := range []struct {
		id   access.ServiceID
		name string
		want []access.RequestID
	}{
		{"P1", "", []access.RequestID{"r1", "r3"}},
		{"", "payments", []access.RequestID{"r2", "r3"}},
		{"P1", "pAYMENTS", []access.RequestID{"r1", "r2", "r3"}},
		{"", "Search\x00", []access.RequestID{"r3"}},
		{"", "Search", nil},
		{"P", "Pay", nil},
		{"", "", nil},
	} {
		got := must[[]access.RequestID](t)(r.PendingForService(t.Context(), row.id, row.name))
		wantSame(t, "pending for "+string(row.id)+"|"+row.name, got, row.want)
	}
}

func TestIndexesMoveWithTheLink(t *testing.T) {
	r := newRig(t)
	link := pending("r1", "P1")
	link.Named.ServiceNames = []string{"Old"}
	link.Incidents = []access.LinkedIncident{{ID: "Q1"}}
	r.record(access.Outcome{Link: &link})

	link.Named = access.Named{Services: []access.ServiceID{"P2", ""}, ServiceNames: []string{"New", ""}}
	link.Incidents = []access.LinkedIncident{{ID: "Q2", MergedInto: "Q3"}}
	r.record(access.Outcome{Link: &link})
	r.reopen()
	r.wantFound(map[string]bool{"P1": false, "Old": false, "P2": true, "New": true}, map[access.IncidentID]bool{"Q1": false, "Q2": true, "Q3": true, "": false})

	link.State = access.Approved // open still: a note is missing
	r.record(access.Outcome{Link: &link})
	r.wantFound(map[string]bool{"P2": false, "New": false}, nil)
	if got := must[[]access.Link](t)(r.OpenLinks(t.Context())); len(got) != 1 {
		t.Errorf("got %d open links, want 1", len(got))
	}

	link.State, link.Finished = access.Pending, noon // finished without a decision
	r.record(access.Outcome{Link: &link})
	r.reopen()
	r.wantFound(map[string]bool{"P2": false, "New": false}, map[access.IncidentID]bool{"Q2": true, "Q3": true})
	if got := must[[]access.Link](t)(r.OpenLinks(t.Context())); len(got) != 0 {
		t.Errorf("got %d open links, want none", len(got))
	}
}

// wantFound looks for r1 by service, as an ID and as a name, and by incident.
func (r *rig) wantFound(services map[string]bool, incidents map[access.IncidentID]bool) {
	r.t.Helper()
	for service, want := range services {
		got := must[[]access.RequestID](r.t)(r.PendingForService(r.t.Context(), access.ServiceID(service), service))
		if (len(got) == 1) != want {
			r.t.Errorf("pending for service %q: got %v, want found %v", service, got, want)
		}
	}
	for id, want := range incidents {
		got := must[[]access.RequestID](r.t)(r.RequestsOfIncident(r.t.Context(), id))
		if (len(got) == 1) != want {
			r.t.Errorf("requests of incident %q: got %v, want found %v", id, got, want)
		}
	}
}

func TestRecordThatDiffersInNothingWritesNothing(t *testing.T) {
	stub := &engineStub{}
	r := newRig(t, stubbed(stub))
	link, decision := pending("r1", "P1"), no("r1", "alice is not on call", noon)
	r.record(access.Outcome{Link: &link, Decision: &decision})
	before := stub.count()

	later := noon.Add(time.Minute)
	link.Updated, decision = later, no("r1", "alice is not on call", later)
	decision.Cause = access.CauseTimer
	r.record(access.Outcome{Link: &link, Decision: &decision, Finished: []access.EventID{"unknown"}})
	r.record(access.Outcome{Link: &link})
	if got := stub.count() - before; got != 0 {
		t.Errorf("got %d commits for what is stored already, want none", got)
	}
	if got := must[access.Link](t)(r.Link(t.Context(), "r1")); !got.Updated.Equal(noon) {
		t.Errorf("updated: got %v, want noon", got.Updated)
	}

	decision.Sentence = "something else"
	r.record(access.Outcome{Link: &link, Decision: &decision})
	if got := stub.count() - before; got != 1 {
		t.Errorf("got %d commits for a new decision, want 1", got)
	}
}

func TestApprovalIsRecordedWithTheTimeOfItsEvidence(t *testing.T) {
	r := newRig(t)
	yes := access.Decision{Request: "r1", Verdict: access.Approve, Time: noon, Evidence: &access.Evidence{ReadAt: noon}}
	r.record(access.Outcome{Decision: &yes})
	yes.Evidence = &access.Evidence{ReadAt: noon.Add(time.Second)}
	r.record(access.Outcome{Decision: &yes})
	r.reopen()
	if got := must[access.Decision](t)(r.Decision(t.Context(), "r1")); !got.Evidence.ReadAt.Equal(noon.Add(time.Second)) {
		t.Errorf("evidence read at %v, want a second past noon", got.Evidence.ReadAt)
	}
}

func TestOutcomeIsAboutOneRequest(t *testing.T) {
	r := newRig(t)
	one, two := pending("r1"), no("r2", "", noon)
	for name, o := range map[string]access.Outcome{
		"two requests": {Link: &one, Decision: &two},
		"none":         {Finished: []access.EventID{"e1"}},
	} {
		if err := r.Record(t.Context(), o); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
}
