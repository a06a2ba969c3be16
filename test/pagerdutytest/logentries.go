package pagerdutytest

import (
	"slices"
	"strings"
	"time"
)

// logEntry says who did what to an incident, when and how.
type logEntry struct {
	id      string
	kind    string // "trigger" for trigger_log_entry
	at      time.Time
	agent   Ref    // zero: automation, shown as the incident's service
	channel string // website, api, timeout, auto, note
	note    string
}

func (s *Server) record(i *Incident, kind string, agent Ref, channel, note string) {
	i.log = append(i.log, logEntry{s.id("R%013d"), kind, s.opts.Now(), agent, channel, note})
}

// important are the kinds that is_overview=true keeps.
func (e logEntry) important() bool {
	return !slices.Contains([]string{"annotate", "assign", "notify"}, e.kind)
}

func (s *Server) renderLogEntry(c *call, i *Incident, e logEntry) object {
	agent := e.agent
	if agent == (Ref{}) {
		agent = Ref{"service", i.Service}
	}
	o := s.logEntryRef(i, e)
	o["type"] = e.kind + "_log_entry"
	o["created_at"] = stamp(e.at)
	o["agent"] = s.ref(agent)
	o["channel"] = object{"type": e.channel}
	o["incident"] = s.ref(i.ref())
	o["service"] = s.ref(Ref{"service", i.Service})
	o["teams"] = []object{}
	o["contexts"] = []object{}
	if e.note != "" {
		o["note"] = e.note
	}
	if e.kind == "trigger" {
		o["event_details"] = object{"description": i.Title}
	}
	if c.faults.has(OddLogEntries) {
		o["channel"] = object{"type": nil, "details": object{}}
		o["event_details"] = object{"description": i.Title, "count": 2}
		o["type"] = strings.Replace(e.kind, "acknowledge", "acknowledgement", 1) + "_log_entry"
	}
	return o
}

func (s *Server) logEntryRef(i *Incident, e logEntry) object {
	o := s.identity(Ref{"log_entry", e.id}, "Log entry: "+e.kind)
	o["type"] = e.kind + "_log_entry_reference"
	o["html_url"] = "https://" + s.opts.Account + ".pagerduty.com/incidents/" + i.ID + "/log_entries/" + e.id
	return o
}

// listLogEntries shows the newest first.
func (s *Server) listLogEntries(c *call) (answer, error) {
	i, err := s.incident(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	since, until, err := timeRange(c.query, time.Time{}, forever)
	if err != nil {
		return answer{}, err
	}
	var found []object
	for _, e := range slices.Backward(i.log) {
		inRange := !e.at.Before(since) && !e.at.After(until)
		if inRange && (e.important() || c.query.Get("is_overview") != "true") {
			found = append(found, s.renderLogEntry(c, i, e))
		}
	}
	return page(c, "log_entries", found)
}
