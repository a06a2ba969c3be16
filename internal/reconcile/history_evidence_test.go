package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// qualified reports whether the requester qualified within the time span that ends now, by spec §4 read anew and not
// by pdhook's code. pdhook reads one thing after the other, so each of them may have held at another moment of it.
func (s *safety) qualified(req access.Request, within time.Duration) bool {
	from := time.Now().Add(-within)
	recent := s.past[:0:0]
	for n, m := range s.past {
		if n+1 == len(s.past) || s.past[n+1].at.After(from) {
			recent = append(recent, m)
		}
	}
	user, known := s.w.users[req.User]
	if !known {
		return false
	}
	for _, named := range recent {
		for _, duty := range recent {
			for _, open := range recent {
				e := evidence{s.h.rules, user, from, named, duty, open}
				if e.suffices(req) {
					return true
				}
			}
		}
	}
	return false
}

// evidence is what could have been read: services by one moment, duty by another, incidents by a third.
type evidence struct {
	rules             policy.Rules
	user              access.User
	from              time.Time
	named, duty, open moment
}

func (e evidence) suffices(req access.Request) bool {
	var on []access.ServiceID // for which the requester is on call
	passed, wanted := 0, len(req.Annotations["services"])+len(req.Annotations["schedules"])
	for _, name := range req.Annotations["services"] {
		at := slices.IndexFunc(e.named.services, func(s access.Service) bool { return s.Name == name })
		if at >= 0 && e.isOnCall(e.named.services[at].Policy) {
			passed++
			on = append(on, e.named.services[at].ID)
		}
	}
	bySchedule := len(req.Annotations["schedules"]) > 0 && e.isOnDuty()
	if bySchedule {
		passed++
		for _, s := range e.named.services {
			if slices.Contains(req.Annotations["services"], s.Name) {
				on = append(on, s.ID)
			}
		}
	}
	if passed == 0 || len(req.Roles) > 1 && passed < wanted {
		return false
	}
	return e.rules.RequireIncident == policy.RequireNone || slices.ContainsFunc(e.open.incidents, func(i access.Incident) bool {
		return i.Open() && slices.Contains(on, i.Service) && e.counts(i)
	})
}

func (e evidence) isOnCall(policy access.PolicyID) bool {
	return slices.ContainsFunc(e.duty.onCalls, func(o access.OnCall) bool {
		return o.Policy == policy && o.User.ID == e.user.ID && !o.Start.After(time.Now()) &&
			(e.rules.MaxEscalationLevel == 0 || o.Level <= e.rules.MaxEscalationLevel)
	})
}

func (e evidence) isOnDuty() bool {
	return slices.ContainsFunc(e.duty.schedules[0].Shifts, func(s access.Shift) bool {
		return s.User == e.user.ID && !s.Start.After(time.Now())
	})
}

// counts leaves out pdhook's own incidents, the requester's, and those not acknowledged where that is wanted.
func (e evidence) counts(i access.Incident) bool {
	acknowledged := slices.ContainsFunc(i.Acknowledged, func(u access.User) bool { return u.ID == e.user.ID })
	return !strings.HasPrefix(i.Key, access.KeyPrefix) && i.TriggeredBy != bot && i.TriggeredBy != e.user.ID &&
		(e.rules.RequireIncident == policy.RequireOpen || acknowledged)
}
