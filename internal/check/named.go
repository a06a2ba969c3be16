package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Approval is who is approved and notified: names of services and schedules, from wherever they are known.
type Approval struct {
	MaxLevel int      // policy.max_escalation_level; 0: any
	Services []string // that the operator asked to look at
	// Schedules are the same.
	Schedules []string
	// Refs gives what the annotations of a request name.
	Refs   func(access.Request) (services, notified, schedules []string)
	DryRun bool
}

const (
	// surprising is how many people on one level are more than a role's author may have thought of.
	surprising = 10
	// maxNamed bounds the questions to PagerDuty.
	maxNamed = 40
)

const namedName = "services and schedules"

// look asks PagerDuty for what is named, and judges how many people each would approve.
func (a Approval) look(ctx context.Context, p *PagerDuty, usable bool, seen clusterSeen) []Finding {
	var all []Finding
	if a.DryRun {
		all = append(all, warning("policy", "set policy.dry_run = false when all is as you want it", "a dry run changes nothing in Teleport or PagerDuty"))
	}
	asked := a.names(seen)
	switch {
	case p == nil || !usable && len(asked) > 0:
		return append(all, warning(namedName, "", "not seen, as PagerDuty could not be asked"))
	case len(asked) == 0:
		return append(all, ok(namedName, "no request or rule names any yet; --service and --schedule look at those that roles name"))
	}
	if len(asked) > maxNamed {
		all = append(all, warning(namedName, "--service and --schedule look at certain ones", "%d of %d named are looked at", maxNamed, len(asked)))
		asked = asked[:maxNamed]
	}
	answers := make([]verdict, len(asked))
	var asking sync.WaitGroup
	for i, n := range asked {
		asking.Go(func() { answers[i] = a.judge(ctx, p.Client, n) })
	}
	asking.Wait()
	found := once(answers)
	if len(found) == 0 {
		found = []Finding{ok(namedName, "%d named, all known to PagerDuty; no level on call holds more than %d people", len(asked), surprising)}
	}
	return append(all, found...)
}

// named is a name of a service or schedule, and where it stands.
type named struct {
	ref      string
	schedule bool
	approves bool // people on call for it are approved
	source   string
	past     bool // the source is decided: what is wrong with it may have been mended since
}

// names gathers all that is named, once each; what approves before what notifies.
func (a Approval) names(seen clusterSeen) []named {
	of := map[string]named{}
	add := func(refs []string, n named) {
		for _, ref := range refs {
			key := fmt.Sprint(n.schedule, access.Fold(ref))
			it, known := of[key]
			if !known {
				it, it.ref = n, ref
			}
			it.approves = it.approves || n.approves
			of[key] = it
		}
	}
	add(a.Services, named{approves: true, source: "--service"})
	add(a.Schedules, named{approves: true, schedule: true, source: "--schedule"})
	for _, past := range []bool{false, true} {
		for _, r := range seen.requests {
			if past != (r.State != access.Pending) {
				continue
			}
			source := "request " + string(r.ID)
			services, notified, schedules := a.Refs(r)
			add(services, named{approves: true, source: source, past: past})
			add(schedules, named{approves: true, schedule: true, source: source, past: past})
			add(notified, named{source: source, past: past})
		}
	}
	for _, r := range seen.rules {
		add(r.Recipients, named{source: "access monitoring rule " + r.Name})
	}
	return slices.SortedFunc(maps.Values(of), func(x, y named) int {
		return cmp.Or(-compare(x.approves, y.approves), compare(x.schedule, y.schedule), cmp.Compare(x.ref, y.ref))
	})
}

func compare(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}

// verdict is what is wrong with one that is named.
type verdict struct {
	findings []Finding
	policy   access.PolicyID // that they are about; "": none
}

// once gives what was found, of each policy once: services share them.
func once(answers []verdict) (found []Finding) {
	told := map[access.PolicyID]bool{}
	for _, v := range answers {
		if v.policy == "" || !told[v.policy] {
			found = append(found, v.findings...)
		}
		told[v.policy] = true
	}
	return found
}

// judge asks for one of them.
func (a Approval) judge(ctx context.Context, c Account, n named) verdict {
	if n.schedule {
		schedule, now, err := c.Schedule(ctx, n.ref, time.Time{})
		if err != nil {
			return verdict{findings: []Finding{n.unknown("schedule", err)}}
		}
		return verdict{findings: crowded(schedule, now)}
	}
	service, err := c.Service(ctx, n.ref)
	if err != nil {
		return verdict{findings: []Finding{n.unknown("service", err)}}
	}
	if !n.approves {
		return verdict{}
	}
	entries, _, err := c.OnDuty(ctx, service.Policy)
	if err != nil {
		return verdict{findings: []Finding{warning(namedName, "try again", "who is on call for service %q is not seen: %v", n.ref, err)}}
	}
	return verdict{a.levels(service, entries), service.Policy}
}

// unknown tells of a name that leads to nothing, or to several.
func (n named) unknown(kind string, err error) Finding {
	tell := failed
	if n.past {
		tell = warning
	}
	ambiguous := new(access.AmbiguousError)
	switch {
	case errors.As(err, &ambiguous):
		return tell(namedName, fmt.Sprintf(`rename one of them in PagerDuty, or write "id:%s" in the role`, ambiguous.IDs[0]),
			"%s %q, named by %s, fits several (%s): nobody is approved by it", kind, n.ref, n.source, strings.Join(ambiguous.IDs, ", "))
	case errors.Is(err, access.ErrNotFound):
		return tell(namedName, "correct the annotation of the role, or the rule, that names it: a name counts whole; id: and the ID can stand in its place",
			"%s %q, named by %s, is not in this PagerDuty account", kind, n.ref, n.source)
	}
	return warning(namedName, "try again", "%s %q, named by %s, is not seen: %v", kind, n.ref, n.source, err)
}

// levels tells which levels of a service's escalation policy hold surprisingly many people.
func (a Approval) levels(s access.Service, entries []access.OnCall) []Finding {
	people := map[int]map[access.UserID]bool{}
	for _, e := range entries {
		if a.MaxLevel > 0 && e.Level > a.MaxLevel {
			continue
		}
		if people[e.Level] == nil {
			people[e.Level] = map[access.UserID]bool{}
		}
		people[e.Level][e.User.ID] = true
	}
	for _, level := range slices.Sorted(maps.Keys(people)) {
		if n := len(people[level]); n > surprising {
			mend := "take people off this level in PagerDuty"
			if level > 1 {
				mend = fmt.Sprintf("set policy.max_escalation_level = %d, or take people off this level in PagerDuty", level-1)
			}
			return []Finding{warning(namedName, mend, "level %d of policy %s of service %s holds %d people, all of whom are approved at once", level, s.Policy, s.Name, n)}
		}
	}
	return nil
}

// crowded tells that many people are on a schedule right now.
func crowded(s access.Schedule, now time.Time) []Finding {
	people := map[access.UserID]bool{}
	for _, shift := range s.Shifts {
		if shift.At(now) {
			people[shift.User] = true
		}
	}
	if len(people) <= surprising {
		return nil
	}
	return []Finding{warning(namedName, "name a schedule with fewer people in the role",
		"schedule %s holds %d people right now, all of whom are approved at once", s.Name, len(people))}
}
