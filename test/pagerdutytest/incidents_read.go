package pagerdutytest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// renderIncident renders an incident as REST shows it: incident_number and assignments, where webhooks say
// number and assignees.
func (s *Server) renderIncident(c *call, i *Incident) object {
	o := s.identity(i.ref(), fmt.Sprintf("[#%d] %s", i.Number, i.Title))
	o["incident_number"] = i.Number
	o["title"] = i.Title
	o["description"] = i.Title
	o["created_at"] = stamp(i.Created)
	o["updated_at"] = stamp(i.log[len(i.log)-1].at)
	o["status"] = i.Status
	o["incident_key"] = i.Key
	o["service"] = s.ref(Ref{"service", i.Service})
	o["assignments"] = s.renderStamps("assignee", i.Assignments)
	o["acknowledgements"] = s.renderStamps("acknowledger", i.Acknowledgements)
	o["assigned_via"] = "escalation_policy"
	if i.Level == 0 && i.open() {
		o["assigned_via"] = "direct_assignment"
	}
	o["last_status_change_at"] = stamp(i.Changed)
	o["last_status_change_by"] = s.ref(i.ChangedBy)
	if i.ChangedBy == (Ref{}) {
		o["last_status_change_by"] = s.ref(Ref{"service", i.Service})
	}
	o["resolved_at"] = stamp(i.Resolved)
	o["escalation_policy"] = s.ref(Ref{"escalation_policy", i.Policy})
	o["urgency"] = i.Urgency
	o["priority"] = nil
	o["conference_bridge"] = nil
	o["incident_type"] = object{"name": "incident_default"}
	o["resolve_reason"] = s.resolveReason(i)
	o["alert_counts"] = object{"all": 0, "triggered": 0, "resolved": 0}
	o["is_mergeable"] = i.open()
	o["teams"] = []object{}
	o["pending_actions"] = []object{}
	o["first_trigger_log_entry"] = s.logEntryRef(i, i.log[0])
	if including(c.query, "first_trigger_log_entries") {
		o["first_trigger_log_entry"] = s.renderLogEntry(c, i, i.log[0])
	}
	return o
}

func (s *Server) renderStamps(role string, stamps []Stamp) []object {
	list := []object{}
	for _, a := range stamps {
		list = append(list, object{"at": stamp(a.At), role: s.ref(UserRef(a.User))})
	}
	return list
}

// resolveReason names the surviving incident of one that was merged away; null otherwise.
func (s *Server) resolveReason(i *Incident) any {
	if i.MergedInto == "" {
		return nil
	}
	return object{"type": "merge_resolve_reason", "incident": s.ref(Ref{"incident", i.MergedInto})}
}

// listIncidents: an empty incident_key is ignored, so all incidents come back (seen). Only incidents of
// the last month are shown unless since/until (at most six months) or date_range=all say otherwise.
func (s *Server) listIncidents(c *call) (answer, error) {
	since, until, err := incidentRange(c, s.opts.Now())
	if err != nil {
		return answer{}, err
	}
	var matching []*Incident
	for _, i := range s.incidents {
		if !i.Created.Before(since) && !i.Created.After(until) && i.wanted(c) {
			matching = append(matching, i)
		}
	}
	sortIncidents(matching, c.query.Get("sort_by"))
	var found []object
	for _, i := range matching {
		found = append(found, s.renderIncident(c, i))
	}
	return page(c, "incidents", found)
}

func incidentRange(c *call, now time.Time) (since, until time.Time, err error) {
	since, until, err = timeRange(c.query, now.AddDate(0, -1, 0), now)
	if c.query.Get("date_range") == "all" {
		return time.Time{}, forever, nil
	}
	if err == nil && since.AddDate(0, 6, 0).Before(until) {
		err = badRequest(2005, "Invalid Date Range", "the range must be six months at most")
	}
	return since, until, err
}

func (i *Incident) wanted(c *call) bool {
	key := c.query.Get("incident_key")
	return (key == "" || i.Key == key) &&
		wanted(c.query, "service_ids[]", i.Service) &&
		wanted(c.query, "statuses[]", i.Status) &&
		wanted(c.query, "urgencies[]", i.Urgency) &&
		(!c.query.Has("user_ids[]") || slices.ContainsFunc(i.Assignments, func(a Stamp) bool { return wanted(c.query, "user_ids[]", a.User) }))
}

// sortIncidents sorts by the first field of sort_by, e.g. "created_at:desc"; by number without it.
func sortIncidents(list []*Incident, by string) {
	first, _, _ := strings.Cut(by, ",")
	field, direction, _ := strings.Cut(first, ":")
	slices.SortStableFunc(list, func(a, b *Incident) int {
		if direction == "desc" {
			a, b = b, a
		}
		switch field {
		case "created_at":
			return a.Created.Compare(b.Created)
		case "resolved_at":
			return a.Resolved.Compare(b.Resolved)
		case "urgency":
			return cmp.Compare(a.Urgency, b.Urgency)
		default:
			return cmp.Compare(a.Number, b.Number)
		}
	})
}

// getIncident takes the ID or the number.
func (s *Server) getIncident(c *call) (answer, error) {
	i, err := s.incident(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(object{"incident": s.renderIncident(c, i)})
}
