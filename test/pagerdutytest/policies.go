package pagerdutytest

import (
	"slices"
	"time"
)

// Target is what stands on a level of an escalation policy: a User or a Schedule.
type Target interface{ target() Ref }

// Policy is an escalation policy.
type Policy struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Levels [][]Ref `json:"levels"` // level 1, which is paged first, at index 0
}

func (p *Policy) id() string { return p.ID }

// AddPolicy adds an escalation policy. The first level is paged first.
func (s *Server) AddPolicy(name string, levels ...[]Target) (p Policy) {
	s.do(func() { p = s.addPolicy(name, refs(levels)) })
	return p
}

func (s *Server) addPolicy(name string, levels [][]Ref) Policy {
	p := &Policy{ID: s.id("P%06d"), Name: name, Levels: levels}
	s.policies = append(s.policies, p)
	return *p
}

// SetLevels edits an escalation policy. Open incidents keep the policy as it was when they triggered, and
// no webhook tells of it.
func (s *Server) SetLevels(policyID string, levels ...[]Target) {
	s.do(func() { must(s.policy(policyID)).Levels = refs(levels) })
}

func refs(levels [][]Target) [][]Ref {
	out := make([][]Ref, len(levels))
	for i, targets := range levels {
		for _, t := range targets {
			out[i] = append(out[i], t.target())
		}
	}
	return out
}

func (s *Server) policy(id string) (*Policy, error) {
	if p, ok := byID(s.policies, id); ok {
		return p, nil
	}
	return nil, unknown("escalation policy", id)
}

// firstOnCall finds the first level from the given one (1-based) on which somebody is on call, and who: a
// gap on a level sends an incident to the next at once. Level 0: nobody on the whole policy.
func (s *Server) firstOnCall(levels [][]Ref, from int, now time.Time) (level int, users []string) {
	for i := from - 1; i < len(levels); i++ {
		for _, t := range levels[i] {
			for _, u := range s.onCallThrough(t, now) {
				if !slices.Contains(users, u) {
					users = append(users, u)
				}
			}
		}
		if len(users) > 0 {
			return i + 1, users
		}
	}
	return 0, nil
}

func (s *Server) onCallThrough(t Ref, now time.Time) (users []string) {
	if t.Kind == "user" {
		return []string{t.ID}
	}
	for _, turn := range must(s.schedule(t.ID)).turns() {
		if turn.user != "" && turn.overlaps(now, now) {
			users = append(users, turn.user)
		}
	}
	return users
}

func (s *Server) renderPolicy(p *Policy) object {
	rules := []object{}
	for i, targets := range p.Levels {
		shown := []any{}
		for _, t := range targets {
			shown = append(shown, s.ref(t))
		}
		rules = append(rules, object{
			"id": p.ID + string(rune('A'+i)), "escalation_delay_in_minutes": 30, "targets": shown,
			"escalation_rule_assignment_strategy": object{"type": "assign_to_everyone"},
		})
	}
	services := []any{}
	for _, v := range s.services {
		if v.Policy == p.ID && !v.deleted {
			services = append(services, s.ref(Ref{"service", v.ID}))
		}
	}
	o := s.identity(Ref{"escalation_policy", p.ID}, p.Name)
	o["name"] = p.Name
	o["escalation_rules"] = rules
	o["services"] = services
	o["num_loops"] = 0
	o["teams"] = []object{}
	o["description"] = nil
	o["on_call_handoff_notifications"] = "if_has_services"
	return o
}

func (s *Server) listPolicies(c *call) (answer, error) {
	var found []object
	for _, p := range s.policies {
		if containsFold(p.Name, c.query.Get("query")) {
			found = append(found, s.renderPolicy(p))
		}
	}
	return page(c, "escalation_policies", found)
}

func (s *Server) getPolicy(c *call) (answer, error) {
	p, err := s.policy(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(object{"escalation_policy": s.renderPolicy(p)})
}
