package webhook

import "github.com/pdhook/pdhook/internal/access"

// Scope says which requests an event concerns, as far as the event alone can tell (spec §5).
type Scope struct {
	Own       access.RequestID    // the request that the incident's key names
	Incidents []access.IncidentID // whoever is linked to one of them

	// Whoever names this service while pending. With UnlessLinked set only if nobody is linked to one of
	// Incidents: the event does not show whose incident it is.
	Service      access.ServiceID
	ServiceName  string
	UnlessLinked bool
}

// Concerns tells where to look after an event. The scope of an event that pdhook does not use is empty.
//
// An event on an incident of pdhook's own wakes only its request, and whoever follows the incident because
// theirs was merged into it; and only when it changes what pdhook does: its own opening of the incident does
// not. An event on any other incident also wakes the pending requests that name its service, as does an event
// on the service itself.
func Concerns(e access.Event) Scope {
	if !used(e.Type) {
		return Scope{}
	}
	if own, ok := access.RequestOfKey(e.IncidentKey); ok {
		if !eventTypes[e.Type].followed {
			return Scope{}
		}
		return Scope{Own: own, Incidents: e.Incidents}
	}
	return Scope{
		Incidents:    e.Incidents,
		Service:      e.Service,
		ServiceName:  e.ServiceName,
		UnlessLinked: e.IncidentKey == "",
	}
}
