package reconcile

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/policy"
)

// The calls of the two systems, those that write first.
var (
	pagerdutyCalls = []string{"create", "note", "resolve", "reopen", "user", "service", "schedule", "on-calls", "on duty", "open incidents",
		"bot", "get incident", "incidents by key", "notes", "resolver"}
	teleportCalls = []string{"review", "swap", "get request", "get plugin data"}
)

// barredCalls are those that fare the same in the end when they are refused as if for good.
var barredCalls = []string{"note", "resolve", "swap", "notes", "get incident", "incidents by key", "get request", "get plugin data", "bot"}

// endings are how long after a fact the first replica may be told to end: amid its first calls, or later.
var endings = []time.Duration{0, 5 * time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond, 3 * time.Second, 10 * time.Second}

// pick draws one of several; those named more than once come more often, and the first are the simplest.
func pick[T any](t *rapid.T, label string, of ...T) T { return rapid.SampledFrom(of).Draw(t, label) }

// drawHistory draws a history. In a settled one each fact stands until everything is quiet, and no trouble is such
// that the contract allows another end.
func drawHistory(t *rapid.T, settled bool) history {
	h := history{
		threshold: pick(t, "approvals", 1, 1, 2),
		denials:   pick(t, "denials", 1, 1, 2),
		noReopen:  pick(t, "no reopen", false, false, true),
		replicas:  pick(t, "replicas", 1, 2),
		wishes:    rapid.SliceOfN(rapid.Custom(drawWish), 2, 4).Draw(t, "requests"),
	}
	h.rules = newWorld(nil).rules
	h.rules.Notify = pick(t, "notify", policy.NotifyAlways, policy.NotifyAlways, policy.NotifyUnlessApproved)
	h.rules.OnIncidentResolved = pick(t, "on incident resolved", policy.ResolvedNote, policy.ResolvedRetrigger, policy.ResolvedDeny)
	h.rules.RequireIncident = pick(t, "require incident", policy.RequireNone, policy.RequireNone, policy.RequireOpen, policy.RequireAcknowledged)
	h.rules.MaxEscalationLevel = pick(t, "max level", 0, 1)
	h.rules.DryRun = pick(t, "dry run", slices.Concat(make([]bool, 19), []bool{true})...)
	most := 8
	if !settled {
		most = 16
	}
	h.steps = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		s := drawStep(t, len(h.wishes))
		if settled {
			h.settle(&s)
		}
		return s
	}), 1, most).Draw(t, "steps")
	return h
}

func drawWish(t *rapid.T) wish {
	return wish{
		user:      pick(t, "requester", alice, alice, alice, "carol@example.com", "dave@example.com"),
		notify:    pick(t, "notify", []string{"payments"}, []string{"payments"}, []string{"shipping"}, []string{"payments", "shipping"}, []string{"payments", "shipping"}, nil),
		services:  pick(t, "services", []string{"payments"}, []string{"payments"}, []string{"shipping"}, []string{"payments", "shipping"}, nil),
		schedules: pick(t, "schedules", nil, nil, nil, nil, []string{"night"}),
		roles:     pick(t, "roles", []string{"dev"}, []string{"dev"}, []string{"dev"}, []string{"dev", "ops"}),
	}
}

func drawStep(t *rapid.T, requests int) step {
	s := step{
		fact:   drawFact(t, requests),
		before: pick(t, "before", "", "", "", "", "create", "note", "review", "swap", "resolve", "reopen", "get request", "on-calls", "get incident", "incidents by key"),
		stands: pick(t, "stands", 0, 10*time.Millisecond, 50*time.Millisecond, 300*time.Millisecond, 2*time.Second, 15*time.Second, time.Minute, 3*time.Minute, 11*time.Minute),
		news:   [2]news{drawNews(t), drawNews(t)},
	}
	if !pick(t, "trouble", false, true) {
		return s
	}
	s.trouble = trouble{
		asleep: pick(t, "asleep", false, false, false, true),
		ended:  rapid.SliceOfN(rapid.SampledFrom(endings), 0, 2).Draw(t, "ended"),
		faults: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) callFault { return drawFault(t, requests) }), 0, 5).Draw(t, "faults"),
		heirs: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) heir {
			return heir{pick(t, "after", time.Second, 20*time.Second, 2*time.Minute), pick(t, "empty", false, true)}
		}), 0, 2).Draw(t, "heirs"),
		outages: rapid.SliceOfN(rapid.Custom(drawOutage), 0, 1).Draw(t, "outages"),
		late:    pick(t, "late", 0, time.Minute),
		slow:    map[string]time.Duration{},
	}
	if pick(t, "slow", false, false, true) {
		call := pick(t, "call", slices.Concat([]string{"review", "get request", "review"}, teleportCalls, pagerdutyCalls)...)
		s.slow[call] = pick(t, "takes", time.Second, 4*time.Second, 11*time.Second, 50*time.Second)
	}
	return s
}

func drawNews(t *rapid.T) news {
	return pick(t, "news", news{}, news{}, news{lost: true}, news{after: 3 * time.Second}, news{after: 70 * time.Second},
		news{again: 1}, news{after: time.Second, again: 3})
}

func drawFault(t *rapid.T, requests int) callFault {
	f := callFault{request: rapid.IntRange(0, requests-1).Draw(t, "request"), nth: pick(t, "nth", 0, 0, 0, 1, 1, 2, 3)}
	f.call = pick(t, "call", slices.Concat([]string{"create", "swap", "review", "note", "resolve", "swap", "note", "create"}, pagerdutyCalls, teleportCalls)...)
	if slices.Contains(writeNames, f.call) {
		f.kind = pick(t, "kind", refusing, lost, severed, killed, orphaned)
	} else {
		f.kind = pick(t, "kind", refusing, killed)
	}
	if slices.Contains(barredCalls, f.call) {
		f.kind = pick(t, "refusal", f.kind, f.kind, barred, limited)
	}
	return f
}

func drawOutage(t *rapid.T) outage {
	return outage{
		system: pick(t, "system", "PagerDuty", "Teleport", theStore),
		after:  pick(t, "after", 0, 50*time.Millisecond, 5*time.Second),
		lasts:  pick(t, "lasts", 5*time.Second, time.Minute, 7*time.Minute),
		kind:   pick(t, "kind", refusing, lost, severed),
	}
}

// settle lets the fact stand until everything is quiet, and takes out of the trouble what the contract lets make a
// difference: a store that is lost together with the only knowledge of a request that is gone; and where approval at
// once spares the incident, the second look that approves.
func (h *history) settle(s *step) {
	s.before, s.stands = "", troubled+untilDone
	if s.fact.kind == unseen { // what lists do not show is ended, and begun anew
		s.fact.kind = made
	}
	if s.fact.kind == gone {
		for i := range s.heirs {
			s.heirs[i].empty = false
		}
	}
	if h.rules.Notify != policy.NotifyUnlessApproved {
		return
	}
	s.outages, s.slow = nil, nil
	s.faults = slices.DeleteFunc(s.faults, func(f callFault) bool {
		harmless := []string{"swap", "create", "note", "resolve", "reopen", "get plugin data", "get incident", "incidents by key", "notes", "resolver"}
		return f.kind != killed && f.kind != orphaned && !slices.Contains(harmless, f.call)
	})
}
