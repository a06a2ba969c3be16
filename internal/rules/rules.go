// Package rules knows which services Access Monitoring Rules name for a request. It promises that a rule
// which cannot be understood or takes too much to evaluate matches nothing, is reported once, and stops
// neither the others nor pdhook. Rules never approve anybody.
package rules

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/pdhook/pdhook/internal/access"
)

// Source is where the rules are kept.
type Source interface {
	// ListRules gives all rules that name services to notify, or an error when any part of them could not
	// be read.
	ListRules(ctx context.Context) ([]access.Rule, error)
}

// Book holds the rules in force. Without any it names no services.
type Book struct {
	src     Source
	changed func(ctx context.Context)
	log     *slog.Logger
	inForce atomic.Pointer[[]*rule]

	mu     sync.Mutex
	awaits chan struct{} // closed when the next read is over; nil: nobody waits for it
	wanted chan struct{} // holds a token while a read is asked for
}

// Problem says why a rule could not be applied. Its text holds nothing of a request.
type Problem struct {
	Rule string // its name
	Text string
}

// New makes a Book without rules. changed is called from Run after the rules in force have changed.
func New(src Source, changed func(ctx context.Context), log *slog.Logger) *Book {
	b := &Book{src: src, changed: changed, log: log, wanted: make(chan struct{}, 1)}
	b.inForce.Store(&[]*rule{})
	return b
}

// rule is a rule in force.
type rule struct {
	access.Rule
	condition condition
	broken    error // why there is no condition

	mu   sync.Mutex
	said map[string]bool // texts of problems that were reported; they come from a small fixed number
}

// Set puts rules in force, all at once, and reports whether that changes anything. It is not called side by
// side.
func (b *Book) Set(rules []access.Rule) (changed bool) {
	rules = slices.Clone(rules)
	slices.SortStableFunc(rules, func(a, b access.Rule) int { return strings.Compare(a.Name, b.Name) })
	old := *b.inForce.Load()
	next := make([]*rule, len(rules))
	for i, r := range rules {
		next[i] = takeOver(old, r)
	}
	b.inForce.Store(&next)
	for _, r := range next {
		if r.broken != nil {
			b.report(r, r.broken)
		}
	}
	return !slices.Equal(old, next)
}

// takeOver gives the rule as it was in force before, so that what was reported of it is not reported again.
func takeOver(old []*rule, r access.Rule) *rule {
	i := slices.IndexFunc(old, func(o *rule) bool {
		return o.Name == r.Name && o.Condition == r.Condition && slices.Equal(o.Recipients, r.Recipients)
	})
	if i >= 0 {
		return old[i]
	}
	made := &rule{Rule: r, said: map[string]bool{}}
	made.condition, made.broken = compile(r.Condition)
	return made
}

// Evaluate gives the recipients of all rules that match the request, in the order of the rules' names and
// with repetitions, and what kept other rules from being applied.
func (b *Book) Evaluate(req access.Request) (refs []string, problems []Problem) {
	b.each(req, func(r *rule) { refs = append(refs, r.Recipients...) }, func(r *rule, err error) {
		problems = append(problems, Problem{Rule: r.Name, Text: shown(err)})
	})
	return refs, problems
}

// Services gives the services to notify of the request, and reports each problem of a rule once.
func (b *Book) Services(req access.Request) []string {
	var refs []string
	b.each(req, func(r *rule) { refs = append(refs, r.Recipients...) }, b.report)
	return refs
}

func (b *Book) each(req access.Request, matches func(*rule), fails func(*rule, error)) {
	for _, r := range *b.inForce.Load() {
		switch holds, err := r.holds(req); {
		case err != nil:
			fails(r, err)
		case holds:
			matches(r)
		}
	}
}

func (r *rule) holds(req access.Request) (bool, error) {
	if r.broken != nil {
		return false, r.broken
	}
	return r.condition.holds(req)
}

func (b *Book) report(r *rule, err error) {
	text := shown(err)
	r.mu.Lock()
	known := r.said[text]
	r.said[text] = true
	r.mu.Unlock()
	if !known {
		b.log.Warn("An Access Monitoring Rule cannot be applied and matches nothing", "rule", access.OneLine(r.Name, maxShown), "why", text)
	}
}

// maxShown bounds what others wrote where it is shown.
const maxShown = 200

func shown(err error) string { return access.OneLine(fmt.Sprint(err), maxShown) }
