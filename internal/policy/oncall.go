package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// duty is one way in which the requester qualifies: on call for a service's policy, or by a schedule.
type duty struct {
	service  access.Service // zero for a schedule
	schedule string         // name; "" for a service
	entry    access.OnCall
	sentence string
}

// checkOnCall is check 3: the requester is on call now for the escalation policy of a named service, low
// enough, or on a named schedule. Annotations of several roles arrive merged, and nobody can tell which value
// belongs to which role: a request for more than one role must pass for every named service and schedule
// (check 2). With the check come the duties that qualify, the lowest level first and schedules last.
func checkOnCall(rules Rules, f Facts) (access.Check, []duty) {
	c := access.Check{Name: "on call", Status: access.Failed}
	if rules.MaxEscalationLevel > 0 {
		c.Want = fmt.Sprintf("escalation level at most %d", rules.MaxEscalationLevel)
	}
	var duties []duty
	add := func(child access.Check, d *duty) {
		c.Children = append(c.Children, child)
		if c.ReadAt.IsZero() || child.ReadAt.Before(c.ReadAt) {
			c.ReadAt = child.ReadAt
		}
		if d != nil {
			d.sentence = child.Sentence
			duties = append(duties, *d)
		}
	}
	for _, s := range f.Services {
		add(checkService(rules, f, s))
	}
	slices.SortStableFunc(duties, func(a, b duty) int { return a.entry.Level - b.entry.Level })
	for _, s := range f.Schedules {
		add(checkSchedule(rules, f, s))
	}
	if len(c.Children) == 0 {
		c.Sentence = "the requested role names no service or schedule to be on call for"
		c.Remedy = needsAnnotation(rules, f.Request)
		return c, nil
	}
	decisive := anyOf(c.Children)
	severalRoles := len(f.Request.Roles) > 1
	if severalRoles {
		decisive = allOf(c.Children)
	}
	c.Status, c.Sentence, c.Remedy = decisive.Status, decisive.Sentence, decisive.Remedy
	if c.Status == access.Passed {
		c.Sentence = duties[0].sentence
		return c, duties
	}
	if len(c.Children) > 1 && !severalRoles {
		c.Remedy = "one of the services and schedules that the role names is enough"
	}
	if severalRoles && len(duties) > 0 {
		c.Sentence = "a request for several roles must qualify for every service and schedule they name (" + decisive.Sentence +
			"); ask for one role per request"
		c.Remedy = "a new request for each role"
	}
	return c, nil
}

// anyOf gives the child that decides when one passed child is enough.
func anyOf(children []access.Check) access.Check {
	return first(children, access.Passed, access.Unknown, access.Failed)
}

// allOf gives the child that decides when every child must pass.
func allOf(children []access.Check) access.Check {
	return first(children, access.Failed, access.Unknown, access.Passed)
}

func first(children []access.Check, order ...access.Status) access.Check {
	for _, status := range order {
		for _, c := range children {
			if c.Status == status {
				return c
			}
		}
	}
	return access.Check{Status: access.Unknown}
}

// checkService answers for one named service, with the duty when it passes.
func checkService(rules Rules, f Facts, s NamedService) (access.Check, *duty) {
	service := s.Fact.Value
	c := access.Check{Name: "service " + s.Ref, Status: access.Unknown, ReadAt: oldest(f.User.ReadAt, s.Fact.ReadAt, f.OnCalls.ReadAt)}
	who := rules.Email(f.Request)
	switch {
	case isNotFound(s.Fact.Err):
		c.Status, c.ReadAt = access.Failed, s.Fact.ReadAt
		c.Sentence = fmt.Sprintf("PagerDuty knows no service %q", s.Ref)
		c.Remedy = needsName(rules.Services, "service")
		return c, nil
	case !s.Fact.Known():
		c.Sentence = unread(fmt.Sprintf("the service %q", s.Ref), s.Fact.Err)
		c.Remedy = needsAnswer(s.Fact.Err, rules.Services)
		return c, nil
	case service.ID == "" || service.Policy == "":
		c.Sentence = fmt.Sprintf("PagerDuty shows no escalation policy of service %q", s.Ref)
		c.Remedy = needsAnswer(nil, "")
		return c, nil
	case !f.User.Known() || f.User.Value.ID == "" || !access.SameName(f.User.Value.Email, who):
		c.Sentence = fmt.Sprintf("on call for %s was not looked up: the requester's PagerDuty user is not known", service.Name)
		c.Remedy = needsCheck("user")
		return c, nil
	case !f.OnCalls.Known() || f.OnCalls.Value.Now.IsZero():
		c.Sentence = unread("who is on call for "+service.Name, f.OnCalls.Err)
		c.Remedy = needsAnswer(f.OnCalls.Err, "")
		return c, nil
	}
	entry, found := lowest(f, service.Policy)
	qualifies := found && levelAllowed(rules, entry)
	doubt, unsure := answering(access.Unknown, rules, f, service.Policy)
	switch {
	case !found && nameless(f, service.Policy):
		c.Sentence = fmt.Sprintf("PagerDuty does not show the e-mail address of who is on call for %s", service.Name)
		c.Remedy = needsAnswer(nil, "")
		return c, nil
	case !qualifies && unsure:
		err := f.Paging[doubt.Schedule].Err
		c.Sentence = unread(fmt.Sprintf("whom the shift-based schedule %s pages", doubt.Schedule), err)
		c.Remedy = needsAnswer(err, "")
		return c, nil
	case !found:
		c.Status = access.Failed
		c.Sentence = fmt.Sprintf("%s is not on call for %s", who, service.Name)
		if e, shadow := answering(access.Failed, rules, f, service.Policy); shadow {
			c.Sentence = fmt.Sprintf("%s is on call for %s by the schedule %s, but not paged", who, service.Name, e.Schedule)
		}
		shift, ok := nextShift(rules, f, service.Policy)
		if ok {
			c.Sentence += ", next from " + Time(shift)
		}
		c.Sentence += instead(f, service.Policy)
		c.Remedy = needsDuty(who, "for the escalation policy of "+service.Name+atLevel(rules), shift)
		return c, nil
	case !qualifies:
		c.Status = access.Failed
		c.Saw = fmt.Sprintf("level %d", entry.Level)
		c.Sentence = fmt.Sprintf("%s is on call for %s only at level %d, at most %d is allowed", who, service.Name, entry.Level, rules.MaxEscalationLevel)
		c.Sentence += instead(f, service.Policy)
		shift, _ := nextShift(rules, f, service.Policy)
		c.Remedy = needsDuty(who, "for the escalation policy of "+service.Name+atLevel(rules), shift)
		return c, nil
	}
	c.Status = access.Passed
	if entry.ShiftBased {
		c.ReadAt = oldest(c.ReadAt, f.Paging[entry.Schedule].ReadAt)
	}
	c.Saw = describe(entry)
	c.Sentence = fmt.Sprintf("%s is on call for %s (level %d, %s)", who, service.Name, entry.Level, since(entry))
	return c, &duty{service: service, entry: entry}
}

// checkSchedule answers for one named schedule, with the duty when it passes. Levels do not count here.
func checkSchedule(rules Rules, f Facts, s NamedSchedule) (access.Check, *duty) {
	schedule := s.Fact.Value.Schedule
	c := access.Check{Name: "schedule " + s.Ref, Status: access.Unknown, ReadAt: oldest(f.User.ReadAt, s.Fact.ReadAt)}
	who := rules.Email(f.Request)
	switch {
	case isNotFound(s.Fact.Err):
		c.Status, c.ReadAt = access.Failed, s.Fact.ReadAt
		c.Sentence = fmt.Sprintf("PagerDuty knows no schedule %q", s.Ref)
		c.Remedy = needsName(rules.Schedules, "schedule")
		return c, nil
	case !s.Fact.Known() || schedule.ID == "" || s.Fact.Value.Now.IsZero():
		c.Sentence = unread(fmt.Sprintf("the schedule %q", s.Ref), s.Fact.Err)
		c.Remedy = needsAnswer(s.Fact.Err, rules.Schedules)
		return c, nil
	case !f.User.Known() || f.User.Value.ID == "" || !access.SameName(f.User.Value.Email, who):
		c.Sentence = fmt.Sprintf("on call on %s was not looked up: the requester's PagerDuty user is not known", schedule.Name)
		c.Remedy = needsCheck("user")
		return c, nil
	}
	at := s.Fact.Value.Now
	current := slices.IndexFunc(schedule.Shifts, func(sh access.Shift) bool { return sh.User == f.User.Value.ID && sh.At(at) })
	if current < 0 {
		c.Status = access.Failed
		c.Sentence = fmt.Sprintf("%s is not on call on the schedule %s", who, schedule.Name)
		start, ok := comingShift(s.Fact.Value, f.User.Value.ID)
		if ok {
			c.Sentence += ", next from " + Time(start)
		}
		c.Remedy = needsDuty(who, "on the schedule "+schedule.Name, start)
		return c, nil
	}
	shift := schedule.Shifts[current]
	entry := access.OnCall{User: f.User.Value, Schedule: schedule.ID, Start: shift.Start, End: shift.End}
	c.Status = access.Passed
	c.Saw = describe(entry)
	c.Sentence = fmt.Sprintf("%s is on call on the schedule %s (%s)", who, schedule.Name, since(entry))
	return c, &duty{schedule: schedule.Name, entry: entry}
}

// comingShift gives the earliest announced start of a shift of the user.
func comingShift(d access.Duty, user access.UserID) (start time.Time, found bool) {
	for _, s := range d.Schedule.Shifts {
		if user != "" && s.User == user && s.Start.After(d.Now) && (!found || s.Start.Before(start)) {
			start, found = s.Start, true
		}
	}
	return start, found
}

// lowest gives the requester's entry at the lowest level of the policy that covers PagerDuty's now and pages. Each
// entry is compared with what was asked for: a filter that PagerDuty ignored must not approve anybody.
func lowest(f Facts, policy access.PolicyID) (entry access.OnCall, found bool) {
	for _, e := range f.OnCalls.Value.Entries {
		if concerns(f, e, policy) && e.At(f.OnCalls.Value.Now) && paged(f, e) == access.Passed && (!found || e.Level < entry.Level) {
			entry, found = e, true
		}
	}
	return entry, found
}

// nameless reports whether the requester's ID is on call without the e-mail address that would confirm it.
func nameless(f Facts, policy access.PolicyID) bool {
	return slices.ContainsFunc(f.OnCalls.Value.Entries, func(e access.OnCall) bool {
		return e.Policy == policy && e.User.ID == f.User.Value.ID && e.User.Email == "" && e.At(f.OnCalls.Value.Now)
	})
}

// nextShift gives the earliest announced start of a qualifying shift on the policy.
func nextShift(rules Rules, f Facts, policy access.PolicyID) (start time.Time, found bool) {
	for _, e := range f.OnCalls.Value.Entries {
		if concerns(f, e, policy) && levelAllowed(rules, e) && e.Start.After(f.OnCalls.Value.Now) && (!found || e.Start.Before(start)) {
			start, found = e.Start, true
		}
	}
	return start, found
}

func concerns(f Facts, e access.OnCall, policy access.PolicyID) bool {
	return e.Policy == policy && e.Level >= 1 && e.User.ID == f.User.Value.ID && access.SameName(e.User.Email, f.User.Value.Email)
}

func levelAllowed(rules Rules, e access.OnCall) bool {
	return rules.MaxEscalationLevel == 0 || e.Level <= rules.MaxEscalationLevel
}

func since(e access.OnCall) string {
	if e.Start.IsZero() {
		return "always"
	}
	return "since " + Time(e.Start)
}

func describe(e access.OnCall) string {
	parts := []string{string(e.User.ID)}
	if e.Policy != "" {
		parts = append(parts, fmt.Sprintf("at level %d of %s", e.Level, e.Policy))
	}
	if e.Schedule != "" {
		parts = append(parts, "by schedule "+string(e.Schedule))
	}
	if !e.End.IsZero() {
		parts = append(parts, "until "+Time(e.End))
	}
	return strings.Join(parts, " ")
}

func unread(what string, err error) string {
	if err == nil {
		return what + " was not read"
	}
	return fmt.Sprintf("%s could not be read: %v", what, err)
}

func isNotFound(err error) bool { return errors.Is(err, access.ErrNotFound) }

func oldest(times ...time.Time) time.Time {
	old := times[0]
	for _, t := range times[1:] {
		if t.Before(old) {
			old = t
		}
	}
	return old
}
