package reconcile

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Keys of the plugin data. The first nine are Teleport's own plugin's, so that pdhook takes over its open
// requests and can be rolled back to it; the rest is pdhook's (spec §7, §13).
const (
	keyIncident   = "incident_id"
	keyService    = "service_id"
	keyUser       = "user"
	keyRoles      = "roles"
	keyCreated    = "created" // unix seconds
	keyReason     = "request_reason"
	keyReviews    = "reviews_count"
	keyResolution = "resolution"
	keyResolve    = "resolve_reason"

	keyRecord = "pdhook_record" // JSON, record below
	keyEffect = "pdhook_effect" // the claim: what its holder is about to do
	keyHolder = "pdhook_holder"
	keyUntil  = "pdhook_until" // RFC 3339
)

var allKeys = []string{
	keyIncident, keyService, keyUser, keyRoles, keyCreated, keyReason, keyReviews, keyResolution, keyResolve,
	keyRecord, keyEffect, keyHolder, keyUntil,
}

// ledger is what all replicas share about a request. It remembers, it never proves.
type ledger struct {
	raw       map[string]string // as stored: what the next swap expects
	incidents []access.LinkedIncident
	claim     claim
	decided   decided
	upstream  bool // begun by Teleport's own plugin: notes may be there that pdhook has not counted yet
}

// claim says who is about to do what must happen once.
type claim struct {
	effect    string
	holder    string
	until     time.Time
	reopening []access.IncidentID // that the holder means to reopen: found open, one was reopened
}

// clocksApart is how far the clocks of two replicas may differ.
const clocksApart = 5 * time.Minute

// stands reports whether somebody is at work. What claims to be for longer than any pass lasts was written by somebody
// else, or is damaged: it must not hold the request up for good.
func (c claim) stands(now time.Time) bool {
	return c.holder != "" && now.Before(c.until) && c.until.Before(now.Add(claimFor+clocksApart))
}

// decided is how a request ended. It is shared before anybody is told: who told it may die, and Teleport forget the
// request, before that is on record.
type decided struct {
	State  access.State `json:"state,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

func decisionOn(req access.Request) decided {
	if req.State == access.Pending {
		return decided{}
	}
	return decided{req.State, req.ResolveReason}
}

// record is the stored form of pdhook's own key.
type record struct {
	Version   int                     `json:"v"`
	Incidents []access.LinkedIncident `json:"incidents,omitempty"`
	Upstream  bool                    `json:"upstream,omitempty"`
	Reopening []access.IncidentID     `json:"reopening,omitempty"` // part of the claim
	Decided   decided                 `json:"decided,omitzero"`
}

const recordVersion = 1

// parseLedger reads plugin data. A record that makes no sense was written by foreign hands: it is an error
// only when a newer pdhook wrote it, else it counts as absent, and what is there is looked up.
func parseLedger(raw map[string]string) (ledger, error) {
	l := ledger{raw: raw, claim: claim{effect: raw[keyEffect], holder: raw[keyHolder]}}
	if until, err := time.Parse(time.RFC3339, raw[keyUntil]); err == nil {
		l.claim.until = until
	}
	var r record
	if err := json.Unmarshal([]byte(raw[keyRecord]), &r); err == nil && r.Version > recordVersion {
		return ledger{}, fmt.Errorf("plugin data was written by a newer pdhook (record version %d, this one knows %d)", r.Version, recordVersion)
	} else if err == nil && r.Version > 0 {
		for _, incident := range r.Incidents {
			l.incidents = append(l.incidents, sharedPart(incident))
		}
		l.upstream, l.claim.reopening, l.decided = r.Upstream, r.Reopening, r.Decided
		return l, nil
	}
	l.upstream = len(raw) > 0
	if raw[keyService] != "" || raw[keyIncident] != "" {
		l.incidents = []access.LinkedIncident{{
			ID:      access.IncidentID(raw[keyIncident]),
			Ref:     "id:" + raw[keyService],
			Service: access.ServiceID(raw[keyService]),
		}}
	}
	return l, nil
}

// request rebuilds what is known of a request that Teleport no longer has.
func (l ledger) request(id access.RequestID) access.Request {
	r := access.Request{
		ID: id, User: l.raw[keyUser], Reason: l.raw[keyReason], ResolveReason: l.raw[keyResolve],
		State: access.State(l.raw[keyResolution]),
	}
	if r.State == "" {
		r.State, r.ResolveReason = l.decided.State, l.decided.Reason
	}
	if l.raw[keyRoles] != "" {
		r.Roles = strings.Split(l.raw[keyRoles], ",")
	}
	if seconds, err := strconv.ParseInt(l.raw[keyCreated], 10, 64); err == nil {
		r.Created = time.Unix(seconds, 0)
	}
	return r
}

// encode gives every key's value for the request as it is now; "" removes a key.
func encode(req access.Request, incidents []access.LinkedIncident, c claim, upstream bool) map[string]string {
	set := map[string]string{
		keyUser:   req.User,
		keyRoles:  strings.Join(req.Roles, ","),
		keyReason: req.Reason,
		keyEffect: c.effect,
		keyHolder: c.holder,
	}
	if !req.Created.IsZero() {
		set[keyCreated] = strconv.FormatInt(req.Created.Unix(), 10)
	}
	if !c.until.IsZero() {
		set[keyUntil] = c.until.UTC().Format(time.RFC3339)
	}
	shared := make([]access.LinkedIncident, len(incidents))
	reviews, first, ended := -1, -1, true
	for i, incident := range incidents {
		shared[i] = sharedPart(incident)
		if incident.ID == "" {
			continue
		}
		if reviews < 0 || incident.Reviews < reviews {
			reviews = incident.Reviews
		}
		if first < 0 || incident.ServiceName < incidents[first].ServiceName {
			first = i
		}
		ended = ended && incident.Noted
	}
	if first >= 0 {
		set[keyIncident] = string(incidents[first].ID)
		set[keyService] = string(incidents[first].Service)
		if ended && req.State != access.Pending {
			set[keyResolution] = string(req.State)
			set[keyResolve] = req.ResolveReason
		}
	}
	if reviews > 0 {
		set[keyReviews] = strconv.Itoa(reviews)
	}
	// Marshalling plain structs of strings and numbers cannot fail.
	text, _ := json.Marshal(record{Version: recordVersion, Incidents: shared, Upstream: upstream, Reopening: c.reopening, Decided: decisionOn(req)})
	set[keyRecord] = string(text)
	return set
}

// sharedPart leaves out what a replica has seen for itself and others must not take its word for.
func sharedPart(i access.LinkedIncident) access.LinkedIncident {
	i.Verified, i.Status, i.AcknowledgedBy, i.MergedInto = false, "", nil, ""
	return i
}

// swap gives the two maps of a compare-and-swap from what was read to next. Keys that are not expected are
// not checked, so all are.
func (l ledger) swap(next map[string]string) (set, expect map[string]string) {
	set, expect = map[string]string{}, map[string]string{}
	for _, k := range allKeys {
		expect[k] = l.raw[k]
		if next[k] != l.raw[k] {
			set[k] = next[k]
		}
	}
	return set, expect
}
