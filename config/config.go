// Package config reads pdhook's configuration from a TOML file and the environment. What Load returns is
// complete and checked; what it refuses, it refuses with every mistake at once, each naming its source.
package config

import (
	"log/slog"
	"time"
)

// Config is the whole configuration of pdhook. Each section is a table of the file, each field a key of
// that table and a variable PDHOOK_<SECTION>_<KEY>. The defaults are those of the example file.
type Config struct {
	Teleport  Teleport  `koanf:"teleport"`
	PagerDuty PagerDuty `koanf:"pagerduty"`
	Webhook   Webhook   `koanf:"webhook"`
	Policy    Policy    `koanf:"policy"`
	Store     Store     `koanf:"store"`
	Admin     Admin     `koanf:"admin"`
	Log       Log       `koanf:"log"`
}

// Teleport says which cluster pdhook works for and as whom. Either Identity is set, or all of ClientKey,
// ClientCrt and RootCAs.
type Teleport struct {
	Addr                    string        `koanf:"addr"`                      // host:port of the proxy or the auth server; required
	Identity                string        `koanf:"identity"`                  // path of an identity file
	ClientKey               string        `koanf:"client_key"`                // path of a PEM key
	ClientCrt               string        `koanf:"client_crt"`                // path of a PEM certificate
	RootCAs                 string        `koanf:"root_cas"`                  // path of PEM certificates of Teleport's authorities
	RefreshIdentity         bool          `koanf:"refresh_identity"`          // whether the credentials are read again while running
	RefreshIdentityInterval time.Duration `koanf:"refresh_identity_interval"` // how often; at least 1 s
}

// PagerDuty says which account pdhook works with, as whom, and which annotations of a role it reads.
type PagerDuty struct {
	APIKey              SecretSource `koanf:"api_key"`               // REST API key; required
	UserEmail           string       `koanf:"user_email"`            // login e-mail of the user who opens incidents; required
	APIEndpoint         string       `koanf:"api_endpoint"`          // base URL without a slash at its end
	Account             string       `koanf:"account"`               // subdomain that the key must belong to; "": any
	NotifyService       string       `koanf:"notify_service"`        // annotation: services that get an incident
	Services            string       `koanf:"services"`              // annotation: services whose people on call are approved
	Schedules           string       `koanf:"schedules"`             // annotation: schedules whose people on call are approved
	UserEmailAnnotation string       `koanf:"user_email_annotation"` // annotation: e-mail of the requester in PagerDuty
}

// Webhook says where PagerDuty's webhooks are taken and how they are checked. Either TLSCert and TLSKey
// are set, or InsecureHTTP.
type Webhook struct {
	Listen       string         `koanf:"listen"`        // host:port, the host may be empty
	Path         string         `koanf:"path"`          // URL path, begins with a slash
	Secrets      []SecretSource `koanf:"secrets"`       // signing secrets, any of which may match; at least one. A file may hold several, one a line
	TLSCert      string         `koanf:"tls_cert"`      // path of a PEM certificate chain
	TLSKey       string         `koanf:"tls_key"`       // path of its PEM key
	InsecureHTTP bool           `koanf:"insecure_http"` // plain HTTP, for an ingress that ends TLS
	ClientCA     string         `koanf:"client_ca"`     // path of PEM authorities of client certificates; "": none asked for
	ClientNames  []string       `koanf:"client_names"`  // names a client certificate may have
	ClientAuth   string         `koanf:"client_auth"`   // ClientAuthRequire or ClientAuthReport
}

// What becomes of a client without a valid certificate (Webhook.ClientAuth).
const (
	ClientAuthRequire = "require" // refused
	ClientAuthReport  = "report"  // accepted and counted
)

// Policy says who is approved, who is notified, and when access ends (spec §4 to §6).
type Policy struct {
	RequireIncident    string        `koanf:"require_incident"`     // none, open, acknowledged or assigned
	OwnIncidents       bool          `koanf:"own_incidents"`        // whether incidents that the requester triggered count
	MaxEscalationLevel int           `koanf:"max_escalation_level"` // highest level that is approved; 0: any
	AutoApproveRoles   []string      `koanf:"auto_approve_roles"`   // roles that may be approved; nil: any, never empty
	MaxAccess          time.Duration `koanf:"max_access"`           // longest access that is approved; 0: any
	MaxRequestAge      time.Duration `koanf:"max_request_age"`      // oldest request that is approved; 0: any
	Notify             string        `koanf:"notify"`               // NotifyAlways or NotifyUnlessApproved
	OnIncidentResolved string        `koanf:"on_incident_resolved"` // note, retrigger or deny
	LockOnResolve      bool          `koanf:"lock_on_resolve"`      // whether access ends with its incidents
	LockOnShiftEnd     bool          `koanf:"lock_on_shift_end"`    // whether access ends with the shift
	LockGrace          time.Duration `koanf:"lock_grace"`           // from the end of the basis to the lock
	OncallPollInterval time.Duration `koanf:"oncall_poll_interval"` // how often on-call entries are read; at least 1 s
	DryRun             bool          `koanf:"dry_run"`              // decide and record, change nothing
}

// When a request opens an incident (Policy.Notify).
const (
	NotifyAlways         = "always"
	NotifyUnlessApproved = "unless_approved" // not for a request that is approved at once
)

// Store says where links and accepted webhooks are kept, and how long finished links stay.
type Store struct {
	Path      string        `koanf:"path"`      // a directory of pdhook's own
	Retention time.Duration `koanf:"retention"` // at least 1 s
}

// Admin says where health, readiness, status and metrics are served. Token is set whenever Listen is not a
// loopback address.
type Admin struct {
	Listen string       `koanf:"listen"` // host:port
	Token  SecretSource `koanf:"token"`  // asked for by all but /healthz, /readyz and /metrics; "": nobody is asked
}

// Log says what is logged, where and how.
type Log struct {
	Output   string     `koanf:"output"`   // stdout, stderr or the absolute path of a file
	Severity slog.Level `koanf:"severity"` // the least level that is logged
	Format   string     `koanf:"format"`   // text or json
}

// defaults is the configuration before file and environment are read.
func defaults() *Config {
	return &Config{
		Teleport: Teleport{
			RefreshIdentity:         true,
			RefreshIdentityInterval: time.Minute,
		},
		PagerDuty: PagerDuty{
			APIEndpoint:         "https://api.pagerduty.com",
			NotifyService:       "pagerduty_notify_service",
			Services:            "pagerduty_services",
			Schedules:           "pagerduty_schedules",
			UserEmailAnnotation: "pagerduty_user_email",
		},
		Webhook: Webhook{
			Listen:      ":8081",
			Path:        "/webhooks/pagerduty",
			ClientNames: []string{"webhooks.pagerduty.com", "webhooks.eu.pagerduty.com"},
			ClientAuth:  ClientAuthRequire,
		},
		Policy: Policy{
			RequireIncident:    "none",
			MaxAccess:          24 * time.Hour,
			MaxRequestAge:      12 * time.Hour,
			Notify:             NotifyAlways,
			OnIncidentResolved: "note",
			LockGrace:          5 * time.Minute,
			OncallPollInterval: time.Minute,
		},
		Store: Store{
			Path:      "/var/lib/pdhook/store",
			Retention: 2160 * time.Hour,
		},
		Admin: Admin{Listen: "127.0.0.1:8082"},
		Log: Log{
			Output:   "stderr",
			Severity: slog.LevelInfo,
			Format:   "text",
		},
	}
}
