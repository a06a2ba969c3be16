package access

import (
	"slices"
	"time"
)

// State is the state of an Access Request in Teleport's words. Its text is also what plugin data keeps
// in the key "resolution" (spec §7).
type State string

// The states of a request. Expired is not one of Teleport's: it stands for a request that is gone
// without a decision, also when an admin deleted it (spec §5).
const (
	Pending  State = "pending"
	Approved State = "approved"
	Denied   State = "denied"
	Promoted State = "promoted"
	Expired  State = "expired"
)

// Request is an Access Request as Teleport holds it.
type Request struct {
	ID            RequestID
	User          string   // Teleport user name of the requester
	Roles         []string // requested roles, sorted
	Resources     []string // requested resources as "/cluster/kind/name", may be empty
	State         State
	Reason        string // the requester's
	ResolveReason string // of whoever decided it
	Created       time.Time
	Expires       time.Time // while pending the end of the review, then the end of the access
	AccessExpires time.Time // end of the access that approval gives; zero: not known
	AssumeStart   time.Time // zero: the access starts when it is approved
	Annotations   map[string][]string
	Reviews       []Review // in the order Teleport took them

	// SuggestedReviewers is what the requester or the role proposes: a hint, not always user names.
	SuggestedReviewers []string
}

// Review is one review of a request.
type Review struct {
	Author string    `json:"author"` // Teleport user name
	State  State     `json:"state"`  // Approved, Denied or Promoted
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
}

// ReviewBy gives the review that author submitted. Teleport takes at most one from each.
func (r Request) ReviewBy(author string) (Review, bool) {
	i := slices.IndexFunc(r.Reviews, func(v Review) bool { return v.Author == author })
	if i < 0 {
		return Review{}, false
	}
	return r.Reviews[i], true
}

// ChangeKind says what Teleport reported.
type ChangeKind int

// Kinds of Change.
const (
	Put          ChangeKind = iota + 1 // created or updated; Request is whole and current
	Delete                             // expired or deleted; only Request.ID is set
	RulesChanged                       // some Access Monitoring Rule was put or deleted; Request is not set
)

// Change is one event of Teleport's watch.
type Change struct {
	Kind    ChangeKind
	Request Request
}
