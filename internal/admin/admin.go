// Package admin serves the operator's windows: is it alive, can it take webhooks, how are its connections, why was
// a request not approved, what did PagerDuty send, what does it count. It decides nothing: the one thing it can set off
// is that the configuration is read again. What names users or requests asks for the token.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"
)

// Config is what the handler needs. Every field is required.
type Config struct {
	Listen  string          // admin.listen: decides which Host headers are known
	Token   func() string   // as configured now; "" asks nobody
	Ready   func() []string // reasons why a webhook cannot be taken; none when one can
	Status  func() Status
	Board   Board
	Reload  func(context.Context) error // reads configuration, secrets and certificates again, as SIGHUP does
	Metrics http.Handler
}

// Status is the answer of /status. It names no user, request, role or reason.
type Status struct {
	Version   string    `json:"version"`
	DryRun    bool      `json:"dry_run,omitempty"` // policy.dry_run: nothing is changed in Teleport or PagerDuty
	Teleport  Teleport  `json:"teleport"`
	PagerDuty PagerDuty `json:"pagerduty"`
	Webhook   Webhook   `json:"webhook"`
	Queue     Queue     `json:"queue"`
	Pending   int       `json:"pending"` // requests that wait for a decision in Teleport
}

// Teleport is the connection to the cluster.
type Teleport struct {
	Connected       bool      `json:"connected"`
	Watching        bool      `json:"watching"` // access requests are watched and listed
	LastResync      time.Time `json:"last_resync,omitzero"`
	IdentityExpires time.Time `json:"identity_expires,omitzero"`
	Cluster         string    `json:"cluster,omitempty"`
	ServerVersion   string    `json:"server_version,omitempty"`
	LastError       string    `json:"last_error"`
}

// PagerDuty is the connection to PagerDuty's REST API.
type PagerDuty struct {
	Reachable          bool    `json:"reachable"`
	Account            string  `json:"account"`
	RateLimitLimit     *int    `json:"ratelimit_limit"`     // calls a window; null before PagerDuty told
	RateLimitRemaining *int    `json:"ratelimit_remaining"` // calls left in it
	ClockSkewSeconds   float64 `json:"clock_skew_seconds"`  // ours minus PagerDuty's; shown over 30 s, else 0
	LastError          string  `json:"last_error"`
}

// Webhook is the endpoint that PagerDuty delivers to.
type Webhook struct {
	CertificateExpires time.Time    `json:"certificate_expires,omitzero"` // absent for plain HTTP
	NotReady           []string     `json:"not_ready,omitempty"`
	Subscription       Subscription `json:"subscription"`
}

// Subscription is what makes PagerDuty deliver. Where several lead here it is the first that has a problem.
type Subscription struct {
	ID                  string    `json:"id"`  // "": none was found
	URL                 string    `json:"url"` // without user, password and query
	Active              bool      `json:"active"`
	TemporarilyDisabled bool      `json:"temporarily_disabled"`
	MissingEventTypes   []string  `json:"missing_event_types"`
	Problem             string    `json:"problem"`            // "": none
	LastLook            time.Time `json:"last_look,omitzero"` // absent before the first
}

// Queue is the work at hand.
type Queue struct {
	Depth         int     `json:"depth"`
	OldestSeconds float64 `json:"oldest_seconds"`
	Failing       int     `json:"failing"` // requests that are tried again after an error
}

// NewHandler builds the handler of [admin].
func NewHandler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"alive": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		reasons := cfg.Ready()
		status := http.StatusOK
		if len(reasons) > 0 {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, map[string]any{"ready": len(reasons) == 0, "reasons": append([]string{}, reasons...)})
	})
	mux.Handle("GET /metrics", cfg.Metrics)
	mux.Handle("GET /status", guard(cfg.Token, locked, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, cfg.Status())
	}))
	api := api{board: cfg.Board, reload: cfg.Reload}
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /api/v1/requests":      api.requests,
		"GET /api/v1/requests/{id}": api.request,
		"GET /api/v1/webhooks":      api.webhooks,
		"POST /api/v1/reload":       api.reloaded,
	} {
		mux.Handle(pattern, guard(cfg.Token, locked, serve))
	}
	page := newPage(cfg)
	for pattern, serve := range map[string]http.HandlerFunc{
		"GET /{$}":           page.overview,
		"GET /requests/{id}": page.request,
	} {
		mux.Handle(pattern, guard(cfg.Token, page.refuse, serve))
	}
	mux.HandleFunc("GET /page/{name}", page.file) // tells nothing of anybody, and the page that asks for the token needs it
	// A page of another origin must not make the operator's browser change anything here.
	return onlyKnownHosts(cfg.Listen, http.NewCrossOriginProtection().Handler(mux))
}

// guard asks for the token, as a bearer or as the password of basic authentication.
func guard(token func() string, refused, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := token()
		_, given, basic := r.BasicAuth()
		if scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); !basic && strings.EqualFold(scheme, "Bearer") {
			given = strings.TrimSpace(bearer)
		}
		if want != "" && !equal(given, want) {
			w.Header().Set("WWW-Authenticate", challenge(r))
			refused(w, r)
			return
		}
		next(w, r)
	})
}

func locked(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusUnauthorized, "the token of [admin] is needed")
}

// challenge makes a browser ask for the token. An open page that asks for news says itself that it was refused: a
// dialogue must not jump into somebody's way every few seconds.
func challenge(r *http.Request) string {
	if r.Header.Get(asksForNews) != "" {
		return `Bearer realm="pdhook"`
	}
	return `Basic realm="pdhook"`
}

// equal compares in constant time whatever the lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// onlyKnownHosts keeps a web page in the operator's browser from reading a loopback listener under a name
// of its own (DNS rebinding). A listener that others reach has the token for that, and cannot know its names.
func onlyKnownHosts(listen string, next http.Handler) http.Handler {
	own, _, _ := net.SplitHostPort(listen)
	ip := net.ParseIP(own)
	loopback := own == "localhost" || (ip != nil && ip.IsLoopback())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = strings.Trim(host, "[]")
		if loopback && !strings.EqualFold(host, own) && !strings.EqualFold(host, "localhost") && net.ParseIP(host) == nil {
			refuse(w, http.StatusMisdirectedRequest, "unknown host")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"error": map[string]string{"message": message}})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the reader went away: nobody is left to tell
}
