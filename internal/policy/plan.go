package policy

import (
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// Kind is what an Action does.
type Kind string

// The kinds of actions, in the order in which one reconcile does them (spec §5).
const (
	SubmitReview Kind = "review" // approves
	SubmitDenial Kind = "denial"
	OpenIncident Kind = "incident"
	Reopen       Kind = "reopen"
	AddNote      Kind = "note"
	Resolve      Kind = "resolve"
)

// Kinds lists them.
func Kinds() []Kind {
	return []Kind{SubmitReview, SubmitDenial, OpenIncident, Reopen, AddNote, Resolve}
}

// Action is one effect that is still missing.
type Action struct {
	Kind  Kind
	Index int                          // which of Link.Incidents; unused for SubmitReview
	Text  string                       // of a note
	Mark  func(*access.LinkedIncident) // records the effect as done
}

// Lane names the sequence an action belongs to: after a failure the rest of its lane waits, the others go on.
func (a Action) Lane() int {
	if a.Kind == SubmitReview || a.Kind == SubmitDenial {
		return ReviewLane
	}
	return a.Index
}

// ReviewLane is the lane of pdhook's one review.
const ReviewLane = -1

// Work is where a request stands: what Teleport says of it, what was decided, and what is done.
type Work struct {
	Request  access.Request // with State Expired when it is gone
	Decision access.Decision
	Link     access.Link
	URL      string // the request's page, "" unknown

	// Claimed: pdhook announced to open incidents while the request was pending. A request that is decided
	// or gone opens none without it (spec §5).
	Claimed bool
	Blocked map[int]bool // lanes that failed in this reconcile

	OnResolved OnIncidentResolved
	Reviewed   bool                         // pdhook has reviewed the request
	ResolvedBy map[access.IncidentID]string // the person who resolved an incident early; "" was none. Read only to deny
}

// Next gives the first action that is missing and not blocked. An empty answer means that nothing is to
// be done: running the loop twice does nothing the second time.
func Next(w Work) (Action, bool) {
	if w.Request.State == access.Pending && w.Decision.Verdict == access.Approve && !w.Blocked[ReviewLane] {
		return Action{Kind: SubmitReview}, true
	}
	for i, incident := range w.Link.Incidents {
		if w.denies(incident) && !w.Blocked[ReviewLane] && !w.Blocked[i] {
			return Action{Kind: SubmitDenial, Index: i, Text: DenialReason(incident, w.ResolvedBy[incident.ID])}, true
		}
	}
	for i, incident := range w.Link.Incidents {
		if incident.ID == "" && !incident.Ended && !w.Blocked[i] && (w.Request.State == access.Pending || w.Claimed) {
			return Action{Kind: OpenIncident, Index: i}, true
		}
	}
	for i, incident := range w.Link.Incidents {
		if incident.ID == "" || incident.Ended || w.Blocked[i] {
			continue
		}
		if a, ok := nextOn(w, incident); ok {
			a.Index = i
			return a, true
		}
	}
	return Action{}, false
}

// ResolvedEarly reports whether an incident is resolved that pdhook did not end. A merged one is not: it goes on
// as its survivor.
func ResolvedEarly(i access.LinkedIncident) bool {
	return i.Status == access.Resolved && i.MergedInto == "" && !i.Ended
}

// Reopens reports whether the incident is to be triggered again, which happens once (policy.on_incident_resolved).
// One whose end was told already was ended under another policy.
func (w Work) Reopens(i access.LinkedIncident) bool {
	return w.Request.State == access.Pending && w.OnResolved == ResolvedRetrigger && ResolvedEarly(i) && !i.Reopened && !i.StillNoted
}

// denies reports whether somebody's resolving of the incident denies the request.
func (w Work) denies(i access.LinkedIncident) bool {
	return w.Request.State == access.Pending && w.OnResolved == ResolvedDeny && !w.Reviewed &&
		ResolvedEarly(i) && !i.StillNoted && w.ResolvedBy[i.ID] != ""
}

// nextOn gives what is missing on one open incident: notes in order, then its end.
func nextOn(w Work, incident access.LinkedIncident) (Action, bool) {
	if w.Reopens(incident) {
		return Action{Kind: Reopen, Mark: func(l *access.LinkedIncident) { l.Reopened = true }}, true
	}
	if w.Request.State == access.Pending && (ResolvedEarly(incident) || incident.Reopened) && !incident.StillNoted {
		return Action{Kind: AddNote, Text: StillPendingNote(w.Request.ID, w.URL, !ResolvedEarly(incident)),
			Mark: func(l *access.LinkedIncident) { l.StillNoted = true }}, true
	}
	if incident.Reviews < len(w.Request.Reviews) { // Teleport appends reviews: what was counted stays counted
		return Action{Kind: AddNote, Text: ReviewNote(w.Request.Reviews[incident.Reviews]),
			Mark: func(l *access.LinkedIncident) { l.Reviews++ }}, true
	}
	if w.Request.State == access.Pending {
		return Action{}, false
	}
	if !incident.Noted {
		return Action{Kind: AddNote, Text: DecisionNote(w.Request.State, w.Request.ResolveReason),
			Mark: func(l *access.LinkedIncident) { l.Noted = true }}, true
	}
	return Action{Kind: Resolve, Mark: func(l *access.LinkedIncident) { l.Ended = true }}, true
}

// Finished reports whether nothing is left to do for a request that is decided or gone.
func Finished(w Work) bool {
	if w.Request.State == access.Pending {
		return false
	}
	return !slices.ContainsFunc(w.Link.Incidents, func(i access.LinkedIncident) bool {
		return i.ID != "" && !i.Ended
	})
}

// Owned is the own test of spec §5: an incident is pdhook's if it has exactly the request's key, is on the
// service that was notified and was triggered by the user of user_email. The answer says what is foreign.
func Owned(i access.Incident, id access.RequestID, service access.ServiceID, bot access.UserID) (bool, string) {
	switch {
	case i.Key != access.IncidentKey(id) && i.Key != access.FallbackIncidentKey(id):
		return false, "its incident_key is another"
	case i.Service != service:
		return false, "it is on another service"
	case i.TriggeredBy == "" || i.TriggeredBy != bot:
		return false, "somebody else triggered it"
	}
	return true, ""
}
