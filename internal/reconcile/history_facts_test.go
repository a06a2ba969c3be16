package reconcile

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// kind is what a fact is about.
type kind string

const (
	made         kind = "is made"
	madeForeign  kind = "is made, and its plugin data names somebody's incident"
	approved     kind = "is approved"
	denied       kind = "is denied"
	gone         kind = "is gone"
	reworded     kind = "names the service alone"
	onCall       kind = "is on call"
	offCall      kind = "is no longer on call"
	outageOpens  kind = "an outage begins"
	outageAcked  kind = "the outage is acknowledged"
	outageEnds   kind = "the outage is over"
	ownAcked     kind = "its incident is acknowledged"
	ownResolved  kind = "its incident is resolved by a person"
	ownTimedOut  kind = "its incident is resolved by a time-out"
	ownMerged    kind = "its incident is merged into the outage"
	ownMoved     kind = "its incident is moved to the other service"
	renamed      kind = "the service gets another name, or its own one back"
	disabled     kind = "the service is disabled, or enabled again"
	squatted     kind = "a stranger's incident takes its key"
	squatterGone kind = "the stranger's incident is resolved"
	forbidden    kind = "Teleport refuses pdhook's reviews, or takes them again"
	ruled        kind = "a rule names the service to notify, or none any more"
	unseen       kind = "is not shown by Teleport for a while"
	ownReopened  kind = "its resolved incident is triggered again by a person"
	byAdmin      kind = "is approved or promoted by an admin, without a review"
	reconfigured kind = "the operator chooses what an early resolving does"
)

// kinds are all kinds, the likelier ones more than once.
var kinds = []kind{made, made, made, made, madeForeign, approved, approved, approved, denied, denied, gone, gone, reworded, onCall, onCall, onCall, onCall,
	offCall, offCall, outageOpens, outageOpens, outageAcked, outageAcked, outageEnds, ownAcked, ownResolved, ownResolved, ownTimedOut, ownMerged, ownMoved,
	renamed, disabled, disabled, squatted, squatterGone, forbidden, ruled, unseen, ownReopened, ownReopened, byAdmin, reconfigured, reconfigured}

// fact is something that happens outside pdhook. What cannot happen as the world is does not.
type fact struct {
	kind    kind
	request int
	service int // of theServices; for duty one more: the schedule night
	person  int // of thePeople
	later   time.Duration
}

func drawFact(t *rapid.T, requests int) fact {
	return fact{
		kind:    pick(t, "fact", kinds...),
		request: rapid.IntRange(0, requests-1).Draw(t, "request"),
		service: pick(t, "service", 0, 0, 1, 2),
		person:  pick(t, "person", 0, 0, 1),
		later:   pick(t, "later", 0, 0, 3*time.Minute),
	}
}

func (f fact) id() access.RequestID { return requestOf(f.request) }

func (f fact) serviceID() access.ServiceID {
	return []access.ServiceID{"SPAY", "SSHIP", "SPAY"}[f.service]
}

func (f fact) policyID() access.PolicyID { return []access.PolicyID{"PPAY", "PSHIP", ""}[f.service] }

func (f fact) String() string {
	who, where := thePeople[f.person], f.serviceID()
	switch f.kind {
	case made, gone, unseen, byAdmin:
		return fmt.Sprintf("%s %s", f.id(), f.kind)
	case approved, denied:
		return fmt.Sprintf("%s %s by %s", f.id(), f.kind, f.reviewer())
	case onCall:
		return fmt.Sprintf("%s %s for %s, starting in %s", who, f.kind, append(theServices, "night")[f.service], f.later)
	case offCall:
		return fmt.Sprintf("%s %s", who, f.kind)
	case outageOpens, outageAcked:
		return fmt.Sprintf("%s on %s by %s", f.kind, where, who)
	case forbidden, reconfigured:
		return string(f.kind)
	case outageEnds, renamed, disabled, ruled:
		return fmt.Sprintf("%s on %s", f.kind, where)
	}
	return fmt.Sprintf("%s: %s on %s", f.id(), f.kind, where)
}

func (f fact) reviewer() string { return []string{"bob", "erin"}[f.person] }

// hint is what pdhook may hear of a fact, from one of its sources.
type hint struct {
	source  string // "watch", "list", "webhook", "poll", "rules" or "reload"
	request access.RequestID
	cause   string
	user    string // whose duty changed
	event   access.Event
}

func watched(id access.RequestID, cause string) []hint {
	return []hint{{source: "watch", request: id, cause: cause}}
}

func webhook(kind string, i access.Incident) []hint {
	return []hint{{source: "webhook", event: access.Event{Type: kind, Incidents: []access.IncidentID{i.ID}, IncidentKey: i.Key, Service: i.Service}}}
}

// happen changes the world and tells what pdhook may hear of it. It is called with the world locked.
func (f fact) happen(r *run) []hint {
	w := r.w
	req, there := w.requests[f.id()]
	switch f.kind {
	case made, madeForeign:
		return r.make(f)
	case approved, denied:
		if _, again := req.ReviewBy(f.reviewer()); !there || again || req.State != access.Pending {
			return nil
		}
		state := map[kind]access.State{approved: access.Approved, denied: access.Denied}[f.kind]
		if _, err := w.review(f.id(), f.reviewer(), state, "as I see it"); err != nil {
			r.fault("%s: %v", f, err)
		}
		return watched(f.id(), access.CauseChanged)
	case gone:
		if !there {
			return nil
		}
		delete(w.requests, f.id())
		return watched(f.id(), access.CauseGone)
	case reworded:
		if !there {
			return nil
		}
		req.Annotations = maps.Clone(req.Annotations)
		req.Annotations["services"], req.Annotations["schedules"] = []string{theServices[f.service%2]}, nil
		w.requests[f.id()] = req
		return watched(f.id(), access.CauseChanged)
	case onCall, offCall:
		return f.duty(w)
	case outageOpens, outageAcked, outageEnds:
		return f.outage(w)
	case renamed, disabled:
		r.renamed = r.renamed || f.kind == renamed
		return f.reorganise(w)
	case squatted, squatterGone:
		return f.squat(w)
	case unseen:
		if !there {
			return nil
		}
		r.hidden[f.id()] = time.Now().Add(time.Minute + f.later)
		r.lags[f.id()]++
		return []hint{{source: "list"}}
	case forbidden:
		w.denied = !w.denied
		return nil
	case byAdmin:
		if !there || req.State != access.Pending {
			return nil
		}
		req.State, req.ResolveReason = []access.State{access.Approved, access.Promoted}[f.person], "by tctl"
		w.requests[f.id()] = req
		return watched(f.id(), access.CauseChanged)
	case reconfigured:
		was := r.h.rules.OnIncidentResolved
		r.h.rules.OnIncidentResolved = map[policy.OnIncidentResolved][2]policy.OnIncidentResolved{
			policy.ResolvedNote:      {policy.ResolvedRetrigger, policy.ResolvedDeny},
			policy.ResolvedRetrigger: {policy.ResolvedDeny, policy.ResolvedNote},
			policy.ResolvedDeny:      {policy.ResolvedNote, policy.ResolvedRetrigger},
		}[was][f.person]
		r.policies[r.h.rules.OnIncidentResolved] = true
		return []hint{{source: "reload"}}
	case ruled:
		r.ruled = true
		if len(r.named) > 0 {
			r.named = nil
		} else {
			r.named = []string{"id:" + string(f.serviceID())}
		}
		return []hint{{source: "rules"}}
	}
	return f.own(r)
}

// make makes a request. No request is made twice.
func (r *run) make(f fact) []hint {
	a, outage := r.h.wishes[f.request], latest(r.w, isOutage(f.serviceID()))
	if r.made[f.id()] || f.kind == madeForeign && outage == nil {
		return nil
	}
	r.made[f.id()] = true
	r.w.requests[f.id()] = access.Request{
		ID: f.id(), User: a.user, Roles: a.roles, State: access.Pending, Reason: "disk is full",
		Created: time.Now(), Expires: time.Now().Add(20 * time.Hour), AccessExpires: time.Now().Add(22 * time.Hour),
		Annotations: map[string][]string{"notify": a.notify, "services": a.services, "schedules": a.schedules},
	}
	if f.kind == madeForeign {
		r.w.data[f.id()] = map[string]string{keyIncident: string(outage.ID), keyService: string(outage.Service)}
	}
	return watched(f.id(), access.CauseCreated)
}

func (f fact) duty(w *world) []hint {
	user := w.users[thePeople[f.person]]
	changed := []hint{{source: "poll", user: user.Email}}
	before := len(w.onCalls)
	if f.kind == offCall {
		w.onCalls = slices.DeleteFunc(slices.Clone(w.onCalls), func(e access.OnCall) bool { return e.User.ID == user.ID })
		if before == len(w.onCalls) {
			return nil
		}
		return changed
	}
	start := time.Now().Add(f.later)
	if f.policyID() == "" {
		w.schedules = slices.Clone(w.schedules)
		w.schedules[0].Shifts = append(slices.Clone(w.schedules[0].Shifts), access.Shift{User: user.ID, Start: start})
		return changed
	}
	level := 1 + f.request%2
	w.onCalls = append(slices.Clone(w.onCalls), access.OnCall{User: user, Policy: f.policyID(), Level: level, Start: start})
	return changed
}

// isOutage picks the incidents of others on a service that are open.
func isOutage(service access.ServiceID) func(access.Incident) bool {
	return func(i access.Incident) bool {
		return i.Open() && i.Service == service && i.TriggeredBy != bot && !strings.HasPrefix(i.Key, access.KeyPrefix)
	}
}

// latest gives the newest of the incidents that are meant, to be changed in place; nil when there is none.
func latest(w *world, meant func(access.Incident) bool) *access.Incident {
	for i := range slices.Backward(w.incidents) {
		if meant(w.incidents[i]) {
			return &w.incidents[i]
		}
	}
	return nil
}

func (f fact) outage(w *world) []hint {
	outage := latest(w, isOutage(f.serviceID()))
	switch {
	case f.kind == outageOpens && outage == nil:
		by := []access.UserID{stranger, w.users[thePeople[1]].ID}[f.person]
		return webhook("incident.triggered", w.incident("outage", f.serviceID(), by))
	case f.kind == outageAcked && outage != nil:
		w.acknowledgedBy(outage.ID, w.users[thePeople[f.person]])
		return webhook("incident.acknowledged", *outage)
	case f.kind == outageEnds && outage != nil:
		w.resolvedBySomebody(outage.ID)
		return webhook("incident.resolved", *outage)
	}
	return nil
}

// reorganise is an admin at work on a service.
func (f fact) reorganise(w *world) []hint {
	changed := []hint{{source: "webhook", event: access.Event{Type: "service.updated", Service: f.serviceID()}}}
	if f.kind == disabled {
		if _, is := w.refuse[f.serviceID()]; is {
			delete(w.refuse, f.serviceID())
			return changed
		}
		w.refuse[f.serviceID()] = &access.Failure{Class: access.Permanent, Err: fmt.Errorf("service %s is disabled", f.serviceID())}
		return changed
	}
	w.services = slices.Clone(w.services)
	for i, s := range w.services {
		if s.ID == f.serviceID() {
			w.services[i].Name = map[string]string{"payments": "old payments", "old payments": "payments", "shipping": "old shipping", "old shipping": "shipping"}[s.Name]
			changed[0].event.ServiceName = w.services[i].Name
		}
	}
	return changed
}

// squat is a stranger's incident that has the key of a request. PagerDuty has no second open one with the same key.
func (f fact) squat(w *world) []hint {
	holder := latest(w, func(i access.Incident) bool {
		return i.Open() && i.Service == f.serviceID() && i.Key == access.IncidentKey(f.id())
	})
	switch {
	case f.kind == squatted && holder == nil:
		return webhook("incident.triggered", w.incident(access.IncidentKey(f.id()), f.serviceID(), stranger))
	case f.kind == squatterGone && holder != nil && holder.TriggeredBy == stranger:
		w.resolvedBySomebody(holder.ID)
		return webhook("incident.resolved", *holder)
	}
	return nil
}

// own is what people do to an incident of pdhook's that is open.
func (f fact) own(r *run) []hint {
	w := r.w
	if f.kind == ownReopened {
		own := latest(w, func(i access.Incident) bool {
			return !i.Open() && i.MergedInto == "" && r.opened(i, f.id(), f.serviceID())
		})
		if own == nil || latest(w, func(i access.Incident) bool { return i.Open() && i.Service == own.Service && i.Key == own.Key }) != nil {
			return nil
		}
		r.touched[own.ID], r.revived[own.ID] = true, true
		own.Status = access.Triggered
		delete(w.resolvers, own.ID)
		return webhook("incident.reopened", *own)
	}
	own := latest(w, func(i access.Incident) bool { return i.Open() && r.opened(i, f.id(), f.serviceID()) })
	if own == nil {
		return nil
	}
	r.touched[own.ID] = true
	switch f.kind {
	case ownAcked:
		w.acknowledgedBy(own.ID, w.users[thePeople[f.person]])
		return webhook("incident.acknowledged", *own)
	case ownResolved:
		w.resolvedBySomebody(own.ID)
	case ownTimedOut:
		w.resolvedBy(own.ID, access.User{})
	case ownMerged:
		survivor := latest(w, isOutage([]access.ServiceID{f.serviceID(), "SSHIP"}[f.person]))
		if survivor == nil {
			return nil
		}
		own.Status, own.MergedInto = access.Resolved, survivor.ID
		r.survivors[survivor.ID] = append(r.survivors[survivor.ID], f.id())
	case ownMoved:
		r.moved[own.ID] = time.Now()
		own.Service = map[access.ServiceID]access.ServiceID{"SPAY": "SSHIP", "SSHIP": "SPAY"}[own.Service]
		return webhook("incident.service_updated", *own)
	}
	return webhook("incident.resolved", *own)
}
