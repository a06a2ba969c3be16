package pagerdutytest

import "time"

// object is a JSON object on its way out.
type object = map[string]any

// Ref names something in the account: a user, a service, a schedule. As an agent the zero Ref is
// automation: nobody.
type Ref struct {
	Kind string `json:"kind"` // "user", "service", "schedule", "schedule_v3", "escalation_policy", "incident", "inbound_integration"
	ID   string `json:"id"`
}

// UserRef names a user.
func UserRef(id string) Ref {
	return Ref{"user", id}
}

// ref renders a reference with everything PagerDuty shows of it; nil for the zero Ref.
func (s *Server) ref(r Ref) any {
	if r == (Ref{}) {
		return nil
	}
	o := s.identity(r, s.summary(r))
	o["type"] = r.Kind + "_reference"
	return o
}

// identity renders what every resource begins with.
func (s *Server) identity(r Ref, summary string) object {
	self, shown := collections(r.Kind)
	return object{
		"id":       r.ID,
		"type":     r.Kind,
		"summary":  summary,
		"self":     "https://api.pagerduty.com/" + self + "/" + r.ID,
		"html_url": "https://" + s.opts.Account + ".pagerduty.com/" + shown + "/" + r.ID,
	}
}

func collections(kind string) (self, shown string) {
	switch kind {
	case "escalation_policy":
		return "escalation_policies", "escalation_policies"
	case "log_entry":
		return "log_entries", "log_entries"
	case "schedule_v3":
		return "v3/schedules", "schedules"
	default:
		return kind + "s", kind + "s"
	}
}

// summary is the name under which PagerDuty shows a resource, as it is now.
func (s *Server) summary(r Ref) string {
	switch r.Kind {
	case "user":
		return named(s.users, r.ID, func(u *User) string { return u.Name })
	case "service":
		return named(s.services, r.ID, func(v *Service) string { return v.Name })
	case "escalation_policy":
		return named(s.policies, r.ID, func(p *Policy) string { return p.Name })
	case "schedule", "schedule_v3":
		return named(s.schedules, r.ID, func(c *Schedule) string { return c.Name })
	case "incident":
		return named(s.incidents, r.ID, func(i *Incident) string { return i.Title })
	default:
		return "Events API V2"
	}
}

// resource is what has an ID in the account.
type resource interface{ id() string }

func byID[T resource](all []T, id string) (found T, ok bool) {
	for _, r := range all {
		if r.id() == id {
			return r, true
		}
	}
	return found, false
}

func named[T resource](all []T, id string, name func(T) string) string {
	if r, ok := byID(all, id); ok {
		return name(r)
	}
	return ""
}

// stamp renders a time in UTC with seconds; null for the zero time.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}
