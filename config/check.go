package config

import (
	"slices"
	"strings"
	"time"
)

// A checker judges a configuration whose values have the right types. It touches nothing but the files
// that it looks into.
type checker struct {
	*draft
	cfg *Config
}

func (c *checker) check() {
	c.choices()
	c.bounds()
	c.support()
	c.teleport()
	c.pagerduty()
	c.webhook()
	c.admin()
	c.policy()
	c.places()
	c.files()
	c.secrets()
}

// expect rejects a key's value with what is expected instead, unless it is right.
func (c *checker) expect(right bool, name, want string) {
	k, _ := keyNamed(name)
	value := k.of(c.cfg)
	_, given := c.settings[name]
	switch {
	case right:
	case !given && value == "":
		c.reject(name, "missing, want %s", want)
	default:
		c.reject(name, "%w", k.kind.mismatch(value, want))
	}
}

// choices checks the keys that know a few values only.
func (c *checker) choices() {
	for _, e := range []struct {
		name, value string
		allowed     []string
	}{
		{"webhook.client_auth", c.cfg.Webhook.ClientAuth, []string{ClientAuthRequire, ClientAuthReport}},
		{"policy.require_incident", c.cfg.Policy.RequireIncident, []string{"none", "open", "acknowledged", "assigned"}},
		{"policy.notify", c.cfg.Policy.Notify, []string{NotifyAlways, NotifyUnlessApproved}},
		{"policy.on_incident_resolved", c.cfg.Policy.OnIncidentResolved, []string{"note", "retrigger", "deny"}},
		{"log.format", c.cfg.Log.Format, []string{"text", "json"}},
	} {
		if c.sound(e.name) && !slices.Contains(e.allowed, e.value) {
			c.reject(e.name, "got %q, want %s", e.value, either(e.allowed))
		}
	}
}

// either lists texts as in `"a", "b" or "c"`.
func either(texts []string) string {
	last := len(texts) - 1
	return `"` + strings.Join(texts[:last], `", "`) + `" or "` + texts[last] + `"`
}

// bounds checks durations and numbers.
func (c *checker) bounds() {
	for _, e := range []struct {
		name  string
		value time.Duration
		none  string // what "0" means; "": it is not allowed
	}{
		{"teleport.refresh_identity_interval", c.cfg.Teleport.RefreshIdentityInterval, ""},
		{"policy.max_access", c.cfg.Policy.MaxAccess, `or "0" for any`},
		{"policy.max_request_age", c.cfg.Policy.MaxRequestAge, `or "0" for any`},
		{"policy.lock_grace", c.cfg.Policy.LockGrace, `or "0" for none`},
		{"policy.oncall_poll_interval", c.cfg.Policy.OncallPollInterval, ""},
		{"store.retention", c.cfg.Store.Retention, ""},
	} {
		right := e.value >= time.Second || e.value == 0 && e.none != ""
		c.expect(right, e.name, strings.TrimSpace("at least 1s "+e.none))
	}
	c.expect(c.cfg.Policy.MaxEscalationLevel >= 0, "policy.max_escalation_level", "a level, or 0 for any")
}

// support refuses what this version cannot do yet.
func (c *checker) support() {
	for _, name := range unsupported {
		k, _ := keyNamed(name)
		if c.sound(name) && !same(k, c.cfg, defaults()) {
			c.reject(name, "not supported by this version")
		}
	}
}

func (c *checker) policy() {
	p := c.cfg.Policy
	if p.AutoApproveRoles != nil {
		c.entries("policy.auto_approve_roles", p.AutoApproveRoles, "at least one role; leave the key out to allow any")
	}
	if c.sound("policy.lock_on_resolve", "policy.require_incident") && p.LockOnResolve && p.RequireIncident == "none" {
		c.reject("policy.lock_on_resolve", `needs policy.require_incident to be other than "none": without an incident none can end`)
	}
}

// entries rejects an empty list and empty entries.
func (c *checker) entries(name string, list []string, want string) {
	c.expect(len(list) > 0, name, want)
	if i := slices.Index(list, ""); i >= 0 {
		c.reject(name, "entry %d is empty, want a name", i+1)
	}
}

// places checks where the store and the log are.
func (c *checker) places() {
	c.expect(c.cfg.Store.Path != "", "store.path", "the path of a directory")
	output := c.cfg.Log.Output
	c.expect(output == "stdout" || output == "stderr" || strings.HasPrefix(output, "/"), "log.output",
		`"stdout", "stderr" or the path of a file that begins with "/"`)
}

// files checks that what has to be there can be read.
func (c *checker) files() {
	for _, e := range []struct{ name, path string }{
		{"teleport.identity", c.cfg.Teleport.Identity},
		{"teleport.client_key", c.cfg.Teleport.ClientKey},
		{"teleport.client_crt", c.cfg.Teleport.ClientCrt},
		{"teleport.root_cas", c.cfg.Teleport.RootCAs},
		{"webhook.tls_cert", c.cfg.Webhook.TLSCert},
		{"webhook.tls_key", c.cfg.Webhook.TLSKey},
		{"webhook.client_ca", c.cfg.Webhook.ClientCA},
	} {
		if e.path == "" || !c.sound(e.name) {
			continue
		}
		if err := checkFile(e.path); err != nil {
			c.reject(e.name, "%w", err)
		}
	}
}
