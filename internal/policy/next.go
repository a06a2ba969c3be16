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
	if start := f.Request.AssumeStart; start.After(f.present()) {
		earlier(start.Add(f.behind()))
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

// present is PagerDuty's now, as of its answer about duty; ours where it gave none.
func (f Facts) present() time.Time {
	if now, _, told := f.clock(); told {
		return now
	}
	return f.Now
}

// behind is by how much PagerDuty's clock is behind ours, as far as its answer tells.
func (f Facts) behind() time.Duration {
	now, readAt, told := f.clock()
	if !told {
		return 0
	}
	return readAt.Sub(now)
}

// clock gives what PagerDuty's clock showed in an answer about duty that was asked for at readAt.
func (f Facts) clock() (now, readAt time.Time, told bool) {
	if f.OnCalls.Known() && !f.OnCalls.Value.Now.IsZero() {
		return f.OnCalls.Value.Now, f.OnCalls.ReadAt, true
	}
	for _, s := range f.Schedules {
		if s.Fact.Known() && !s.Fact.Value.Now.IsZero() {
			return s.Fact.Value.Now, s.Fact.ReadAt, true
		}
	}
	return time.Time{}, time.Time{}, false
}
