package pagerduty

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// Status is how the connection to PagerDuty fares, for people.
type Status struct {
	Reachable  bool          // the latest attempt was answered, and not with 408 or 5xx
	LastError  string        // of the latest call, or that the account is not Config.Account; "" when PagerDuty did what was asked
	LastAnswer time.Time     // by our clock
	Limit      int           // calls per window; 0: not seen yet
	Remaining  int           // calls left in it
	Reset      time.Time     // when the next window begins
	Skew       time.Duration // our clock minus PagerDuty's
	Account    string        // subdomain as last seen; "" before
}

// TolerableSkew is the clock difference from which on it is reported (spec §2).
const TolerableSkew = 30 * time.Second

// health gathers the Status.
type health struct {
	mu     sync.Mutex
	status Status
}

func (h *health) snapshot() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// answered notes an answer. far is true when the clocks have just been found to differ by too much.
func (h *health) answered(now time.Time, resp *http.Response) (skew time.Duration, far bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Reachable = resp.StatusCode != http.StatusRequestTimeout && resp.StatusCode < 500
	h.status.LastAnswer = now
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	before := h.status.Skew
	h.status.Skew = now.Sub(date)
	return h.status.Skew, h.status.Skew.Abs() > TolerableSkew && before.Abs() <= TolerableSkew
}

// unanswered notes an attempt without answer.
func (h *health) unanswered() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Reachable = false
}

// ended notes how a call ended. What is said of one object (400, 404) and a call that was not sent, for the
// rate limit or because PagerDuty does not answer, say nothing new about the connection.
func (h *health) ended(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch r, refused := errors.AsType[*refusal](err); {
	case err == nil:
		h.status.LastError = ""
	case refused && (r.status == http.StatusBadRequest || r.isNotFound()):
	case errors.Is(err, errHeldBack), errors.Is(err, errBlown):
	default:
		h.status.LastError = err.Error()
	}
}

// saw notes the account of an object.
func (h *health) saw(account string) {
	if account == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Account = account
}
