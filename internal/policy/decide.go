package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Checks lists the names of the checks that a decision can rest on, in their order.
func Checks() []string {
	return []string{"user", "roles", "on call", "incident", "window", "reviews", "account"}
}

// Decide answers whether the request is approved automatically. Each check of spec §4 is a node of the
// answer. A single failed check makes it No, a single unknown one CouldNotTell; nothing outweighs either.
func Decide(rules Rules, f Facts) access.Decision {
	d := access.Decision{Request: f.Request.ID, Cause: f.Cause, Time: f.Now}
	if f.Reviewed || Reviewed(f.Request, f.Reviewer) {
		d.Verdict = access.Already
		d.Sentence = cmp.Or(approvedBecause(f.Request, f.Reviewer), access.AlreadySentence)
		return d
	}
	f = forNamed(rules, f)
	onCall, duties := checkOnCall(rules, f)
	incident, basis := checkIncident(rules, f, onCall, duties)
	d.Checks = []access.Check{
		checkUser(rules, f),
		checkRoles(rules, f.Request),
		onCall,
		incident,
		checkWindow(rules, f),
		checkReviews(f.Request),
	}
	if rules.Account != "" {
		d.Checks = append(d.Checks, checkAccount(rules, f))
	}
	decisive := slices.IndexFunc(d.Checks, func(c access.Check) bool { return c.Status == access.Failed })
	d.Verdict = access.No
	if decisive < 0 {
		decisive = slices.IndexFunc(d.Checks, func(c access.Check) bool { return c.Status != access.Passed })
		d.Verdict = access.CouldNotTell
	}
	d.Next = next(rules, f)
	if decisive >= 0 {
		d.Sentence = d.Checks[decisive].Sentence
		return d
	}
	best := supported(duties, basis)
	d.Verdict, d.Evidence = access.Approve, evidenceOf(f, best, basis)
	d.Sentence = best.sentence
	if len(basis) > 0 {
		d.Sentence += ", " + incident.Sentence
	}
	return d
}

// forNamed keeps the facts for what the request names: it may have changed since they were read. What it names
// beside that was not read.
func forNamed(rules Rules, f Facts) Facts {
	services, schedules := f.Services, f.Schedules
	f.Services, f.Schedules = nil, nil
	for _, ref := range rules.ServiceRefs(f.Request) {
		named := NamedService{Ref: ref}
		if i := slices.IndexFunc(services, func(s NamedService) bool { return s.Ref == ref }); i >= 0 {
			named = services[i]
		}
		f.Services = append(f.Services, named)
	}
	for _, ref := range rules.ScheduleRefs(f.Request) {
		named := NamedSchedule{Ref: ref}
		if i := slices.IndexFunc(schedules, func(s NamedSchedule) bool { return s.Ref == ref }); i >= 0 {
			named = schedules[i]
		}
		f.Schedules = append(f.Schedules, named)
	}
	return f
}

// supported gives the first duty that an incident of the basis belongs to, so that the evidence fits together.
// One by a schedule takes any; without a basis the first duty of all is meant.
func supported(duties []duty, basis []access.Incident) duty {
	for _, d := range duties {
		if len(basis) == 0 || d.service.ID == "" ||
			slices.ContainsFunc(basis, func(i access.Incident) bool { return i.Service == d.service.ID }) {
			return d
		}
	}
	return duties[0]
}

// evidenceOf gathers what an approval rests on. It is as fresh as all that was looked at.
func evidenceOf(f Facts, best duty, basis []access.Incident) *access.Evidence {
	e := &access.Evidence{User: f.User.Value, Service: best.service, Schedule: best.schedule, OnCall: best.entry,
		Incidents: basis, ReadAt: f.User.ReadAt}
	for _, s := range f.Services {
		e.ReadAt = olderOf(e.ReadAt, s.Fact.Known(), s.Fact.ReadAt)
	}
	for _, s := range f.Schedules {
		e.ReadAt = olderOf(e.ReadAt, s.Fact.Known(), s.Fact.ReadAt)
	}
	e.ReadAt = olderOf(e.ReadAt, f.OnCalls.Known(), f.OnCalls.ReadAt)
	for _, duty := range f.Paging {
		e.ReadAt = olderOf(e.ReadAt, duty.Known(), duty.ReadAt)
	}
	e.ReadAt = olderOf(e.ReadAt, f.Incidents.Known(), f.Incidents.ReadAt)
	return e
}

func olderOf(at time.Time, known bool, other time.Time) time.Time {
	if known && other.Before(at) {
		return other
	}
	return at
}

// checkUser is check 1: the requester is exactly one PagerDuty user, found by login e-mail.
func checkUser(rules Rules, f Facts) access.Check {
	c := access.Check{Name: "user", ReadAt: f.User.ReadAt, Want: rules.Email(f.Request), Status: access.Failed}
	annotated := values(f.Request, rules.UserEmail)
	_, isAnnotated := f.Request.Annotations[rules.UserEmail]
	switch {
	case isAnnotated && len(annotated) != 1:
		c.Status = access.Unknown
		c.Saw = strings.Join(annotated, ", ")
		c.Sentence = fmt.Sprintf("annotation %s holds %d e-mail addresses, one is expected", rules.UserEmail, len(annotated))
		c.Remedy = fmt.Sprintf("an admin makes the annotation %s of the role hold exactly one e-mail address for %s", rules.UserEmail, f.Request.User)
	case c.Want == "":
		c.Sentence = fmt.Sprintf("user name %s is no e-mail address, and the role has no annotation %s", f.Request.User, rules.UserEmail)
		c.Remedy = fmt.Sprintf("an admin adds the annotation %s to the role, with the trait that holds the login e-mail in PagerDuty", rules.UserEmail)
	case isNotFound(f.User.Err):
		c.Sentence = fmt.Sprintf("PagerDuty knows no user with the login e-mail %s", c.Want)
		c.Remedy = needsUser(rules, c.Want, isAnnotated)
	case !f.User.Known():
		c.Status = access.Unknown
		c.Sentence = unread("the PagerDuty user "+c.Want, f.User.Err)
		c.Remedy = needsAnswer(f.User.Err, rules.UserEmail)
	case f.User.Value.ID == "" || !access.SameName(f.User.Value.Email, c.Want):
		c.Status = access.Unknown
		c.Saw = f.User.Value.Email
		c.Sentence = fmt.Sprintf("PagerDuty answered with another user than %s", c.Want)
		c.Remedy = needsAnswer(nil, "")
	default:
		c.Status = access.Passed
		c.Saw = fmt.Sprintf("%s (%s)", f.User.Value.Email, f.User.Value.ID)
		c.Sentence = fmt.Sprintf("%s is a PagerDuty user", f.User.Value.Email)
	}
	return c
}

// checkRoles is the allow-list of check 2; what the merged annotations demand is part of checkOnCall.
func checkRoles(rules Rules, req access.Request) access.Check {
	c := access.Check{Name: "roles", Status: access.Passed, Saw: strings.Join(req.Roles, ", ")}
	switch {
	case len(req.Roles) == 0:
		c.Status = access.Failed
		c.Sentence = "the request names no role"
		c.Remedy = "a new request for a role"
		return c
	case rules.AutoApproveRoles == nil:
		c.Sentence = "any role may be approved automatically"
		return c
	}
	c.Want = "only " + strings.Join(rules.AutoApproveRoles, ", ")
	for _, role := range req.Roles {
		if !slices.Contains(rules.AutoApproveRoles, role) {
			c.Status = access.Failed
			c.Sentence = fmt.Sprintf("role %s is not among the roles that are approved automatically", role)
			c.Remedy = needsRoles(rules, req)
			return c
		}
	}
	c.Sentence = "every requested role may be approved automatically"
	return c
}

// checkWindow is check 5: the access starts now, is short enough, and the request is young enough.
func checkWindow(rules Rules, f Facts) access.Check {
	req, now := f.Request, f.present()
	c := access.Check{Name: "window", Status: access.Failed}
	switch age := now.Sub(req.Created); {
	case req.State != access.Pending:
		c.Sentence = fmt.Sprintf("the request is %s already", req.State)
	case req.AssumeStart.After(now):
		c.Remedy = "it is decided when the access starts, at " + Time(req.AssumeStart)
		c.Sentence = fmt.Sprintf("the access starts later, at %s", Time(req.AssumeStart))
	case rules.MaxRequestAge > 0 && req.Created.IsZero():
		c.Status, c.Sentence, c.Remedy = access.Unknown, "Teleport gives no creation time of the request", newRequest
	case rules.MaxRequestAge > 0 && age > rules.MaxRequestAge:
		c.Want = "not older than " + span(rules.MaxRequestAge)
		c.Sentence = fmt.Sprintf("the request was made at %s, an age of at most %s is allowed", Time(req.Created), span(rules.MaxRequestAge))
		c.Remedy = newRequest
	case rules.MaxAccess > 0 && req.AccessExpires.IsZero():
		c.Status, c.Sentence = access.Unknown, "Teleport gives no end of the requested access"
		c.Remedy = newRequest + " that asks for at most " + span(rules.MaxAccess)
	case rules.MaxAccess > 0 && req.AccessExpires.Sub(now) > rules.MaxAccess:
		c.Want = "ends within " + span(rules.MaxAccess)
		c.Sentence = fmt.Sprintf("the access would last until %s, at most %s from now is allowed", Time(req.AccessExpires), span(rules.MaxAccess))
		c.Remedy = newRequest + " that asks for at most " + span(rules.MaxAccess)
	default:
		c.Status, c.Sentence = access.Passed, "the access starts now and ends soon enough"
	}
	return c
}

// checkReviews is check 6: nobody said no.
func checkReviews(req access.Request) access.Check {
	c := access.Check{Name: "reviews", Status: access.Passed, Sentence: "nobody has denied the request"}
	for _, r := range req.Reviews {
		if r.State == access.Denied {
			c.Status = access.Failed
			c.Saw = r.Author
			c.Sentence = fmt.Sprintf("%s has denied the request", r.Author)
		}
	}
	return c
}

// checkAccount holds pagerduty.account against the account that the facts show.
func checkAccount(rules Rules, f Facts) access.Check {
	c := access.Check{Name: "account", Want: rules.Account, Status: access.Passed, ReadAt: f.User.ReadAt}
	accounts := []string{f.User.Value.Account}
	for _, s := range f.Services {
		if s.Fact.Known() {
			accounts = append(accounts, s.Fact.Value.Account)
		}
	}
	for _, s := range f.Schedules {
		if s.Fact.Known() {
			accounts = append(accounts, s.Fact.Value.Schedule.Account)
		}
	}
	for _, a := range accounts {
		switch {
		case a == "":
			c.Status, c.Sentence = access.Unknown, "PagerDuty does not show the account of its answers"
			c.Remedy = needsAnswer(nil, "")
			return c
		case a != rules.Account:
			c.Status, c.Saw = access.Failed, a
			c.Sentence = fmt.Sprintf("the API key belongs to account %s, pagerduty.account is %s", a, rules.Account)
			c.Remedy = fmt.Sprintf("an admin sets pagerduty.api_key to a key of account %s, or corrects pagerduty.account", rules.Account)
			return c
		}
	}
	c.Saw = rules.Account
	c.Sentence = "every answer came from account " + rules.Account
	return c
}
