package pagerdutytest

import (
	"net/http"
	"slices"
	"time"
)

func (s *Server) layered(id string) (*Schedule, error) {
	sc, err := s.schedule(id)
	if err == nil && sc.ShiftBased {
		return nil, unknown("schedule", id) // not documented; a shift-based schedule is not among these
	}
	return sc, err
}

func (s *Server) listSchedules(c *call) (answer, error) {
	var found []object
	for _, sc := range s.schedules {
		if !sc.ShiftBased && containsFold(sc.Name, c.query.Get("query")) {
			found = append(found, s.renderSchedule(sc))
		}
	}
	return page(c, "schedules", found)
}

func (s *Server) renderSchedule(sc *Schedule) object {
	o := s.identity(sc.target(), sc.Name)
	o["name"] = sc.Name
	o["time_zone"] = "America/Lima"
	o["description"] = nil
	o["teams"] = []object{}
	o["escalation_policies"] = s.policiesWith(sc)
	o["users"] = s.userRefs(append(slices.Clone(sc.shifts), sc.overrides...))
	return o
}

func (s *Server) policiesWith(sc *Schedule) []any {
	shown := []any{}
	for _, p := range s.policies {
		if slices.ContainsFunc(p.Levels, func(level []Ref) bool { return slices.Contains(level, sc.target()) }) {
			shown = append(shown, s.ref(Ref{"escalation_policy", p.ID}))
		}
	}
	return shown
}

func (s *Server) userRefs(turns []turn) []any {
	shown, seen := []any{}, map[string]bool{"": true}
	for _, t := range turns {
		if !seen[t.user] {
			seen[t.user] = true
			shown = append(shown, s.ref(UserRef(t.user)))
		}
	}
	return shown
}

// getSchedule shows the final schedule, cut at since and until unless overflow=true.
func (s *Server) getSchedule(c *call) (answer, error) {
	sc, err := s.layered(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	now := s.opts.Now()
	since, until, err := timeRange(c.query, now, now.Add(14*24*time.Hour))
	if err != nil {
		return answer{}, err
	}
	entries := []object{}
	for _, t := range shown(c, sc.turns(), since, until) {
		entries = append(entries, object{"start": zoned(c, t.start), "end": zoned(c, t.end), "user": s.ref(UserRef(t.user))})
	}
	o := s.renderSchedule(sc)
	o["final_schedule"] = object{"name": "Final Schedule", "rendered_schedule_entries": entries, "rendered_coverage_percentage": 100}
	return ok(object{"schedule": o})
}

// shown are the turns that touch the range, cut at its bounds unless overflow=true.
func shown(c *call, turns []turn, since, until time.Time) (cut []turn) {
	for _, t := range turns {
		if !t.overlaps(since, until) {
			continue
		}
		if c.query.Get("overflow") != "true" || t.end.Equal(forever) {
			t = t.within(since, until)
		}
		cut = append(cut, t)
	}
	return cut
}

// listScheduleUsers: who is on call between since and until; without them everybody in the schedule
// (seen), which is no on-call list at all.
func (s *Server) listScheduleUsers(c *call) (answer, error) {
	sc, err := s.layered(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	since, until, err := timeRange(c.query, time.Time{}, forever)
	if err != nil {
		return answer{}, err
	}
	users, seen := []object{}, map[string]bool{}
	for _, t := range sc.turns() {
		if t.overlaps(since, until) && !seen[t.user] {
			seen[t.user] = true
			users = append(users, s.renderUser(must(s.user(t.user))))
		}
	}
	return ok(object{"users": users})
}

// listShiftSchedules lists references: the name is in summary.
func (s *Server) listShiftSchedules(c *call) (answer, error) {
	var found []object
	for _, sc := range s.schedules {
		if sc.ShiftBased && containsFold(sc.Name, c.query.Get("query")) {
			found = append(found, s.ref(sc.target()).(object))
		}
	}
	return pageOf(c, "schedules", found, 100, 1000)
}

// getShiftSchedule answers 400 for a layer-based schedule. On these paths errors is documented as an
// object of lists.
func (s *Server) getShiftSchedule(c *call) (answer, error) {
	sc, err := s.schedule(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	if !sc.ShiftBased {
		return answer{}, &refusal{http.StatusBadRequest, 2001, "Invalid request", object{"schedule.type": []string{"is not a v3 schedule"}}}
	}
	o := s.identity(sc.target(), sc.Name)
	delete(o, "summary")
	o["name"] = sc.Name
	o["time_zone"] = "America/Lima"
	o["escalation_policies"] = s.policiesWith(sc)
	if including(c.query, "final_schedule") && c.query.Has("since") && c.query.Has("until") {
		since, until, err := timeRange(c.query, time.Time{}, time.Time{})
		if err != nil {
			return answer{}, err
		}
		o["final_schedule"] = object{
			"type": "final_schedule", "rendered_coverage_percentage": 100,
			"computed_shift_assignments": assignments(shown(c, sc.turns(), since, until)),
		}
	}
	return ok(object{"schedule": o})
}

func assignments(turns []turn) []object {
	list := []object{}
	for _, t := range turns {
		member := object{"type": "user_member", "user_id": t.user}
		if t.user == "" {
			member = object{"type": "empty_member"}
		}
		list = append(list, object{
			"type": "computed_shift_assignment", "start_time": stamp(t.start), "end_time": stamp(t.end),
			"member": member, "source": object{"type": "schedule_rotation"},
		})
	}
	return list
}
