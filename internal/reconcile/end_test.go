package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// moments and numbers are the parts of the texts that depend on how long something took and what came first.
var (
	moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	numbers = regexp.MustCompile(`\bQ\d+\b`)
)

func inOneLine(text string) string {
	return strings.ReplaceAll(numbers.ReplaceAllString(moments.ReplaceAllString(text, "TIME"), "Q"), "\n", " / ")
}

// end tells how everything ended, in the words that people see there.
func (w *world) end() string {
	return w.endOfRequest(request) + w.endOfIncidents() + w.endOfData(request)
}

func (w *world) endOfRequest(id access.RequestID) string {
	req, there := w.requests[id]
	if !there {
		return "request gone\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "request %s\n", req.State)
	for _, r := range req.Reviews {
		fmt.Fprintf(&b, "  review %s by %s\n", r.State, r.Author)
	}
	return b.String()
}

func (w *world) endOfIncidents() string {
	var b strings.Builder
	incidents := slices.Clone(w.incidents)
	first := func(i access.Incident) access.ServiceID { return cmp.Or(w.opened[i.ID].Service, i.Service) } // before it was moved
	slices.SortStableFunc(incidents, func(a, b access.Incident) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Key, b.Key), cmp.Compare(first(a), first(b)))
	})
	for _, i := range incidents {
		fmt.Fprintf(&b, "incident on %s, key %s, %s\n", i.Service, strings.Replace(i.Key, string(request), "ID", 1), i.Status)
		for _, n := range w.notes[i.ID] {
			fmt.Fprintf(&b, "  note %s\n", inOneLine(n.Content))
		}
	}
	return b.String()
}

func (w *world) endOfData(id access.RequestID) string {
	var b strings.Builder
	data := w.data[id]
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if k != keyRecord && k != keyIncident && k != keyCreated {
			fmt.Fprintf(&b, "data %s=%s\n", k, inOneLine(data[k]))
		}
	}
	if len(w.incidents) > 0 && data[keyHolder] == "" && !slices.ContainsFunc(w.incidents, func(i access.Incident) bool { return string(i.ID) == data[keyIncident] }) {
		fmt.Fprintf(&b, "data %s=%q names no incident\n", keyIncident, data[keyIncident])
	}
	return b.String()
}
