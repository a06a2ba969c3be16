package policy

import (
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// PagedBy gives the shift-based schedules by which the requester is on call for a named service. Their shifts can be
// shadowed, which pages nobody; whether on-call entries list shadows is not documented, so the schedule is asked.
func PagedBy(f Facts) []access.ScheduleID {
	var ids []access.ScheduleID
	for _, e := range f.OnCalls.Value.Entries {
		if e.ShiftBased && e.At(f.OnCalls.Value.Now) && slices.ContainsFunc(f.Services, func(s NamedService) bool {
			return s.Fact.Known() && concerns(f, e, s.Fact.Value.Policy)
		}) {
			ids = append(ids, e.Schedule)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// paged answers whether who is on call by the entry is paged.
func paged(f Facts, e access.OnCall) access.Status {
	duty := f.Paging[e.Schedule]
	switch {
	case !e.ShiftBased:
		return access.Passed
	case !duty.Known() || duty.Value.Schedule.ID != e.Schedule || duty.Value.Now.IsZero():
		return access.Unknown
	case slices.ContainsFunc(duty.Value.Schedule.Shifts, func(s access.Shift) bool {
		return s.User == e.User.ID && s.At(duty.Value.Now)
	}):
		return access.Passed
	}
	return access.Failed
}

// answering gives an entry by which the requester would qualify for the policy, where paged answers with status.
func answering(status access.Status, rules Rules, f Facts, policy access.PolicyID) (entry access.OnCall, found bool) {
	for _, e := range f.OnCalls.Value.Entries {
		if concerns(f, e, policy) && e.At(f.OnCalls.Value.Now) && levelAllowed(rules, e) && paged(f, e) == status {
			return e, true
		}
	}
	return access.OnCall{}, false
}
