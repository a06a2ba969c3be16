// Package policy is pdhook's judgement: whether a request is approved automatically, what is still missing
// on its incidents, and every word that is said about it. It is pure: facts in, decisions and actions out,
// no clock and no I/O, so that each rule of spec §4 and §5 can be read and tested as a table.
package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Notify says for which requests an incident is opened (policy.notify).
type Notify string

// The values of policy.notify.
const (
	NotifyAlways         Notify = "always"
	NotifyUnlessApproved Notify = "unless_approved" // a request that is approved at once opens none
)

// Rules is the operator's policy, one value for a whole reconcile.
type Rules struct {
	// Names of the annotations (spec §3).
	NotifyService, Services, Schedules, UserEmail string

	AutoApproveRoles   []string      // nil: any role
	MaxEscalationLevel int           // 0: any level
	MaxAccess          time.Duration // 0: any; how far from now the access may end
	MaxRequestAge      time.Duration // 0: any
	Notify             Notify
	Account            string // PagerDuty account that every fact must come from; "": any
}

// Concerned reports whether the request names anything in PagerDuty; all others are ignored (spec §3).
func (r Rules) Concerned(req access.Request) bool {
	return slices.ContainsFunc([]string{r.NotifyService, r.Services, r.Schedules}, func(name string) bool {
		return len(values(req, name)) > 0
	})
}

// NotifyRefs gives the services to open incidents on, as annotated.
func (r Rules) NotifyRefs(req access.Request) []string { return values(req, r.NotifyService) }

// ServiceRefs gives the services whose on-call engineers are approved, as annotated.
func (r Rules) ServiceRefs(req access.Request) []string { return values(req, r.Services) }

// Email gives the login e-mail under which PagerDuty must know the requester; "" when none can be told. Where
// the annotation is present, however empty, the user name is not used.
func (r Rules) Email(req access.Request) string {
	if _, annotated := req.Annotations[r.UserEmail]; annotated {
		if emails := values(req, r.UserEmail); len(emails) == 1 {
			return emails[0]
		}
		return ""
	}
	if strings.Contains(req.User, "@") {
		return req.User
	}
	return ""
}

// values gives the values of an annotation without blanks and repetitions.
func values(req access.Request, annotation string) []string {
	var out []string
	for _, v := range req.Annotations[annotation] {
		v = strings.TrimSpace(v)
		if v != "" && !slices.ContainsFunc(out, func(o string) bool { return sameRef(o, v) }) {
			out = append(out, v)
		}
	}
	return out
}

// sameRef compares two values: names in any case, IDs to the letter.
func sameRef(a, b string) bool {
	if strings.HasPrefix(a, "id:") || strings.HasPrefix(b, "id:") {
		return a == b
	}
	return access.SameName(a, b)
}

// Facts is everything a decision rests on, with the time at which it was read.
type Facts struct {
	Now      time.Time // when the decision is made, by our clock
	Cause    string    // why the request is looked at
	Reviewer string    // the Teleport user that pdhook reviews as
	Reviewed bool      // this replica remembers that pdhook has reviewed the request
	Request  access.Request
	User     access.Fact[access.User]
	Services []NamedService // those that the role names for approval
	OnCalls  access.Fact[OnCalls]
}

// NamedService is a service as annotated and what PagerDuty says of it.
type NamedService struct {
	Ref  string // a name, or "id:" and an ID
	Fact access.Fact[access.Service]
}

// OnCalls is PagerDuty's answer to one on-call question about the requester.
type OnCalls struct {
	Entries []access.OnCall
	Now     time.Time // PagerDuty's own time at the answer
}

// Fresh is how old the facts behind an approval may be at the end of the review call (spec §2).
const Fresh = 10 * time.Second
