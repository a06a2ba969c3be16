package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Board shows what waits and what was decided. Errors are access.ErrNotFound or failures of the store.
type Board interface {
	// Requests gives the requests with something left to do, the oldest first, and with all also those decided lately,
	// the newest decision first.
	Requests(ctx context.Context, all bool) ([]Request, error)
	// Request gives one of them, as long as it is remembered.
	Request(ctx context.Context, id access.RequestID) (Request, error)
	// Deliveries gives the latest accepted webhook events, newest first, at most limit.
	Deliveries(ctx context.Context, limit int) ([]Delivery, error)
}

// Request is an access request as people see it (spec §11). Decision is nil before the first look.
type Request struct {
	ID        access.RequestID `json:"request_id"`
	User      string           `json:"user"`
	Roles     []string         `json:"roles"`
	State     access.State     `json:"state"`
	Incidents []Incident       `json:"incidents"`
	Decision  *access.Decision `json:"decision"`

	Reason        string          `json:"reason,omitempty"` // the requester's
	ResolveReason string          `json:"resolve_reason,omitempty"`
	Reviews       []access.Review `json:"reviews,omitempty"`
	Reviewed      bool            `json:"reviewed,omitempty"` // an approval of pdhook's is among the reviews
	Created       time.Time       `json:"created,omitzero"`
	Expires       time.Time       `json:"expires,omitzero"`        // while pending the end of the review, then the end of the access
	URL           string          `json:"url,omitempty"`           // its page in Teleport; "" when the cluster gives no public address
	Unnotified    []string        `json:"unnotified,omitempty"`    // why a service that is to be notified has no incident yet
	Failing       string          `json:"failing,omitempty"`       // why the last look could not be brought to its end; it is tried again
	NextLook      time.Time       `json:"next_look,omitzero"`      // when it is looked at again if nothing happens before; absent once finished
	NextLookWhy   string          `json:"next_look_why,omitempty"` // what that look is for, e.g. "shift start", one of access.Cause…

	LastLook           time.Time `json:"last_look,omitzero"`            // when it was looked at last, since the start; Decision.Time stays while nothing changes
	SuggestedReviewers []string  `json:"suggested_reviewers,omitempty"` // of the request, while it is pending
	DryRun             bool      `json:"dry_run,omitempty"`             // policy.dry_run: nothing is changed in Teleport or PagerDuty, whatever is decided
}

// Incident is a PagerDuty incident of a request, as last seen.
type Incident struct {
	ID             access.IncidentID     `json:"id"`
	Service        string                `json:"service"` // its name, or what the role calls it
	Status         access.IncidentStatus `json:"status,omitempty"`
	URL            string                `json:"url,omitempty"`
	AcknowledgedBy []string              `json:"acknowledged_by,omitempty"`
	MergedInto     access.IncidentID     `json:"merged_into,omitempty"`
}

// Delivery is a webhook event that was accepted.
type Delivery struct {
	ID        access.EventID `json:"id"`
	Type      string         `json:"event_type"`
	Occurred  time.Time      `json:"occurred,omitzero"`
	Received  time.Time      `json:"received"`
	Finished  time.Time      `json:"finished,omitzero"` // absent until it took effect
	Outcome   string         `json:"outcome"`           // "" until that is known
	Malformed bool           `json:"malformed,omitempty"`
}

// api serves /api/v1: the board as JSON, and the reload.
type api struct {
	board  Board
	reload func(context.Context) error
}

// requests answers {"requests":[…]}: what has something left to do, with ?all=true also what is finished.
func (a api) requests(w http.ResponseWriter, r *http.Request) {
	all, err := strconv.ParseBool(r.URL.Query().Get("all"))
	if r.URL.Query().Has("all") && err != nil {
		refuse(w, http.StatusBadRequest, "all: true or false is expected")
		return
	}
	list, err := a.board.Requests(r.Context(), all)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"requests": append([]Request{}, list...)})
}

func (a api) request(w http.ResponseWriter, r *http.Request) {
	id := access.RequestID(r.PathValue("id"))
	found, err := a.board.Request(r.Context(), id)
	switch {
	case errors.Is(err, access.ErrNotFound):
		refuse(w, http.StatusNotFound, fmt.Sprintf("pdhook knows no request %s", access.OneLine(string(id), 100)))
	case err != nil:
		fail(w, err)
	default:
		answer(w, http.StatusOK, found)
	}
}

// Deliveries that /api/v1/webhooks gives unless ?limit= says otherwise, and at most.
const (
	fewDeliveries  = 100
	mostDeliveries = 1000
)

func (a api) webhooks(w http.ResponseWriter, r *http.Request) {
	limit := fewDeliveries
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostDeliveries {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("limit: a number from 1 to %d is expected", mostDeliveries))
			return
		}
		limit = n
	}
	list, err := a.board.Deliveries(r.Context(), limit)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"webhooks": append([]Delivery{}, list...)})
}

func (a api) reloaded(w http.ResponseWriter, r *http.Request) {
	if err := a.reload(context.WithoutCancel(r.Context())); err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]bool{"reloaded": true})
}

// fail answers for a store that could not be read.
func fail(w http.ResponseWriter, err error) { refuse(w, http.StatusServiceUnavailable, err.Error()) }
