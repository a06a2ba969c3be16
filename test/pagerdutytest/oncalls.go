package pagerdutytest

import (
	"slices"
	"time"
)

// duty is one entry of GET /oncalls.
type duty struct {
	policy *Policy
	level  int
	target Ref
	turn   turn // zero times for a direct user target: always on call
}

// listOnCalls: who is on call between since and until, both now unless told
// (https://developer.pagerduty.com, listOnCalls). Every level of every policy is listed; a schedule that no
// policy uses is not (seen). The order is not documented: here the last level comes first.
func (s *Server) listOnCalls(c *call) (answer, error) {
	now := s.opts.Now()
	since, until, err := timeRange(c.query, now, now)
	if err != nil {
		return answer{}, err
	}
	if until.After(now.Add(90 * 24 * time.Hour)) {
		return answer{}, badRequest(2005, "Invalid Date Range", "on-call shifts are limited to 90 days in the future")
	}
	if _, err := time.LoadLocation(c.query.Get("time_zone")); err != nil {
		return answer{}, invalid("time_zone is invalid")
	}
	duties := slices.DeleteFunc(s.duties(since, until), func(d duty) bool { return !d.wanted(c) })
	if c.query.Get("earliest") == "true" {
		duties = earliest(duties)
	}
	var found []object
	for _, d := range duties {
		found = append(found, s.renderDuty(c, d))
	}
	return page(c, "oncalls", found)
}

func (s *Server) duties(since, until time.Time) (all []duty) {
	for _, p := range s.policies {
		for i, targets := range slices.Backward(p.Levels) {
			for _, t := range targets {
				if t.Kind == "user" {
					all = append(all, duty{p, i + 1, t, turn{user: t.ID}})
					continue
				}
				for _, turn := range must(s.schedule(t.ID)).turns() {
					if turn.user != "" && turn.overlaps(since, until) {
						all = append(all, duty{p, i + 1, t, turn})
					}
				}
			}
		}
	}
	return all
}

// wanted: a schedule_ids[] filter leaves out direct users unless it holds "null".
func (d duty) wanted(c *call) bool {
	schedule := d.target.ID
	if d.target.Kind == "user" {
		schedule = "null"
	}
	return wanted(c.query, "user_ids[]", d.turn.user) &&
		wanted(c.query, "escalation_policy_ids[]", d.policy.ID) &&
		wanted(c.query, "schedule_ids[]", schedule)
}

// earliest keeps the first entry of each policy, level and user.
func earliest(all []duty) []duty {
	slices.SortStableFunc(all, func(a, b duty) int { return a.turn.start.Compare(b.turn.start) })
	var first []duty
	for _, d := range all {
		if !slices.ContainsFunc(first, func(f duty) bool {
			return f.policy == d.policy && f.level == d.level && f.turn.user == d.turn.user
		}) {
			first = append(first, d)
		}
	}
	return first
}

func (s *Server) renderDuty(c *call, d duty) object {
	o := object{
		"user":              s.ref(UserRef(d.turn.user)),
		"schedule":          nil,
		"escalation_policy": s.ref(Ref{"escalation_policy", d.policy.ID}),
		"escalation_level":  d.level,
		"start":             zoned(c, d.turn.start),
		"end":               zoned(c, d.turn.end),
	}
	if d.target.Kind != "user" {
		o["schedule"] = s.ref(d.target)
	}
	if including(c.query, "users") {
		o["user"] = s.renderUser(must(s.user(d.turn.user)))
	}
	if including(c.query, "escalation_policies") {
		o["escalation_policy"] = s.renderPolicy(d.policy)
	}
	if including(c.query, "schedules") && d.target.Kind == "schedule" {
		o["schedule"] = s.renderSchedule(must(s.schedule(d.target.ID)))
	}
	return o
}

// zoned renders a time in the account's zone, five hours behind UTC, unless time_zone asks for another;
// null for no time and for an end that never comes.
func zoned(c *call, t time.Time) any {
	if t.IsZero() || t.Equal(forever) {
		return nil
	}
	zone := time.FixedZone("", -5*3600)
	if name := c.query.Get("time_zone"); name != "" {
		if asked, err := time.LoadLocation(name); err == nil {
			zone = asked
		}
	}
	return t.In(zone).Format(time.RFC3339)
}
