package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// safety watches what pdhook does, by the world's own knowledge and not by pdhook's words. It is guarded by the
// world's lock.
type safety struct {
	w     *world
	h     history
	wrong []string

	past      []moment
	read      map[caller]time.Time                     // when Teleport last showed a process a request
	touched   map[access.IncidentID]bool               // by people
	survivors map[access.IncidentID][]access.RequestID // others' incidents, into which some of the requests were merged
	moved     map[access.IncidentID]time.Time          // to another service, or back
	reopened  map[access.IncidentID]int                // by pdhook
	lastWrite time.Time
	lags      map[access.RequestID]int           // how often Teleport did not show a request that it has
	emptied   bool                               // a store was lost, or full
	killed    bool                               // a process was
	renamed   bool                               // a service was
	revived   map[access.IncidentID]bool         // triggered again by a person
	policies  map[policy.OnIncidentResolved]bool // that were in force
	ruled     bool                               // a rule named services
}

// moment is what held from then on.
type moment struct {
	at        time.Time
	services  []access.Service
	schedules []access.Schedule
	onCalls   []access.OnCall
	incidents []access.Incident
}

func newSafety(w *world, h history) *safety {
	s := &safety{w: w, h: h, read: map[caller]time.Time{}, lags: map[access.RequestID]int{}, touched: map[access.IncidentID]bool{}, reopened: map[access.IncidentID]int{},
		revived: map[access.IncidentID]bool{}, policies: map[policy.OnIncidentResolved]bool{h.rules.OnIncidentResolved: true},
		survivors: map[access.IncidentID][]access.RequestID{}, moved: map[access.IncidentID]time.Time{}}
	s.keepMoment()
	return s
}

func (s *safety) fault(format string, args ...any) {
	s.wrong = append(s.wrong, time.Now().UTC().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// keepMoment notes what holds from now on.
func (s *safety) keepMoment() {
	s.past = append(s.past, moment{time.Now(), s.w.services, s.w.schedules, s.w.onCalls, slices.Clone(s.w.incidents)})
}

// forgotten notes that a store is lost, or has not taken something.
func (s *safety) forgotten() { s.emptied = true }

// opened reports whether pdhook opened the incident for the request on the service.
func (s *safety) opened(i access.Incident, id access.RequestID, service access.ServiceID) bool {
	of, ours := access.RequestOfKey(i.Key)
	return ours && of == id && i.TriggeredBy == bot && s.w.opened[i.ID].Service == service
}

// check looks at a call that pdhook made just now.
func (s *safety) check(c caller, name, write string) {
	if name == "get request" {
		s.read[c] = time.Now()
	}
	if write == "" {
		return
	}
	if name != "swap" { // each slow try to open an incident that is refused is claimed
		s.lastWrite = time.Now()
	}
	if s.h.rules.DryRun {
		s.fault("a dry run did %q", write)
	}
	verb, id, _ := strings.Cut(write, " ")
	switch verb {
	case "review":
		s.checkReview(c)
	case "create":
		s.checkIncident(c.request, s.w.incidents[len(s.w.incidents)-1])
	case "note":
		s.checkNotes(c.request, access.IncidentID(id))
	case "resolve", "reopen":
		s.checkStatus(c.request, verb, access.IncidentID(id))
	}
}

// checkIncident: at most one incident for each request and service, and no second one but in the place of one that
// PagerDuty does not reopen.
func (s *safety) checkIncident(id access.RequestID, incident access.Incident) {
	most := 1 + s.lags[id] // the one before was ended
	if s.h.noReopen && s.policies[policy.ResolvedRetrigger] {
		most *= 2
	}
	n := 0
	for _, i := range s.w.incidents {
		if _, moved := s.moved[i.ID]; moved || !s.opened(i, id, incident.Service) {
			continue // one that was moved is found on no service any more
		}
		n++
		if i.ID != incident.ID && i.Open() {
			s.fault("%s has the open incidents %s and %s on %s", id, i.ID, incident.ID, incident.Service)
		}
	}
	if n > most {
		s.fault("%s got %d incidents on %s", id, n, incident.Service)
	}
}

// checkNotes: each note is written once, and only where pdhook may write.
func (s *safety) checkNotes(id access.RequestID, incident access.IncidentID) {
	s.checkOwn(id, "noted", incident)
	notes := s.w.notes[incident]
	last := notes[len(notes)-1].Content
	if len(s.survivors[incident]) > 1 || s.lags[id] > 0 && (s.touched[incident] || s.unrecorded(id)) {
		return // several requests tell it the same; or one that came back found what was not resolved when it left
	}
	for _, n := range notes[:len(notes)-1] {
		for _, once := range []string{"Access request has been", "This incident "} {
			if n.Content == last || strings.HasPrefix(n.Content, once) && strings.HasPrefix(last, once) {
				s.fault("%s's incident %s was told twice: %q", id, incident, inOneLine(last))
			}
		}
	}
}

// unrecorded reports whether a process may have ended the incidents of a request as expired, because lists did not show
// it, and died before that was on record. When it comes back, that looks like somebody's resolving.
func (s *safety) unrecorded(id access.RequestID) bool { return s.killed && s.lags[id] > 0 }

// checkOwn: nothing is written to an incident of somebody else, but for the survivor of a merge.
func (s *safety) checkOwn(id access.RequestID, what string, incident access.IncidentID) {
	i, err := pagerduty{s.w}.find(incident)
	if err != nil {
		s.fault("%s %s the unknown incident %s", id, what, incident)
		return
	}
	if of, ours := access.RequestOfKey(i.Key); (!ours || of != id || i.TriggeredBy != bot) && (what != "noted" || !slices.Contains(s.survivors[incident], id)) {
		s.fault("%s %s %s, which is another's: key %q, triggered by %s", id, what, incident, i.Key, i.TriggeredBy)
	}
}

// checkStatus: pdhook resolves and reopens its own incidents where it opened them, and only when it may.
func (s *safety) checkStatus(id access.RequestID, verb string, incident access.IncidentID) {
	s.checkOwn(id, map[string]string{"resolve": "resolved", "reopen": "reopened"}[verb], incident)
	i, _ := pagerduty{s.w}.find(incident)
	at, moved := s.moved[incident]
	if moved && !s.opened(*i, id, i.Service) && time.Since(at) > patience && !s.mayBeFound(id) {
		s.fault("%s: %s of %s, which was moved to another service", id, verb, incident)
	}
	pending := s.w.requests[id].State == access.Pending
	switch {
	case verb == "resolve" && pending && s.lags[id] == 0:
		s.fault("%s is pending, and its incident %s was resolved", id, incident)
	case verb == "reopen":
		if s.reopened[incident]++; s.reopened[incident] > 1 {
			s.fault("%s's incident %s was reopened again", id, incident)
		}
	}
}

// mayBeFound reports whether an incident that was moved may have come to another service that is to be notified of the
// request: pdhook may take it for the one that it opened there.
func (s *safety) mayBeFound(id access.RequestID) bool {
	for n, a := range s.h.wishes {
		if requestOf(n) == id && len(a.notify) > 1 {
			return true
		}
	}
	return s.ruled
}

// checkReview: one review ever; an approval rests on what held within the last 10 s, and on nobody having said no.
func (s *safety) checkReview(c caller) {
	req := s.w.requests[c.request]
	n := 0
	for _, r := range req.Reviews {
		if r.Author == pdhook {
			n++
		}
	}
	review, _ := req.ReviewBy(pdhook)
	switch {
	case n != 1:
		s.fault("%s has %d reviews of pdhook", c.request, n)
	case review.State == access.Denied:
		s.checkDenial(req)
		return
	}
	for _, r := range req.Reviews {
		if r.State == access.Denied && !r.Time.After(s.read[c].Add(-time.Nanosecond)) {
			s.fault("%s was approved at %s over the no of %s, which pdhook had read", req.ID, review.Time, r.Author)
		}
	}
	if !s.qualified(req, policy.Fresh) {
		s.fault("%s was approved, but nothing within the last %s qualified %s", req.ID, policy.Fresh, req.User)
	}
}

// checkDenial: only a person's resolving of the incident denies, and only where the operator wants it.
func (s *safety) checkDenial(req access.Request) {
	byPerson := slices.ContainsFunc(s.w.incidents, func(i access.Incident) bool {
		of, _ := access.RequestOfKey(i.Key)
		return of == req.ID && i.TriggeredBy == bot && s.w.resolvers[i.ID].ID != ""
	})
	if !s.policies[policy.ResolvedDeny] || !byPerson {
		s.fault("%s was denied, and nobody resolved its incident", req.ID)
	}
}

// settled checks what must hold once everything is quiet.
func (s *safety) settled(living []*life) {
	if !s.lastWrite.IsZero() && time.Since(s.lastWrite) < 10*time.Minute {
		s.fault("pdhook is not quiet: it wrote %q", s.w.writes[len(s.w.writes)-1])
	}
	for _, l := range living {
		for id, events := range l.store.events {
			if len(events) > 0 {
				s.fault("webhooks %v never took effect on %s", events, id)
			}
		}
	}
	if s.h.rules.DryRun {
		return
	}
	for n, a := range s.h.wishes {
		id := requestOf(n)
		req, there := s.w.requests[id]
		if there && req.State == access.Pending {
			s.checkPending(req, a)
			continue
		}
		if known := slices.ContainsFunc(living, func(l *life) bool { return l.store.links[id].Request == id }); !there && !known && s.emptied {
			continue // with the store went the only knowledge of it
		}
		for _, i := range s.w.incidents {
			if _, moved := s.moved[i.ID]; i.Open() && !moved && !s.revived[i.ID] && s.opened(i, id, i.Service) && !s.unfindable(id, i.ID, living) {
				s.fault("%s is decided or gone, and its incident %s is still open", id, i.ID)
			}
		}
	}
}

// unfindable reports whether an incident is on nobody's record, and the name under which its service is may have meant
// another one when it was opened: by whoever died before it was recorded.
func (s *safety) unfindable(id access.RequestID, incident access.IncidentID, living []*life) bool {
	recorded := strings.Contains(s.w.data[id][keyRecord], fmt.Sprintf("%q", incident)) ||
		slices.ContainsFunc(living, func(l *life) bool {
			return slices.ContainsFunc(l.store.links[id].Incidents, func(i access.LinkedIncident) bool { return i.ID == incident })
		})
	return s.killed && s.renamed && !recorded
}

// checkPending: what is pending has its incidents, and is reviewed where its requester qualifies.
func (s *safety) checkPending(req access.Request, a wish) {
	for _, service := range s.w.services {
		if s.ruled || s.unrecorded(req.ID) {
			continue
		}
		if !slices.Contains(a.notify, service.Name) || s.w.refuse[service.ID] != nil {
			continue
		}
		has := slices.ContainsFunc(s.w.incidents, func(i access.Incident) bool {
			movedHere := i.Service == service.ID && s.opened(i, req.ID, s.w.opened[i.ID].Service)
			return i.Open() && movedHere || s.opened(i, req.ID, service.ID) && (i.Open() || s.touched[i.ID])
		})
		if !has {
			s.fault("%s is pending without an incident on %s", req.ID, service.Name)
		}
	}
	_, reviewed := req.ReviewBy(pdhook)
	no := slices.ContainsFunc(req.Reviews, func(r access.Review) bool { return r.State == access.Denied })
	if !reviewed && !no && !s.w.denied && s.qualified(req, 0) {
		s.fault("%s is held up: %s qualifies and is not approved", req.ID, req.User)
	}
}
