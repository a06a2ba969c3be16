package config

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVariablesSetTheirKeys(t *testing.T) {
	cfg := load(t, "",
		"HOME=/root",
		"PDHOOK_TELEPORT_ADDR=teleport.example.com:443",
		"PDHOOK_TELEPORT_IDENTITY=testdata/identity",
		"PDHOOK_TELEPORT_REFRESH_IDENTITY=false",
		"PDHOOK_TELEPORT_REFRESH_IDENTITY_INTERVAL=30s",
		"PDHOOK_PAGERDUTY_API_KEY= inline-api-key\n",
		"PDHOOK_PAGERDUTY_USER_EMAIL=me@example.com",
		"PDHOOK_PAGERDUTY_USER_EMAIL_ANNOTATION=email",
		"PDHOOK_PAGERDUTY_NOTIFY_SERVICE=notify",
		"PDHOOK_WEBHOOK_SECRETS=inline-webhook-secret, /nowhere/second-secret",
		"PDHOOK_WEBHOOK_INSECURE_HTTP=true",
		"PDHOOK_POLICY_MAX_ESCALATION_LEVEL=2",
		"PDHOOK_POLICY_AUTO_APPROVE_ROLES=a,b",
		"PDHOOK_LOG_SEVERITY=warn",
		"PDHOOK_ADMIN_TOKEN=",
		"PDHOOK_WHATEVER=",
	)
	equal(t, cfg, good(t, func(c *Config) {
		c.Teleport.RefreshIdentity = false
		c.Teleport.RefreshIdentityInterval = 30 * time.Second
		c.PagerDuty.UserEmailAnnotation = "email"
		c.PagerDuty.NotifyService = "notify"
		c.Webhook.Secrets = []SecretSource{"inline-webhook-secret", "/nowhere/second-secret"}
		c.Policy.MaxEscalationLevel = 2
		c.Policy.AutoApproveRoles = []string{"a", "b"}
		c.Log.Severity = slog.LevelWarn
	}))
}

func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	cfg := load(t, "testdata/good.toml", "PDHOOK_TELEPORT_ADDR=other.example.com:443", "PDHOOK_PAGERDUTY_USER_EMAIL=")
	equal(t, cfg, good(t, func(c *Config) { c.Teleport.Addr = "other.example.com:443" }))
}

func TestVariablesAreAsStrictAsTheFile(t *testing.T) {
	for _, tt := range []struct{ variable, want string }{
		{"PDHOOK_WEBHOOK_INSECURE_HTTP=1", `PDHOOK_WEBHOOK_INSECURE_HTTP: got "1", want true or false`},
		{"PDHOOK_WEBHOOK_INSECURE_HTTP=True", `PDHOOK_WEBHOOK_INSECURE_HTTP: got "True", want true or false`},
		{"PDHOOK_POLICY_MAX_ACCESS=60", `PDHOOK_POLICY_MAX_ACCESS: got "60", want a duration with its unit, such as "90s" or "12h"`},
		{"PDHOOK_POLICY_MAX_ACCESS=-1h", `PDHOOK_POLICY_MAX_ACCESS: got -1h0m0s, want at least 1s or "0" for any`},
		{"PDHOOK_POLICY_MAX_ESCALATION_LEVEL=two", `PDHOOK_POLICY_MAX_ESCALATION_LEVEL: got "two", want a whole number`},
		{"PDHOOK_POLICY_AUTO_APPROVE_ROLES=a,,b", `PDHOOK_POLICY_AUTO_APPROVE_ROLES: entry 2 is empty, want a name`},
		{"PDHOOK_POLICY_LOCK_ON_SHIFT_END=true", `PDHOOK_POLICY_LOCK_ON_SHIFT_END: not supported by this version`},
		{"PDHOOK_WEBHOOK_SECRETS=short", `PDHOOK_WEBHOOK_SECRETS: entry 1: the value has fewer than 16 bytes; the path of a file begins with "/"`},
		{"PDHOOK_PAGERDUTY_APIKEY=x", `PDHOOK_PAGERDUTY_APIKEY: unknown variable: rename it to "PDHOOK_PAGERDUTY_API_KEY"`},
		{"PDHOOK_API_KEY=x", `PDHOOK_API_KEY: unknown variable: rename it to "PDHOOK_PAGERDUTY_API_KEY"`},
		{"PDHOOK_NONSENSE=x", `PDHOOK_NONSENSE: unknown variable: remove it`},
		{"PDHOOK_POLICY.NOTIFY=always", `PDHOOK_POLICY.NOTIFY: unknown variable: rename it to "PDHOOK_POLICY_NOTIFY"`},
	} {
		_, err := Load("testdata/good.toml", []string{tt.variable})
		if got := lines(t, err); !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.variable, got, tt.want)
		}
	}
}

func TestWithoutAFileTheVariableIsNamedThatIsMissing(t *testing.T) {
	_, err := Load("", []string{"PDHOOK_LOG_FORMAT=json"})
	want := []string{
		`PDHOOK_TELEPORT_ADDR: missing, want host:port of the proxy or auth server without a scheme, such as "teleport.example.com:443"`,
		`PDHOOK_TELEPORT_IDENTITY: missing: set either teleport.identity or all of teleport.client_key, teleport.client_crt and teleport.root_cas`,
		`PDHOOK_PAGERDUTY_USER_EMAIL: missing, want the login e-mail address of a PagerDuty user, such as "me@example.com"`,
		`PDHOOK_WEBHOOK_TLS_CERT: missing: set either webhook.tls_cert with webhook.tls_key, or webhook.insecure_http = true behind an ingress that ends TLS`,
		`PDHOOK_PAGERDUTY_API_KEY: missing, want the secret itself, or the path of a file that holds it`,
		`PDHOOK_WEBHOOK_SECRETS: missing, want the signing secret of the webhook subscription, or the path of a file that holds it`,
	}
	if got := lines(t, err); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestWhoHasConfiguredNothingIsToldHowToBegin(t *testing.T) {
	_, err := Load("", []string{"HOME=/root", "PDHOOK_SERVICE_HOST=10.0.0.1"})
	if got := lines(t, err); len(got) != 1 || !strings.Contains(got[0], "--config") || !strings.Contains(got[0], "pdhook configure > /etc/pdhook.toml") {
		t.Errorf("got %q, want one line that says where to begin", got)
	}
}

func TestKubernetesServiceLinksAreNoMistake(t *testing.T) {
	cfg := load(t, "testdata/good.toml",
		"PDHOOK_SERVICE_HOST=10.0.0.1",
		"PDHOOK_SERVICE_PORT=8081",
		"PDHOOK_SERVICE_PORT_HTTPS=8081",
		"PDHOOK_PORT=tcp://10.0.0.1:8081",
		"PDHOOK_PORT_8081_TCP=tcp://10.0.0.1:8081",
		"PDHOOK_PORT_8081_TCP_PROTO=tcp",
		"PDHOOK_PORT_8081_TCP_PORT=8081",
		"PDHOOK_PORT_8081_TCP_ADDR=10.0.0.1",
		"PDHOOK_ADMIN_SERVICE_HOST=10.0.0.2",
		"PDHOOK_ADMIN_SERVICE_PORT_METRICS=8082",
		"PDHOOK_ADMIN_PORT=tcp://10.0.0.2:8082",
		"PDHOOK_ADMIN_PORT_8082_TCP_ADDR=10.0.0.2",
		"PDHOOK_WEBHOOK_SERVICE_HOST=10.0.0.3",
	)
	equal(t, cfg, good(t, func(*Config) {}))
}

func TestAKeyThatBeginsLikeAServiceLinkIsRead(t *testing.T) {
	cfg := load(t, "testdata/good.toml", "PDHOOK_PAGERDUTY_NOTIFY_SERVICE=a", "PDHOOK_PAGERDUTY_SERVICES=b")
	equal(t, cfg, good(t, func(c *Config) { c.PagerDuty.NotifyService, c.PagerDuty.Services = "a", "b" }))
}

func TestTwoEndpointsNeedTwoAddresses(t *testing.T) {
	for _, tt := range []struct {
		webhook, admin string
		collide        bool
	}{
		{":8081", "127.0.0.1:8082", false},
		{"127.0.0.1:8081", "127.0.0.1:8081", true},
		{"127.0.0.1:8081", "127.0.0.2:8081", false},
		{"127.0.0.1:8081", "0.0.0.0:8081", true},
		{"[::]:8081", "localhost:8081", true},
		{":8081", ":8081", true},
		{"127.0.0.1:0", "127.0.0.1:0", false},
	} {
		if got := collide(tt.webhook, tt.admin); got != tt.collide || collide(tt.admin, tt.webhook) != got {
			t.Errorf("%s and %s: got %v, want %v", tt.webhook, tt.admin, got, tt.collide)
		}
	}
}

func TestOnlyWholeServiceLinksAreLetThrough(t *testing.T) {
	for _, variable := range []string{"PDHOOK_PORTAL", "PDHOOK_PORT_TCP", "PDHOOK_PORT_8081", "PDHOOK_SERVICE", "PDHOOK_SERVICE_HOSTS", "PDHOOKPORT"} {
		if serviceLink.MatchString(variable) {
			t.Errorf("got %s taken for a service link", variable)
		}
	}
}
