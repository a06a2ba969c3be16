package policy

import "time"

// next is the earliest announced moment at which a "no" may become a "yes" by itself. It lies after the facts,
// which is not always after the decision: then the facts are out of date by what they announce themselves.
func next(rules Rules, f Facts) time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if f.Request.AssumeStart.After(f.Now) {
		earlier(f.Request.AssumeStart)
	}
	// Shifts start by PagerDuty's clock; we wait by ours.
	for _, s := range f.Services {
		if s.Fact.Known() && f.OnCalls.Known() && !f.OnCalls.Value.Now.IsZero() {
			if start, found := nextShift(rules, f, s.Fact.Value.Policy); found {
				earlier(start.Add(f.OnCalls.ReadAt.Sub(f.OnCalls.Value.Now)))
			}
		}
	}
	for _, s := range f.Schedules {
		if s.Fact.Known() && !s.Fact.Value.Now.IsZero() {
			if start, found := comingShift(s.Fact.Value, f.User.Value.ID); found {
				earlier(start.Add(s.Fact.ReadAt.Sub(s.Fact.Value.Now)))
			}
		}
	}
	return at
}
