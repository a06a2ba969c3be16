package pagerduty

import "context"

// Priority says whose call may use up the rest of the rate limit.
type Priority int

// The priorities, the most urgent first. A context without one has Approval.
const (
	Approval   Priority = iota // what an approval rests on: may use all
	Creation                   // opening incidents: leaves 5 %
	Background                 // notes, resolving, polls: leaves 20 %
)

type priorityKey struct{}

// WithPriority marks the calls made under the context it gives. Methods that are never more urgent than
// a priority lower it by themselves: CreateIncident, IncidentsByKey and OnDuty are Creation; Incident, Notes, AddNote,
// Resolve, Reopen and Resolver are Background.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, max(p, priorityOf(ctx)))
}

func priorityOf(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}
