package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mistakes says for every bad file what Load answers, each line without the path of the file.
var mistakes = []struct {
	file string
	want []string
}{
	{"bad-no-addr.toml", []string{`teleport.addr: missing, want host:port of the proxy or auth server without a scheme, such as "teleport.example.com:443"`}},
	{"bad-addr-with-scheme.toml", []string{`teleport.addr: want host:port of the proxy or auth server without a scheme, such as "teleport.example.com:443"`}},
	{"bad-addr-without-port.toml", []string{`teleport.addr: want host:port of the proxy or auth server without a scheme, such as "teleport.example.com:443"`}},
	{"bad-addr-twice.toml", []string{`teleport.auth_server: differs from teleport.addr, which means the same: remove one of the two`}},
	{"bad-no-credentials.toml", []string{`teleport.identity: missing: set either teleport.identity or all of teleport.client_key, teleport.client_crt and teleport.root_cas`}},
	{"bad-identity-and-key.toml", []string{`teleport.identity: set beside teleport.client_key: set either teleport.identity or all of teleport.client_key, teleport.client_crt and teleport.root_cas`}},
	{"bad-two-of-three.toml", []string{`teleport.root_cas: missing, as teleport.client_key is set: set either teleport.identity or all of teleport.client_key, teleport.client_crt and teleport.root_cas`}},
	{"bad-identity-not-there.toml", []string{`teleport.identity: opening the file that it names: no such file or directory`}},
	{"bad-identity-is-a-directory.toml", []string{`teleport.identity: opening the file that it names: not a regular file`}},
	{"bad-identity-inline.toml", []string{`teleport.identity: want the path of a file, not its content`}},
	{"bad-refresh-interval.toml", []string{`teleport.refresh_identity_interval: got 10ms, want at least 1s`}},
	{"bad-duration-without-unit.toml", []string{`teleport.refresh_identity_interval: got 60, want a duration with its unit, such as "90s" or "12h"`}},
	{"bad-duration-text-without-unit.toml", []string{`store.retention: got "60", want a duration with its unit, such as "90s" or "12h"`}},
	{"bad-bool-as-text.toml", []string{`webhook.insecure_http: got "true", want true or false`}},
	{"bad-int-as-float.toml", []string{`policy.max_escalation_level: got 1.5, want a whole number`}},
	{"bad-list-as-text.toml", []string{`policy.auto_approve_roles: want a list of strings`}},
	{"bad-list-of-numbers.toml", []string{`policy.auto_approve_roles: want a list of strings`}},
	{"bad-secret-as-number.toml", []string{`pagerduty.api_key: want a string`}},
	{"bad-no-api-key.toml", []string{`pagerduty.api_key: missing, want the secret itself, or the path of a file that holds it`}},
	{"bad-api-key-not-there.toml", []string{`pagerduty.api_key: begins with "/" and so names a file: opening /nowhere/pdhook/api-key: no such file or directory`}},
	{"bad-api-key-of-two-words.toml", []string{`pagerduty.api_key: the value must be one word: there is white space or an invisible character in it`}},
	{"bad-no-user-email.toml", []string{`pagerduty.user_email: missing, want the login e-mail address of a PagerDuty user, such as "me@example.com"`}},
	{"bad-user-email.toml", []string{`pagerduty.user_email: want the login e-mail address of a PagerDuty user, such as "me@example.com"`}},
	{"bad-endpoint-http.toml", []string{`pagerduty.api_endpoint: want a URL such as "https://api.pagerduty.com" without user, query or fragment (http only for a loopback address)`}},
	{"bad-endpoint-query.toml", []string{`pagerduty.api_endpoint: want a URL such as "https://api.pagerduty.com" without user, query or fragment (http only for a loopback address)`}},
	{"bad-account.toml", []string{`pagerduty.account: want the subdomain alone, such as "acme" for https://acme.pagerduty.com`}},
	{"bad-annotation-empty.toml", []string{`pagerduty.schedules: want the name of an annotation`}},
	{"bad-annotation-twice.toml", []string{`pagerduty.services: names the annotation of pagerduty.notify_service too: want a name of its own`}},
	{"bad-request-annotations.toml", []string{`unknown key "pagerduty.RequestAnnotations.schedules": rename it to "pagerduty.schedules"`}},
	{"bad-request-annotations-twice.toml", []string{`pagerduty.services: differs from pagerduty.RequestAnnotations.services, which means the same: remove one of the two`}},
	{"bad-no-secrets.toml", []string{`webhook.secrets: missing, want the signing secret of the webhook subscription, or the path of a file that holds it`}},
	{"bad-secrets-empty.toml", []string{`webhook.secrets: missing, want the signing secret of the webhook subscription, or the path of a file that holds it`}},
	{"bad-secret-short.toml", []string{
		`webhook.secrets: entry 1: the value has fewer than 16 bytes; the path of a file begins with "/"`,
		`webhook.secrets: entry 2: the value is empty; the path of a file begins with "/"`,
	}},
	{"bad-neither-tls-nor-http.toml", []string{`webhook.tls_cert: missing: set either webhook.tls_cert with webhook.tls_key, or webhook.insecure_http = true behind an ingress that ends TLS`}},
	{"bad-tls-and-http.toml", []string{`webhook.insecure_http: true beside a TLS file: set either webhook.tls_cert with webhook.tls_key, or webhook.insecure_http = true behind an ingress that ends TLS`}},
	{"bad-tls-without-key.toml", []string{`webhook.tls_key: missing: set either webhook.tls_cert with webhook.tls_key, or webhook.insecure_http = true behind an ingress that ends TLS`}},
	{"bad-client-ca-with-http.toml", []string{`webhook.client_ca: client certificates need TLS: remove it, or webhook.insecure_http`}},
	{"bad-client-names.toml", []string{`webhook.client_names: want the names that a client certificate may have`}},
	{"bad-client-auth.toml", []string{`webhook.client_auth: got "ignore", want "require" or "report"`}},
	{"bad-webhook-path.toml", []string{`webhook.path: want a URL path that begins with "/", without "?", "#", "%", ":", "*" or white space`}},
	{"bad-webhook-path-pattern.toml", []string{`webhook.path: want a URL path that begins with "/", without "?", "#", "%", ":", "*" or white space`}},
	{"bad-webhook-listen.toml", []string{`webhook.listen: want an address to listen on, such as ":8081" or "127.0.0.1:8081"`}},
	{"bad-admin-listen.toml", []string{`admin.listen: want an address to listen on, such as "127.0.0.1:8082"`}},
	{"bad-admin-without-token.toml", []string{`admin.token: missing: needed because admin.listen (:8082) is not a loopback address`}},
	{"bad-one-port.toml", []string{`admin.listen: the same address as webhook.listen, want one of its own, such as "127.0.0.1:8082"`}},
	{"bad-level.toml", []string{`policy.max_escalation_level: got -1, want a level, or 0 for any`}},
	{"bad-roles-empty.toml", []string{`policy.auto_approve_roles: want at least one role; leave the key out to allow any`}},
	{"bad-role-empty.toml", []string{`policy.auto_approve_roles: entry 2 is empty, want a name`}},
	{"bad-max-access.toml", []string{`policy.max_access: got -1h0m0s, want at least 1s or "0" for any`}},
	{"bad-poll-interval.toml", []string{`policy.oncall_poll_interval: got 0s, want at least 1s`}},
	{"bad-notify.toml", []string{`policy.notify: got "never", want "always" or "unless_approved"`}},
	{"bad-require-incident.toml", []string{`policy.require_incident: got "closed", want "none", "open", "acknowledged" or "assigned"`}},
	{"bad-unsupported.toml", []string{
		`policy.lock_on_resolve: not supported by this version`,
		`policy.lock_on_shift_end: not supported by this version`,
		`policy.lock_grace: not supported by this version`,
	}},
	{"bad-lock-without-incident.toml", []string{`policy.lock_on_resolve: not supported by this version`}},
	{"bad-store-path.toml", []string{`store.path: want the path of a directory`}},
	{"bad-retention.toml", []string{`store.retention: got -1h0m0s, want at least 1s`}},
	{"bad-log-output.toml", []string{`log.output: want "stdout", "stderr" or the path of a file that begins with "/"`}},
	{"bad-log-severity.toml", []string{`log.severity: got "TRACE", want "DEBUG", "INFO", "WARN" or "ERROR"`}},
	{"bad-log-format.toml", []string{`log.format: got "xml", want "text" or "json"`}},
	{"bad-unknown-key.toml", []string{`unknown key "policy.notfy": rename it to "policy.notify"`}},
	{"bad-unknown-section.toml", []string{
		`unknown key "metrics.enabled": remove this line`,
		`unknown key "metrics.port": remove this line`,
		`unknown key "polcy.notify": rename it to "policy.notify"`,
	}},
	{"bad-wrong-section.toml", []string{`unknown key "webhook.api_key": rename it to "pagerduty.api_key"`}},
	{"bad-no-section.toml", []string{
		`policy: want a table`,
		`unknown key "\"teleport.addr\"": rename it to "teleport.addr"`,
		`unknown key "user_email": rename it to "pagerduty.user_email"`,
	}},
	{"bad-table-as-value.toml", []string{`policy.notify: want a string`}},
	{"bad-syntax.toml", []string{`line 3: expected 'true'`}},
	{"bad-key-twice.toml", []string{`line 13: key user_email is already defined`}},
	{"bad-table-twice.toml", []string{`line 9: table pagerduty already exists`}},
	{"bad-secret-without-quotes.toml", []string{`line 3: couldn't parse decimal number`}},
	{"bad-many.toml", []string{
		`unknown key "pagerduty.api_kee": rename it to "pagerduty.api_key"`,
		`pagerduty.api_key: want a string`,
		`policy.max_access: got "a day", want a duration with its unit, such as "90s" or "12h"`,
		`teleport.refresh_identity: got "yes", want true or false`,
		`policy.notify: got "never", want "always" or "unless_approved"`,
		`policy.lock_on_shift_end: not supported by this version`,
		`teleport.addr: want host:port of the proxy or auth server without a scheme, such as "teleport.example.com:443"`,
		`teleport.identity: missing: set either teleport.identity or all of teleport.client_key, teleport.client_crt and teleport.root_cas`,
		`pagerduty.user_email: missing, want the login e-mail address of a PagerDuty user, such as "me@example.com"`,
		`webhook.tls_key: missing: set either webhook.tls_cert with webhook.tls_key, or webhook.insecure_http = true behind an ingress that ends TLS`,
		`admin.token: missing: needed because admin.listen (0.0.0.0:8082) is not a loopback address`,
		`webhook.secrets: entry 1: the value has fewer than 16 bytes; the path of a file begins with "/"`,
	}},
}

func TestLoadNamesEveryMistakeWithItsSourceAndWhatIsExpected(t *testing.T) {
	for _, tt := range mistakes {
		t.Run(tt.file, func(t *testing.T) {
			path := filepath.Join("testdata", tt.file)
			for range 3 { // the order is the same each time
				cfg, err := Load(path, nil)
				if cfg != nil {
					t.Fatalf("got a configuration, want none")
				}
				var got []string
				for _, line := range lines(t, err) {
					line, named := strings.CutPrefix(strings.TrimPrefix(line, "parsing "), path)
					if !named {
						t.Errorf("got %q, want a line that begins with the file", line)
					}
					got = append(got, strings.TrimPrefix(line, ": "))
				}
				if !slices.Equal(got, tt.want) {
					t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
				}
			}
		})
	}
}

func TestEveryBadFileIsTested(t *testing.T) {
	files, err := filepath.Glob("testdata/bad-*.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(mistakes) {
		t.Errorf("got %d files in testdata, want the %d of the table", len(files), len(mistakes))
	}
}

// lines gives the mistakes of an error that must be Errors, each of them a single line.
func lines(t *testing.T, err error) []string {
	t.Helper()
	problems, ok := errors.AsType[Errors](err)
	if !ok {
		t.Fatalf("got error %v of type %T, want Errors", err, err)
	}
	var all []string
	for _, problem := range problems {
		if strings.Contains(problem.Error(), "\n") {
			t.Errorf("got %q, want one line", problem)
		}
		all = append(all, problem.Error())
	}
	return all
}
