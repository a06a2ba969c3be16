package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Decide answers whether the request is approved automatically. Each check of spec §4 is a node of the
// answer. A single failed check makes it No, a single unknown one CouldNotTell; nothing outweighs either.
func Decide(rules Rules, f Facts) access.Decision {
	d := access.Decision{Request: f.Request.ID, Cause: f.Cause, Time: f.Now}
	if f.Reviewed || Reviewed(f.Request, f.Reviewer) {
		d.Verdict = access.Already
		d.Sentence = "pdhook has already reviewed the request"
		return d
	}
	onCall, evidence := checkOnCall(rules, f)
	d.Checks = []access.Check{
		checkUser(rules, f),
		checkRoles(rules, f.Request),
		onCall,
		checkIncident(),
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
	d.Verdict, d.Evidence = access.Approve, evidence
	d.Sentence = onCall.Sentence
	return d
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
	case c.Want == "":
		c.Sentence = fmt.Sprintf("user name %s is no e-mail address, and the role has no annotation %s", f.Request.User, rules.UserEmail)
	case isNotFound(f.User.Err):
		c.Sentence = fmt.Sprintf("PagerDuty knows no user with the login e-mail %s", c.Want)
	case !f.User.Known():
		c.Status = access.Unknown
		c.Sentence = unread("the PagerDuty user "+c.Want, f.User.Err)
	case f.User.Value.ID == "" || !access.SameName(f.User.Value.Email, c.Want):
		c.Status = access.Unknown
		c.Saw = f.User.Value.Email
		c.Sentence = fmt.Sprintf("PagerDuty answered with another user than %s", c.Want)
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
			return c
		}
	}
	c.Sentence = "every requested role may be approved automatically"
	return c
}

// checkIncident is check 4 with require_incident = "none".
func checkIncident() access.Check {
	return access.Check{Name: "incident", Status: access.Passed, Want: "none", Sentence: "being on call is enough, no incident is required"}
}

// checkWindow is check 5: the access starts now, is short enough, and the request is young enough.
func checkWindow(rules Rules, f Facts) access.Check {
	req := f.Request
	c := access.Check{Name: "window", Status: access.Failed}
	switch age := f.Now.Sub(req.Created); {
	case req.State != access.Pending:
		c.Sentence = fmt.Sprintf("the request is %s already", req.State)
	case req.AssumeStart.After(f.Now):
		c.Sentence = fmt.Sprintf("the access starts later, at %s", Time(req.AssumeStart))
	case rules.MaxRequestAge > 0 && req.Created.IsZero():
		c.Status, c.Sentence = access.Unknown, "Teleport gives no creation time of the request"
	case rules.MaxRequestAge > 0 && age > rules.MaxRequestAge:
		c.Want = "not older than " + rules.MaxRequestAge.String()
		c.Sentence = fmt.Sprintf("the request is %s old, at most %s is allowed", age.Round(time.Minute), rules.MaxRequestAge)
	case rules.MaxAccess > 0 && req.AccessExpires.IsZero():
		c.Status, c.Sentence = access.Unknown, "Teleport gives no end of the requested access"
	case rules.MaxAccess > 0 && req.AccessExpires.Sub(f.Now) > rules.MaxAccess:
		c.Want = "ends within " + rules.MaxAccess.String()
		c.Sentence = fmt.Sprintf("the access would last until %s, at most %s from now is allowed", Time(req.AccessExpires), rules.MaxAccess)
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
	for _, a := range accounts {
		switch {
		case a == "":
			c.Status, c.Sentence = access.Unknown, "PagerDuty does not show the account of its answers"
			return c
		case a != rules.Account:
			c.Status, c.Saw = access.Failed, a
			c.Sentence = fmt.Sprintf("the API key belongs to account %s, pagerduty.account is %s", a, rules.Account)
			return c
		}
	}
	c.Saw = rules.Account
	c.Sentence = "every answer came from account " + rules.Account
	return c
}

// next is the earliest announced moment at which a "no" may become a "yes" by itself.
func next(rules Rules, f Facts) time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if t.After(f.Now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	earlier(f.Request.AssumeStart)
	for _, e := range f.OnCalls.Value.Entries {
		if levelAllowed(rules, e) {
			// The shift starts by PagerDuty's clock; we wait by ours.
			earlier(e.Start.Add(f.OnCalls.ReadAt.Sub(f.OnCalls.Value.Now)))
		}
	}
	return at
}
