// Package webhook turns a signed PagerDuty event into one durable record and the request IDs it may touch:
// an event that was answered 202 is on disk and is handed on, and doubt about ourselves is a 503, which
// PagerDuty repeats.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/pdhook/pdhook/internal/access"
)

// storePatience is how long a write to the store may take. PagerDuty waits 5 s for the answer.
const storePatience = 3 * time.Second

var errStoreSlow = fmt.Errorf("store took longer than %s", storePatience)

// Inbox keeps accepted events.
type Inbox interface {
	// Accept writes the event under its ID and reports whether it is new. When it returns without an error
	// the event is on disk. It returns soon after ctx ends; the event may or may not be written then.
	Accept(ctx context.Context, e access.Event) (fresh bool, err error)
	// Writable says why Accept cannot work now; nil when it can.
	Writable() error
}

// Config is what a Handler needs.
type Config struct {
	Path string // required, e.g. "/webhooks/pagerduty"

	Inbox Inbox // required

	// Secrets gives the signing secrets that are valid now, and why there may be others that could not be
	// read; asked for each request. While it gives none, webhooks get 503; while there may be others, those
	// that match none. Empty secrets are left out, for anybody could sign with them. Required.
	Secrets func() (loaded [][]byte, others error)

	// Accepted is called after a new event is on disk, and must not block. Required.
	Accepted func(access.Event)

	// Observe counts an answer. eventType is a type that PagerDuty documents, "unknown" for any other, and ""
	// where the body was not read; outcome is one of a few fixed words. May be nil.
	Observe func(eventType, outcome string)

	Log *slog.Logger // required
}

// Handler is the webhook endpoint (spec §8).
type Handler struct {
	cfg      Config
	echo     *echo.Echo
	large    chan struct{} // holds a token for each large body that is being read
	refused  *refusalLog
	stopping atomic.Bool
}

// NewHandler checks the configuration. Its error names the field that is missing or wrong.
func NewHandler(cfg Config) (*Handler, error) {
	switch {
	case !strings.HasPrefix(cfg.Path, "/") || strings.ContainsAny(cfg.Path, ":*?#% "):
		return nil, fmt.Errorf(`path %q: it starts with "/" and holds none of ":*?#%%" and no space`, cfg.Path)
	case cfg.Inbox == nil:
		return nil, errors.New("inbox is missing")
	case cfg.Secrets == nil:
		return nil, errors.New("secrets are missing")
	case cfg.Accepted == nil:
		return nil, errors.New("accepted is missing")
	case cfg.Log == nil:
		return nil, errors.New("log is missing")
	}
	h := &Handler{
		cfg:     cfg,
		echo:    echo.New(),
		large:   make(chan struct{}, largeBodies),
		refused: &refusalLog{to: cfg.Log, limiter: rate.NewLimiter(2, 10)},
	}
	h.echo.HideBanner = true
	h.echo.IPExtractor = echo.ExtractIPDirect() // without it echo believes X-Forwarded-For from anybody
	h.echo.HTTPErrorHandler = h.answerRefusal
	h.echo.Pre(h.catchPanic, h.onlyPost)
	h.echo.POST(cfg.Path, h.deliver)
	return h, nil
}

// ServeHTTP answers one delivery. Nothing more is read on its connection when the body came in chunks: net/http
// hides a length that was declared beside them, and a proxy that went by that length would take the answer to
// the rest for the answer to its next request (RFC 9112, 6.1).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 {
		w.Header().Set("Connection", "close")
	}
	h.echo.ServeHTTP(w, r)
}

// Stop makes every further delivery a 503: PagerDuty brings it again, to whoever runs then.
func (h *Handler) Stop() { h.stopping.Store(true) }

// Ready gives the reasons why a webhook cannot be taken now; none when it can.
func (h *Handler) Ready() []string {
	var reasons []string
	if h.stopping.Load() {
		reasons = append(reasons, "shutting down")
	}
	secrets, others := h.secrets()
	if len(secrets) == 0 {
		reasons = append(reasons, "no webhook secret is loaded")
	}
	if others != nil {
		reasons = append(reasons, others.Error())
	}
	if err := h.cfg.Inbox.Writable(); err != nil {
		reasons = append(reasons, "webhooks cannot be stored: "+err.Error())
	}
	return reasons
}

// deliver answers a POST on the path: limit, signature, event, disk, 202.
func (h *Handler) deliver(c echo.Context) error {
	r := c.Request()
	if h.stopping.Load() {
		return errStopping
	}
	secrets, others := h.secrets()
	if len(secrets) == 0 {
		return errNoSecret.because(others)
	}
	body, err := h.read(c.Response().Writer, r)
	if err != nil {
		return err
	}
	digests := signatures(r.Header)
	if len(digests) == 0 {
		return errNoDigest
	}
	if !signedBy(secrets, body, digests) {
		if others != nil {
			return errNoMatch.because(others)
		}
		return errForged
	}
	event, err := ParseEvent(body)
	if err != nil {
		return errNoEvent(err)
	}
	event.Received = time.Now().UTC()
	event.Subscription = access.SubscriptionID(subscriptionOf(r))
	fresh, err := h.keep(r.Context(), event)
	if err != nil {
		return errNotStored.because(err)
	}
	if fresh {
		h.cfg.Accepted(event)
	}
	h.observe(label(event.Type), outcomeOf(event, fresh))
	attrs := append(deliveryAttrs(r), slog.String("event_id", string(event.ID)), slog.String("event_type", event.Type), slog.Bool("fresh", fresh))
	h.cfg.Log.LogAttrs(r.Context(), slog.LevelDebug, "webhook accepted", attrs...)
	return c.NoContent(http.StatusAccepted)
}

// keep writes the event to the store, also when the sender has hung up meanwhile: the delivery that comes
// again is a duplicate then.
func (h *Handler) keep(ctx context.Context, e access.Event) (fresh bool, err error) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), storePatience, errStoreSlow)
	defer cancel()
	fresh, err = h.cfg.Inbox.Accept(ctx, e)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fresh, err
}

func outcomeOf(e access.Event, fresh bool) string {
	switch {
	case !fresh:
		return "duplicate"
	case e.Malformed:
		return "malformed"
	case label(e.Type) == "unknown":
		return "ignored"
	}
	return "accepted"
}

// secrets gives the secrets that can prove something.
func (h *Handler) secrets() (loaded [][]byte, others error) {
	all, others := h.cfg.Secrets()
	for _, secret := range all {
		if len(secret) > 0 {
			loaded = append(loaded, secret)
		}
	}
	return loaded, others
}

func (h *Handler) observe(eventType, outcome string) {
	if h.cfg.Observe != nil {
		h.cfg.Observe(eventType, outcome)
	}
}

// onlyPost answers other paths and methods before echo's router does, which has answers of its own for
// OPTIONS.
func (h *Handler) onlyPost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		switch r := c.Request(); {
		case r.URL.Path != h.cfg.Path:
			return errNotFound
		case r.Method != http.MethodPost:
			return errMethod
		}
		return next(c)
	}
}

// catchPanic turns a panic into a 503, so that a fault of ours costs PagerDuty's sender another try and
// nothing else.
func (h *Handler) catchPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = errInternal.because(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		return next(c)
	}
}
