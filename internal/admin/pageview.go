package admin

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// How many waiting requests the overview shows with all their checks, and how many with a line each.
const (
	inFull  = 25
	inALine = 1000
)

// Overview is what the page shows of everything.
type Overview struct {
	Title, Headline string
	Unread          bool // the store could not be read: that the lists are empty means nothing
	Problems        []Problem
	Waiting         []RequestView // in full
	More            []RequestView // in a line each
	Unshown         int           // waiting requests beyond these
	Decided         []RequestView
	Deliveries      []DeliveryView
	Status          Status
	Health          []Connection
}

// Problem is something that somebody has to know before all else.
type Problem struct{ What, Why string }

// RequestView is a request in plain words. Every text in it is one line of bounded length.
type RequestView struct {
	ID, Anchor, Path  string // Path of its own page
	User              string
	Roles             []string
	MoreRoles         int
	Reason, URL       string
	Waiting           bool
	Pill              Pill
	Headline          string // what became of it
	Sentence          string // and why; "" when the headline says it all
	Who               string // decided it
	Instead           string
	Remedies          []string
	Unnotified        []string
	Failing           string
	Nobody            bool // waits without an open incident: nobody is paged for it
	Created, Deadline Moment
	Decided           Moment
	Next              Moment
	NextWhy           string
	Incidents         []IncidentView
	Reviews           []ReviewView
	Checks            []CheckView
	Tally             string // of the checks: "4 yes, 1 no"
	Concluded         Moment // when it was first judged as it is now
	ConcludedWhy      string
	Looked            Moment // at last
	Resolved          string // what the one who decided wrote
}

// Alarmed reports whether something about the request needs somebody.
func (v RequestView) Alarmed() bool {
	return v.Nobody || len(v.Unnotified) > 0 || v.Failing != ""
}

// IncidentView is a PagerDuty incident of a request.
type IncidentView struct {
	ID, Service, Status, URL, By, MergedInto string
}

// ReviewView is a review of a request.
type ReviewView struct {
	Author, Reason string
	Pill           Pill
	At             Moment
}

// CheckView is a node of the decision tree.
type CheckView struct {
	Pill           Pill
	Name, Sentence string // the sentence is left out where a child says the same
	Want, Saw      string
	Read           Moment
	Children       []CheckView
	MoreChildren   int
}

// DeliveryView is a webhook event.
type DeliveryView struct {
	Type, Outcome string
	Pill          Pill
	At            Moment
}

// Moment is a time that the reader's clock turns into "3 min ago". The page itself holds no relative time: it changes
// only when something happened.
type Moment struct{ time.Time }

// Machine is for the datetime attribute.
func (m Moment) Machine() string { return m.UTC().Format(time.RFC3339) }

// Human is for readers without JavaScript.
func (m Moment) Human() string { return m.UTC().Format("2 Jan 15:04 UTC") }

// newOverview sorts what the board shows: what waits first, and of that what nobody is paged for.
func newOverview(list []Request, deliveries []Delivery, status Status, now time.Time) *Overview {
	v := &Overview{Status: status, Health: health(status)}
	var waiting []Request
	for _, r := range list {
		switch {
		case r.State == access.Pending:
			waiting = append(waiting, r)
		case len(v.Decided) < shownDecided:
			v.Decided = append(v.Decided, newRequest(r, now))
		}
	}
	slices.SortStableFunc(waiting, func(a, b Request) int {
		return cmp.Compare(truth(nobody(b)), truth(nobody(a)))
	})
	n := len(waiting)
	for _, r := range waiting[:min(n, inFull+inALine)] {
		v.Waiting = append(v.Waiting, newRequest(r, now))
	}
	v.Unshown = n - len(v.Waiting)
	if n > inFull {
		v.Waiting, v.More = v.Waiting[:inFull], v.Waiting[inFull:]
	}
	for _, d := range deliveries {
		v.Deliveries = append(v.Deliveries, newDelivery(d))
	}
	v.Title, v.Headline = fmt.Sprintf("%d waiting", n), fmt.Sprintf("%d requests are waiting", n)
	switch n {
	case 0:
		v.Title, v.Headline = "Nothing waiting", "No request is waiting"
	case 1:
		v.Headline = "1 request is waiting"
	}
	return v
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newRequest puts a request into words.
func newRequest(r Request, now time.Time) RequestView {
	v := RequestView{
		ID: oneLine(string(r.ID)), Anchor: "request-" + string(r.ID), Path: "/requests/" + url.PathEscape(string(r.ID)),
		User: cmp.Or(name(r.User), "unknown user"), Reason: oneLine(r.Reason), Resolved: oneLine(r.ResolveReason), URL: web(r.URL),
		Waiting: r.State == access.Pending, Failing: oneLine(r.Failing),
		Created: Moment{r.Created}, Deadline: Moment{r.Expires}, Pill: stateOf(r.State),
	}
	v.Roles, v.MoreRoles = some(r.Roles, mostRoles, name)
	v.Unnotified, _ = some(r.Unnotified, mostListed, oneLine)
	for _, i := range r.Incidents {
		if len(v.Incidents) == mostListed {
			break
		}
		v.Incidents = append(v.Incidents, newIncident(i))
	}
	for _, w := range r.Reviews {
		v.Reviews = append(v.Reviews, ReviewView{Author: name(w.Author), Reason: oneLine(w.Reason), Pill: stateOf(w.State), At: Moment{w.Time}})
	}
	if !r.NextLook.IsZero() {
		v.NextWhy = name(r.NextLookReason())
		if r.NextLook.After(now) {
			v.Next = Moment{r.NextLook}
		}
	}
	v.Nobody = nobody(r)
	headline, why := r.Verdict()
	v.Headline, v.Sentence = name(headline), oneLine(why)
	if v.Waiting {
		v.Pill = verdictOf(r)
	} else {
		v.Who, v.Decided = decidedBy(r)
	}
	if d := r.Decision; d != nil {
		v.Checks = newChecks(d.Checks)
		v.Tally = tally(v.Checks)
		v.Remedies = remedies(d.Checks)
		v.Instead = oneLine(d.Instead)
		v.Concluded, v.ConcludedWhy, v.Looked = Moment{d.Time}, oneLine(d.Cause), Moment{r.LastLook}
	}
	return v
}

// nobody reports whether the request waits without an open incident.
func nobody(r Request) bool {
	return r.State == access.Pending && !slices.ContainsFunc(r.Incidents, pages)
}

// pages reports whether an incident stands for the request with people: it, or the one that it went into, is open.
func pages(i Incident) bool { return i.Status != access.Resolved || i.MergedInto != "" }

func newIncident(i Incident) IncidentView {
	people, more := some(i.AcknowledgedBy, 3, name)
	by := strings.Join(people, ", ")
	if more > 0 {
		by += fmt.Sprintf(" and %d more", more)
	}
	return IncidentView{ID: name(string(i.ID)), Service: name(i.Service), Status: name(string(i.Status)), URL: web(i.URL), By: by, MergedInto: name(string(i.MergedInto))}
}

func newChecks(checks []access.Check) []CheckView {
	var views []CheckView
	for _, c := range checks {
		v := CheckView{
			Pill: statusOf(c.Status), Name: checkName(c.Name), Sentence: oneLine(c.Sentence), Want: oneLine(c.Want), Saw: oneLine(c.Saw),
			Read: Moment{c.ReadAt}, Children: newChecks(c.Children[:min(len(c.Children), mostListed)]),
		}
		v.MoreChildren = len(c.Children) - len(v.Children)
		if slices.ContainsFunc(v.Children, func(child CheckView) bool { return child.Sentence == v.Sentence }) {
			v.Sentence = ""
		}
		views = append(views, v)
	}
	return views
}

func newDelivery(d Delivery) DeliveryView {
	v := DeliveryView{Type: name(d.Type), Outcome: oneLine(d.Outcome), At: Moment{d.Received}, Pill: Pill{"good", "✓", "done"}}
	switch {
	case d.Malformed:
		v.Pill = Pill{"bad", "✗", "not understood"}
	case d.Finished.IsZero():
		v.Pill = Pill{"busy", "…", "at work"}
	}
	return v
}

// web gives an address that may be a link: those that others chose could run a script.
func web(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.String()
}

// What one request shows at most of what others chose: its page must stay readable whatever they wrote.
const (
	mostRoles  = 8
	mostListed = 20
	nameLimit  = 120
	textLimit  = 700
)

func name(s string) string    { return access.OneLine(s, nameLimit) }
func oneLine(s string) string { return access.OneLine(s, textLimit) }

// some gives the first of several texts, made safe, and how many are left out.
func some(texts []string, most int, safe func(string) string) (first []string, left int) {
	for _, s := range texts[:min(len(texts), most)] {
		first = append(first, safe(s))
	}
	return first, len(texts) - len(first)
}
