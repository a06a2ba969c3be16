package webhook

import (
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"
)

// refusal is an answer other than 202. PagerDuty repeats 5xx for two days but drops 4xx at once and
// switches a subscription off after three of them, so 4xx is only for what is surely not PagerDuty.
type refusal struct {
	status  int
	outcome string // for metrics
	message string // for the sender: says what is wrong, never what would be right
	cause   error  // for the log
}

// The table of answers, in the order in which they are looked for (spec §8).
var (
	errNotFound  = &refusal{http.StatusNotFound, "not found", "nothing is served at this path", nil}
	errMethod    = &refusal{http.StatusMethodNotAllowed, "method not allowed", "this method is not served here", nil}
	errStopping  = &refusal{http.StatusServiceUnavailable, "stopping", "shutting down", nil}
	errNoSecret  = &refusal{http.StatusServiceUnavailable, "no secret", "signatures cannot be checked at the moment", nil}
	errTooLarge  = &refusal{http.StatusRequestEntityTooLarge, "too large", "body is too large", nil}
	errBusy      = &refusal{http.StatusServiceUnavailable, "busy", "too many large bodies at once", nil}
	errNotRead   = &refusal{http.StatusServiceUnavailable, "not read", "body could not be read", nil}
	errNoDigest  = &refusal{http.StatusBadRequest, "no signature", "signature header is missing or malformed", nil}
	errNoMatch   = &refusal{http.StatusServiceUnavailable, "secret missing", "signatures cannot be checked at the moment", nil}
	errForged    = &refusal{http.StatusForbidden, "bad signature", "no signature matches", nil}
	errNotStored = &refusal{http.StatusServiceUnavailable, "not stored", "event could not be stored", nil}
	errInternal  = &refusal{http.StatusServiceUnavailable, "internal error", "something went wrong here", nil}
)

// errNoEvent refuses a signed body that is no event.
func errNoEvent(why error) *refusal {
	return &refusal{http.StatusBadRequest, "no event", why.Error(), nil}
}

func (e *refusal) Error() string { return e.message }

// because gives the same refusal with its cause.
func (e *refusal) because(cause error) *refusal {
	with := *e
	with.cause = cause
	return &with
}

// answerRefusal is echo's HTTPErrorHandler: the one place that turns an error into an answer.
func (h *Handler) answerRefusal(err error, c echo.Context) {
	why := h.refusalOf(err)
	h.observe("", why.outcome)
	h.refused.log(c.Request(), why, c.RealIP())
	if c.Response().Committed {
		return
	}
	header := c.Response().Header()
	switch why.status {
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "30")
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	}
	answer := map[string]any{"error": map[string]string{"message": why.message}}
	if err := c.JSON(why.status, answer); err != nil {
		h.cfg.Log.Debug("webhook answer not sent", "error", err)
	}
}

// refusalOf gives the refusal for any error. Doubt about ourselves is a 503.
func (h *Handler) refusalOf(err error) *refusal {
	if why, ok := errors.AsType[*refusal](err); ok {
		return why
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok && e.Code == http.StatusNotFound {
		return errNotFound
	}
	return errInternal.because(err)
}

// refusalLog logs refused requests, a few a second: anybody can cause them.
type refusalLog struct {
	to      *slog.Logger
	limiter *rate.Limiter
	dropped atomic.Int64
}

func (l *refusalLog) log(r *http.Request, why *refusal, remote string) {
	if !l.limiter.Allow() {
		l.dropped.Add(1)
		return
	}
	attrs := append(deliveryAttrs(r), slog.Int("status", why.status), slog.String("why", why.message), slog.String("remote", remote))
	if why.cause != nil {
		attrs = append(attrs, slog.String("error", why.cause.Error()))
	}
	if n := l.dropped.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("refused_and_not_logged", n))
	}
	l.to.LogAttrs(r.Context(), slog.LevelWarn, "webhook refused", attrs...)
}

// deliveryAttrs are the headers that tell deliveries apart. They are not signed: only logged.
func deliveryAttrs(r *http.Request) []slog.Attr {
	return []slog.Attr{
		slog.String("webhook_id", printable(r.Header.Get("X-Webhook-Id"), 64)),
		slog.String("subscription_id", subscriptionOf(r)),
	}
}

func subscriptionOf(r *http.Request) string {
	return printable(r.Header.Get("X-Webhook-Subscription"), 64)
}
