package admin

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Connection is a part of pdhook that is in order or not, with what is known of it.
type Connection struct {
	Name  string
	Pill  Pill
	Facts []Line
	Meter *Meter
	Why   string // what is wrong
}

// Line is one thing known: a text or a moment.
type Line struct {
	Name, Text string
	At         Moment
}

// Meter is how much is left of something.
type Meter struct{ Left, Limit, Low int }

var (
	fine   = Pill{"good", "✓", "in order"}
	broken = Pill{"bad", "✗", "needs somebody"}
	silent = Pill{"quiet", "…", "not known yet"}
)

// health shows the connections, the endpoint and the work at hand.
func health(s Status) []Connection {
	return []Connection{teleportHealth(s.Teleport), pagerDutyHealth(s.PagerDuty), endpointHealth(s.Webhook), subscriptionHealth(s.Webhook.Subscription), queueHealth(s)}
}

func teleportHealth(t Teleport) Connection {
	c := Connection{Name: "Teleport", Pill: fine, Why: oneLine(t.LastError), Facts: known(
		Line{Name: "Cluster", Text: name(t.Cluster)}, Line{Name: "Version", Text: name(t.ServerVersion)},
		Line{Name: "Requests listed", At: Moment{t.LastResync}}, Line{Name: "Identity ends", At: Moment{t.IdentityExpires}})}
	switch {
	case !t.Connected:
		c.Pill = Pill{"bad", "✗", "not connected"}
	case !t.Watching:
		c.Pill = Pill{"bad", "✗", "not watching requests"}
	case t.LastError != "":
		c.Pill = Pill{"wait", "!", "connected, not renewed"}
	}
	return c
}

func pagerDutyHealth(p PagerDuty) Connection {
	c := Connection{Name: "PagerDuty", Pill: fine, Why: oneLine(p.LastError), Facts: known(Line{Name: "Account", Text: name(p.Account)})}
	switch {
	case !p.Reachable && p.LastError == "":
		c.Pill = silent
	case !p.Reachable:
		c.Pill = Pill{"bad", "✗", "not reachable"}
	case p.LastError != "":
		c.Pill = Pill{"wait", "!", "the last call failed"}
	}
	if p.RateLimitLimit != nil && p.RateLimitRemaining != nil && *p.RateLimitLimit > 0 {
		c.Meter = &Meter{Left: min(max(*p.RateLimitRemaining, 0), *p.RateLimitLimit), Limit: *p.RateLimitLimit, Low: *p.RateLimitLimit / 5}
	}
	if p.ClockSkewSeconds != 0 {
		skew := time.Duration(p.ClockSkewSeconds * float64(time.Second)).Round(time.Second)
		c.Facts = append(c.Facts, Line{Name: "Clock", Text: fmt.Sprintf("%s %s PagerDuty’s", skew.Abs(), map[bool]string{true: "ahead of", false: "behind"}[skew > 0])})
	}
	return c
}

func endpointHealth(w Webhook) Connection {
	c := Connection{Name: "Webhook endpoint", Pill: Pill{"good", "✓", "takes webhooks"}, Why: oneLine(strings.Join(w.NotReady, "; ")),
		Facts: known(Line{Name: "Certificate ends", At: Moment{w.CertificateExpires}})}
	if len(w.NotReady) > 0 {
		c.Pill = Pill{"bad", "✗", "not ready"}
	}
	return c
}

func subscriptionHealth(s Subscription) Connection {
	c := Connection{Name: "Webhook subscription", Pill: fine, Why: oneLine(s.Problem),
		Facts: known(Line{Name: "ID", Text: name(s.ID)}, Line{Name: "Leads to", Text: oneLine(s.URL)}, Line{Name: "Looked at", At: Moment{s.LastLook}})}
	switch {
	case s.LastLook.IsZero():
		c.Pill = silent
	case s.TemporarilyDisabled:
		c.Pill = Pill{"bad", "✗", "disabled by PagerDuty"}
	case s.ID == "":
		c.Pill = Pill{"bad", "✗", "none found"}
	case !s.Active:
		c.Pill = Pill{"bad", "✗", "switched off"}
	case s.Problem != "":
		c.Pill = broken
	}
	return c
}

func queueHealth(s Status) Connection {
	c := Connection{Name: "Work at hand", Pill: fine, Facts: []Line{
		{Name: "Waiting for a look", Text: fmt.Sprint(s.Queue.Depth)}, {Name: "Failing", Text: fmt.Sprint(s.Queue.Failing)}}}
	// Only a wait that is worth a word: the figure changes with every look at it.
	if waited := time.Duration(s.Queue.OldestSeconds * float64(time.Second)); waited >= time.Minute {
		c.Facts = append(c.Facts, Line{Name: "Longest wait", Text: fmt.Sprintf("%d min", int(waited.Minutes()))})
	}
	if s.Queue.Failing > 0 {
		c.Pill = Pill{"wait", "!", "some are tried again"}
	}
	return c
}

func known(lines ...Line) []Line {
	var all []Line
	for _, l := range lines {
		if l.Text != "" || !l.At.IsZero() {
			all = append(all, l)
		}
	}
	return all
}

// problems names what keeps pdhook from its work, in a line each.
func problems(s Status, notReady []string) []Problem {
	var all []Problem
	if s.DryRun {
		all = append(all, Problem{"This is a dry run", "pdhook decides and records, and changes nothing in Teleport or PagerDuty (policy.dry_run)"})
	}
	switch {
	case !s.Teleport.Connected:
		all = append(all, Problem{"Teleport is not connected", cmp.Or(oneLine(s.Teleport.LastError), "what you see may be out of date")})
	case !s.Teleport.Watching:
		all = append(all, Problem{"Access requests are not watched", cmp.Or(oneLine(s.Teleport.LastError), "what you see may be out of date")})
	case s.Teleport.LastError != "":
		all = append(all, Problem{"The connection to Teleport cannot be renewed", oneLine(s.Teleport.LastError)})
	}
	switch why := oneLine(s.PagerDuty.LastError); {
	case why == "":
	case s.PagerDuty.Reachable:
		all = append(all, Problem{"The last call to PagerDuty failed", why})
	default:
		all = append(all, Problem{"PagerDuty is not reachable", why})
	}
	for _, reason := range notReady {
		all = append(all, Problem{"Webhooks are not taken", oneLine(reason)})
	}
	if s.Webhook.Subscription.Problem != "" {
		all = append(all, Problem{"The webhook subscription needs somebody", oneLine(s.Webhook.Subscription.Problem)})
	}
	return all
}
