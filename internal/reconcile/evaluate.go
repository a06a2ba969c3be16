package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

const (
	// shared is how long before a look the names of services may have been looked up: requests of one moment share
	// those answers. It lies well within the time for which facts are fresh, and a review's deadline counts from
	// them all the same.
	shared = policy.Fresh / 2
	// people is how long it is remembered which user an e-mail address means, to be confirmed.
	people = time.Hour
)

// namesSince says how old the answers may be that lead from names to services, while who is on call is asked for
// anew. A repeated look takes no chances, and neither does one that may deny.
func (p *pass) namesSince(since, began time.Time) time.Time {
	if since.Before(began) || p.cause == access.CauseRetry || p.rules.OnIncidentResolved == policy.ResolvedDeny {
		return since
	}
	return began.Add(-shared)
}

// freshness says at which moments questions may have been asked at the earliest.
type freshness struct {
	duty  time.Time // and all that is not named here
	names time.Time // which service a name means
	user  time.Time // which user an e-mail address means
}

// evaluate reads the facts and decides. A user that was looked up before has to be confirmed by what PagerDuty
// says of duty; else the user is looked up anew.
func (p *pass) evaluate(ctx context.Context, as freshness) {
	p.readFacts(ctx, as)
	if p.judge(); p.refusesAtFirstFor(as) {
		as.names = as.duty
		p.readFacts(ctx, as)
	}
	p.conclude(ctx, as.duty)
	if !p.facts.User.Known() || !p.facts.User.ReadAt.Before(as.duty) || p.dutyHangs() {
		return
	}
	if at, confirmed := policy.Confirmed(p.rules, p.facts, as.duty); confirmed {
		p.facts.User.ReadAt = at
		p.judge()
		return
	}
	as.user = as.duty
	p.readFacts(ctx, as)
	p.conclude(ctx, as.duty)
}

// refusesAtFirstFor reports whether the first look at a request says "no" by names that were looked up before.
func (p *pass) refusesAtFirstFor(as freshness) bool {
	return !p.linked && p.work.Decision.Verdict == access.No && slices.ContainsFunc(p.facts.Services,
		func(s policy.NamedService) bool { return s.Fact.Known() && s.Fact.ReadAt.Before(as.duty) })
}

// dutyHangs reports whether nothing can be told because PagerDuty has just not told of duty, for a reason that
// passes: then it is asked again by the next look, and the rest of this one has its time.
func (p *pass) dutyHangs() bool {
	err := p.facts.OnCalls.Err
	return p.work.Decision.Verdict == access.CouldNotTell && err != nil && !lasting(err) && p.cause != access.CauseRetry
}

// conclude decides, and explains a "no".
func (p *pass) conclude(ctx context.Context, since time.Time) {
	p.judge()
	if p.work.Decision.Verdict == access.No {
		urgentPartOver(ctx)
		p.explain(ctx, since)
		p.judge()
	}
}

// found looks a name up. That there is nobody and nothing of that name is worth another question: it may just
// have been made.
func found[T any](since, before time.Time, lookUp func(since time.Time) access.Fact[T]) access.Fact[T] {
	if fact := lookUp(before); !errors.Is(fact.Err, access.ErrNotFound) || !fact.ReadAt.Before(since) {
		return fact
	}
	return lookUp(since)
}
