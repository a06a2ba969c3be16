package access

import "time"

// Verdict is the outcome of a decision.
type Verdict string

// The verdicts. Only Approve has an effect in Teleport.
const (
	Approve      Verdict = "approve"
	No           Verdict = "no"             // at least one check failed
	CouldNotTell Verdict = "could not tell" // no check failed, but a fact could not be read
	Already      Verdict = "already reviewed"
)

// AlreadySentence is the sentence of an Already whose review does not tell what it rested on.
const AlreadySentence = "pdhook has already reviewed the request"

// Status is the outcome of one check.
type Status string

// The three values of a check (spec §2).
const (
	Passed  Status = "passed"
	Failed  Status = "failed"
	Unknown Status = "could not tell"
)

// Check is one condition of an automatic approval with what it saw (spec §4).
type Check struct {
	Name     string    `json:"name"`
	Status   Status    `json:"status"`
	Want     string    `json:"want,omitempty"`
	Saw      string    `json:"saw,omitempty"`
	ReadAt   time.Time `json:"read_at,omitzero"` // of the oldest fact that the check rests on
	Sentence string    `json:"sentence"`
	Remedy   string    `json:"remedy,omitempty"` // what would make it pass, in a sentence; "" when it passed or nothing can
	Children []Check   `json:"checks,omitempty"`
}

// Decision says whether pdhook approves a request, and why.
type Decision struct {
	Request  RequestID `json:"request_id"`
	Verdict  Verdict   `json:"verdict"`
	Cause    string    `json:"cause"` // why it was looked at: "request created", "webhook incident.resolved", …
	Time     time.Time `json:"time"`
	Sentence string    `json:"sentence"` // the reason in one sentence, for people
	Checks   []Check   `json:"checks"`
	Evidence *Evidence `json:"evidence,omitempty"` // set with Approve

	// Instead says who can decide the request while pdhook does not; "" once it needs nobody.
	Instead string `json:"instead,omitempty"`

	// Next is when the decision can turn out otherwise without any hint (a shift or the access starts);
	// zero when no such moment is known.
	Next time.Time `json:"next,omitzero"`
}

// Evidence is what an approval rests on.
type Evidence struct {
	User      User       `json:"user"`
	Service   Service    `json:"service,omitzero"`    // the requester is on call for; zero when a schedule qualifies
	Schedule  string     `json:"schedule,omitempty"`  // name of the schedule that qualifies; "" when a service does
	OnCall    OnCall     `json:"on_call"`             // by a schedule: without policy and level
	Incidents []Incident `json:"incidents,omitempty"` // the basis, where an incident is required
	ReadAt    time.Time  `json:"read_at"`             // of the oldest fact in the chain: the review must be over within 10 s of it
}

// Causes of a look at a request, as Decision.Cause keeps them. A webhook's is "webhook " and its type.
const (
	CauseStart     = "start-up"
	CauseReconnect = "reconnect"
	CauseCreated   = "request created"
	CauseChanged   = "request changed"
	CauseGone      = "request gone"
	CauseReload    = "reload"
	CauseRecovered = "PagerDuty answers again"
	CauseRules     = "rules changed"
	CauseDelivery  = "webhooks were lost"
	CauseShift     = "shift start"
	CausePoll      = "poll"
	CauseTimer     = "timer"
	CauseRetry     = "retry"
)
