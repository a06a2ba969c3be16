package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// mostIncidents is how many incidents an approval names as its basis: its reason has to fit into Teleport's
// limit in the worst storm, too.
const mostIncidents = 10

// checkIncident is check 4: where the operator requires an incident, one is open on a service for which the
// requester is on call. Who qualifies by a schedule needs it on a service that the role names. With the
// check come the incidents that count: the basis of the approval.
func checkIncident(rules Rules, f Facts, onCall access.Check, duties []duty) (access.Check, []access.Incident) {
	c := access.Check{Name: "incident", Want: string(rules.RequireIncident), Status: access.Unknown, ReadAt: f.Incidents.ReadAt}
	if rules.RequireIncident == RequireNone {
		c.Status = access.Passed
		c.Sentence = "being on call is enough, no incident is required"
		return c, nil
	}
	services := incidentServices(f, duties)
	gap, incomplete := notTold(onCall)
	switch {
	case len(duties) == 0:
		c.Sentence = "open incidents were not looked up: nothing shows that the requester is on call"
		c.Remedy = needsCheck("on call")
		return c, nil
	case len(f.Services) == 0:
		c.Status = access.Failed
		c.Sentence = "an incident is required, but the role names only schedules, and only services have incidents"
		c.Remedy = fmt.Sprintf("an admin adds the annotation %s, with the service whose incidents count, to the role", rules.Services)
		return c, nil
	case len(services) == 0 && incomplete:
		c.Sentence, c.Remedy = gap, needsCheck("on call")
		return c, nil
	case len(services) == 0:
		c.Status = access.Failed
		c.Sentence = "an incident is required, but PagerDuty knows no service that the role names"
		c.Remedy = needsName(rules.Services, "service")
		return c, nil
	case !f.Incidents.Known():
		c.Sentence = unread("what is open on "+serviceNames(f, services), f.Incidents.Err)
		c.Remedy = needsAnswer(f.Incidents.Err, "")
		return c, nil
	}
	basis, refused, unsure := sift(rules, f, services)
	c.Saw = shortened(refused)
	none := fmt.Sprintf("no incident is open on %s", serviceNames(f, services))
	if len(refused) > 0 {
		none = fmt.Sprintf("no open incident on %s counts: %s", serviceNames(f, services), shortened(refused))
	}
	switch {
	case len(basis) > 0:
		basis = basis[:min(len(basis), mostIncidents)]
		c.Status = access.Passed
		c.Saw = strings.Join(idsOf(basis), ", ")
		c.Sentence = describeIncidents(basis) + asWanted(rules, f)
	case unsure != "":
		c.Sentence, c.Remedy = unsure, needsIncident(rules, f, services)
	case incomplete: // what could not be read might lead to an incident that counts
		c.Sentence, c.Remedy = fmt.Sprintf("%s, and %s", none, gap), needsIncident(rules, f, services)
	default:
		c.Status = access.Failed
		c.Sentence, c.Remedy = none, needsIncident(rules, f, services)
	}
	return c, basis
}

// notTold gives the first thing that check 3 could not tell.
func notTold(onCall access.Check) (sentence string, found bool) {
	for _, child := range onCall.Children {
		if child.Status == access.Unknown {
			return child.Sentence, true
		}
	}
	return "", false
}

// sift divides the open incidents on services into those that count, why others do not, and what cannot be
// told of the rest.
func sift(rules Rules, f Facts, services []access.ServiceID) (basis []access.Incident, refused []string, unsure string) {
	for _, i := range f.Incidents.Value {
		open := i.Status == access.Triggered || i.Status == access.Acknowledged // no other status that may be introduced
		if !open || i.ID == "" || !slices.Contains(services, i.Service) {
			continue // a filter that PagerDuty ignored
		}
		switch why, known := counts(rules, f, i); {
		case !known:
			unsure = why
		case why != "":
			refused = append(refused, fmt.Sprintf("%s %s", i.ID, why))
		default:
			basis = append(basis, i.Incident)
		}
	}
	return basis, refused, unsure
}

// counts says why an open incident does not count, "" when it does; known is false when that cannot be told.
func counts(rules Rules, f Facts, i IncidentFact) (why string, known bool) {
	requester, who := f.User.Value.ID, rules.Email(f.Request)
	is := func(u access.User) bool { return u.ID == requester }
	switch {
	case i.Notification:
		return "is pdhook's own notification", true
	case rules.RequireIncident == RequireAcknowledged && !(i.Status == access.Acknowledged && slices.ContainsFunc(i.Acknowledged, is)):
		return "is not acknowledged by " + who, true
	case rules.RequireIncident == RequireAssigned && !slices.ContainsFunc(i.Assigned, is):
		return "is not assigned to " + who, true
	case i.TriggerNotShown: // it may be anybody's, also pdhook's
		return fmt.Sprintf("PagerDuty does not show who triggered incident %s", i.ID), false
	case !rules.OwnIncidents && i.TriggeredBy == requester:
		return "was triggered by " + who, true
	}
	return "", true
}

// incidentServices gives the services on which an incident would count.
func incidentServices(f Facts, duties []duty) []access.ServiceID {
	var ids []access.ServiceID
	for _, d := range duties {
		if d.service.ID != "" {
			ids = append(ids, d.service.ID)
			continue
		}
		for _, s := range f.Services {
			if s.Fact.Known() && s.Fact.Value.ID != "" {
				ids = append(ids, s.Fact.Value.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// IncidentsWanted gives the services whose open incidents the decision needs to know; none when it does not.
func IncidentsWanted(rules Rules, f Facts) []access.ServiceID {
	if rules.RequireIncident == RequireNone {
		return nil
	}
	_, duties := checkOnCall(rules, f)
	return incidentServices(f, duties)
}

// describeIncidents names incidents with who triggered them.
func describeIncidents(incidents []access.Incident) string {
	described := make([]string, len(incidents))
	for n, i := range incidents {
		by := "automatically"
		if i.TriggeredBy != "" {
			by = "by " + string(i.TriggeredBy)
		}
		described[n] = fmt.Sprintf("%s on %s (triggered %s)", i.ID, i.ServiceName, by)
	}
	if len(described) == 1 {
		return "incident " + described[0] + " is "
	}
	return "incidents " + strings.Join(described, ", ") + " are "
}

func asWanted(rules Rules, f Facts) string {
	switch rules.RequireIncident {
	case RequireAcknowledged:
		return "acknowledged by " + rules.Email(f.Request)
	case RequireAssigned:
		return "assigned to " + rules.Email(f.Request)
	}
	return "open"
}

// shortened lists the first three of several.
func shortened(several []string) string {
	if len(several) > 3 {
		several = append(slices.Clone(several[:3]), fmt.Sprintf("and %d more", len(several)-3))
	}
	return strings.Join(several, ", ")
}

func idsOf(incidents []access.Incident) []string {
	ids := make([]string, len(incidents))
	for i, incident := range incidents {
		ids[i] = string(incident.ID)
	}
	return ids
}

func serviceNames(f Facts, ids []access.ServiceID) string {
	var names []string
	for _, s := range f.Services {
		if name := s.Fact.Value.Name; slices.Contains(ids, s.Fact.Value.ID) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " and ")
}
