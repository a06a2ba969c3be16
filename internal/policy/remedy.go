package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Remedies say what would make a check pass. They hold no moment that moves: a decision that did not change is not
// stored anew. What makes approvals easier to get is an admin's to do, and says so.

const newRequest = "a new request"

// needsAnswer is the remedy for what PagerDuty did not tell. annotation is the one that names what was looked for,
// "" when none does.
func needsAnswer(err error, annotation string) string {
	ambiguous := &access.AmbiguousError{}
	switch {
	case errors.As(err, &ambiguous) && ambiguous.Kind == "user":
		return fmt.Sprintf("somebody leaves one PagerDuty user with the login e-mail %s", ambiguous.Name)
	case errors.As(err, &ambiguous):
		return fmt.Sprintf("an admin writes which %s is meant into the annotation %s: id:%s", ambiguous.Kind, annotation, strings.Join(ambiguous.IDs, " or id:"))
	case access.IsPermanent(err):
		return "an admin mends what the sentence says; pdhook asks again by itself"
	}
	return "PagerDuty answers; pdhook asks again by itself"
}

func needsCheck(name string) string { return fmt.Sprintf("the check %q passes first", name) }

func needsUser(rules Rules, email string, annotated bool) string {
	if annotated {
		return fmt.Sprintf("somebody gives PagerDuty a user with the login e-mail %s, or an admin corrects what the annotation %s gives", email, rules.UserEmail)
	}
	return fmt.Sprintf("somebody gives PagerDuty a user with the login e-mail %s, or an admin adds the annotation %s to the role, with the trait that holds it", email, rules.UserEmail)
}

// needsRoles names all roles that are not approved automatically, and those for which another request would be.
func needsRoles(rules Rules, req access.Request) string {
	var others, listed []string
	for _, role := range req.Roles {
		if slices.Contains(rules.AutoApproveRoles, role) {
			listed = append(listed, role)
		} else {
			others = append(others, role)
		}
	}
	remedy := fmt.Sprintf("an admin adds %s to policy.auto_approve_roles", strings.Join(others, " and "))
	if len(listed) > 0 {
		remedy += fmt.Sprintf("; or %s for %s alone", newRequest, strings.Join(listed, " or "))
	}
	return remedy
}

func needsAnnotation(rules Rules, req access.Request) string {
	return fmt.Sprintf("an admin adds the annotation %s or %s to the role that lets %s request %s",
		rules.Services, rules.Schedules, req.User, cmp.Or(strings.Join(req.Roles, ", "), "it"))
}

func needsName(annotation, kind string) string {
	return fmt.Sprintf("an admin corrects the name in the annotation %s, or gives PagerDuty a %s of that name", annotation, kind)
}

// needsDuty is the remedy for who is not on call; shift is the next that PagerDuty announces, zero for none.
func needsDuty(who, what string, shift time.Time) string {
	coming := "no shift is announced while the request lives, an override counts at the next poll"
	if !shift.IsZero() {
		coming = "the next shift starts " + Time(shift) + ", an override counts at the next poll"
	}
	return fmt.Sprintf("%s comes on call %s: %s", who, what, coming)
}

// atLevel says how far down somebody may be on call.
func atLevel(rules Rules) string {
	switch rules.MaxEscalationLevel {
	case 0:
		return ""
	case 1:
		return " at level 1"
	}
	return fmt.Sprintf(" at one of the levels 1 to %d", rules.MaxEscalationLevel)
}

// needsIncident names the open incidents that would count once the requester does something with them, else
// which one would have to open.
func needsIncident(rules Rules, f Facts, services []access.ServiceID) string {
	who, where := rules.Email(f.Request), serviceNames(f, services)
	var open []string
	for _, i := range f.Incidents.Value {
		wouldCount := !i.Notification && !i.TriggerNotShown && (rules.OwnIncidents || i.TriggeredBy != f.User.Value.ID)
		if wouldCount && i.ID != "" && (i.Status == access.Triggered || i.Status == access.Acknowledged) && slices.Contains(services, i.Service) {
			open = append(open, fmt.Sprintf("%s on %s", i.ID, i.ServiceName))
		}
	}
	opens := "an incident opens on " + where
	if !rules.OwnIncidents {
		opens += ", by an alert or somebody else than " + who
	}
	switch {
	case rules.RequireIncident == RequireAcknowledged && len(open) > 0:
		return fmt.Sprintf("%s acknowledges incident %s", who, anyOne(open))
	case rules.RequireIncident == RequireAcknowledged:
		return fmt.Sprintf("%s, and %s acknowledges it", opens, who)
	case rules.RequireIncident == RequireAssigned && len(open) > 0:
		return fmt.Sprintf("incident %s is assigned to %s", anyOne(open), who)
	case rules.RequireIncident == RequireAssigned:
		return fmt.Sprintf("%s, and is assigned to %s", opens, who)
	}
	return opens
}

// anyOne joins the first three of several.
func anyOne(several []string) string {
	return strings.Join(several[:min(len(several), 3)], " or ")
}

// span writes a duration as the configuration does: "24h", not "24h0m0s".
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
