package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// checkOnCall is check 3: the requester is on call now for the escalation policy of a named service, low
// enough. Annotations of several roles arrive merged, and nobody can tell which value belongs to which
// role: a request for more than one role must pass for every named service and schedule (check 2).
func checkOnCall(rules Rules, f Facts) (access.Check, *access.Evidence) {
	c := access.Check{Name: "on call", ReadAt: f.OnCalls.ReadAt, Status: access.Failed}
	if rules.MaxEscalationLevel > 0 {
		c.Want = fmt.Sprintf("escalation level at most %d", rules.MaxEscalationLevel)
	}
	var best *access.Evidence
	var bestSentence string
	for _, s := range f.Services {
		child, evidence := checkService(rules, f, s)
		c.Children = append(c.Children, child)
		if evidence != nil && (best == nil || evidence.OnCall.Level < best.OnCall.Level) {
			best, bestSentence = evidence, child.Sentence
		}
	}
	for _, name := range values(f.Request, rules.Schedules) {
		c.Children = append(c.Children, access.Check{
			Name: "schedule " + name, Status: access.Failed,
			Sentence: "approval by schedule is not supported by this version: " + name,
		})
	}
	if len(c.Children) == 0 {
		c.Sentence = "the requested role names no service to be on call for"
		return c, nil
	}
	decisive := anyOf(c.Children)
	severalRoles := len(f.Request.Roles) > 1
	if severalRoles {
		decisive = allOf(c.Children)
	}
	c.Status, c.Sentence = decisive.Status, decisive.Sentence
	if c.Status == access.Passed {
		c.Sentence = bestSentence
		for _, s := range f.Services {
			if s.Fact.Known() { // an approval is as fresh as all it looked at
				best.ReadAt = oldest(best.ReadAt, s.Fact.ReadAt)
			}
		}
		return c, best
	}
	if severalRoles && anyOf(c.Children).Status == access.Passed {
		c.Sentence = "a request for several roles must qualify for every service they name (" + decisive.Sentence +
			"); ask for one role per request"
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

// checkService answers for one named service, with the evidence when it passes.
func checkService(rules Rules, f Facts, s NamedService) (access.Check, *access.Evidence) {
	service := s.Fact.Value
	c := access.Check{Name: "service " + s.Ref, Status: access.Unknown, ReadAt: oldest(f.User.ReadAt, s.Fact.ReadAt, f.OnCalls.ReadAt)}
	who := rules.Email(f.Request)
	switch {
	case isNotFound(s.Fact.Err):
		c.Status, c.ReadAt = access.Failed, s.Fact.ReadAt
		c.Sentence = fmt.Sprintf("PagerDuty knows no service %q", s.Ref)
		return c, nil
	case !s.Fact.Known():
		c.Sentence = unread(fmt.Sprintf("the service %q", s.Ref), s.Fact.Err)
		return c, nil
	case service.ID == "" || service.Policy == "":
		c.Sentence = fmt.Sprintf("PagerDuty shows no escalation policy of service %q", s.Ref)
		return c, nil
	case !f.User.Known() || f.User.Value.ID == "" || !access.SameName(f.User.Value.Email, who):
		c.Sentence = fmt.Sprintf("on call for %s was not looked up: the requester's PagerDuty user is not known", service.Name)
		return c, nil
	case !f.OnCalls.Known() || f.OnCalls.Value.Now.IsZero():
		c.Sentence = unread("who is on call for "+service.Name, f.OnCalls.Err)
		return c, nil
	}
	entry, found := lowest(f, service.Policy)
	switch {
	case !found && nameless(f, service.Policy):
		c.Sentence = fmt.Sprintf("PagerDuty does not show the e-mail address of who is on call for %s", service.Name)
		return c, nil
	case !found:
		c.Status = access.Failed
		c.Sentence = fmt.Sprintf("%s is not on call for %s", who, service.Name)
		if shift, ok := nextShift(rules, f, service.Policy); ok {
			c.Sentence += ", next from " + Time(shift)
		}
		return c, nil
	case !levelAllowed(rules, entry):
		c.Status = access.Failed
		c.Saw = fmt.Sprintf("level %d", entry.Level)
		c.Sentence = fmt.Sprintf("%s is on call for %s only at level %d, at most %d is allowed", who, service.Name, entry.Level, rules.MaxEscalationLevel)
		return c, nil
	}
	c.Status = access.Passed
	c.Saw = describe(entry)
	c.Sentence = fmt.Sprintf("%s is on call for %s (level %d%s)", who, service.Name, entry.Level, since(entry))
	return c, &access.Evidence{User: f.User.Value, Service: service, OnCall: entry, ReadAt: c.ReadAt}
}

// lowest gives the requester's entry at the lowest level of the policy that covers PagerDuty's now. Each
// entry is compared with what was asked for: a filter that PagerDuty ignored must not approve anybody.
func lowest(f Facts, policy access.PolicyID) (entry access.OnCall, found bool) {
	for _, e := range f.OnCalls.Value.Entries {
		if concerns(f, e, policy) && e.At(f.OnCalls.Value.Now) && (!found || e.Level < entry.Level) {
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
		return ", always"
	}
	return ", since " + Time(e.Start)
}

func describe(e access.OnCall) string {
	parts := []string{fmt.Sprintf("%s at level %d of %s", e.User.ID, e.Level, e.Policy)}
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
