package chart_test

import (
	"log/slog"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/config"
)

func TestWhatTheValuesLeaveOutIsPdhooksDefault(t *testing.T) {
	got, root := configuration(t, release(t, example(t, "minimal")))

	path := filepath.Join(root, "etc/least.toml")
	secrets := root + "/var/run/secrets/pdhook"
	write(t, path, `
[teleport]
addr = "teleport.example.com:443"
identity = "`+secrets+`/teleport/identity"
[pagerduty]
api_key = "`+secrets+`/pagerduty/pagerDutyApiKey"
user_email = "pdhook@example.com"
[webhook]
secrets = ["`+root+`/var/lib/pdhook/webhook-secret"]
tls_cert = "`+secrets+`/tls/tls.crt"
tls_key = "`+secrets+`/tls/tls.key"
[store]
path = "`+root+`/var/lib/pdhook/store"
[admin]
listen = ":8082"
token = "`+secrets+`/admin/token"
[log]
output = "stdout"
`)
	want, err := config.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestEveryKeyOfTheConfigurationHasAValue(t *testing.T) {
	rendered := keys(release(t, example(t, "mutual-tls", `policy.autoApproveRoles=["payments-admin"]`)).toml(t))
	for _, key := range keys(config.Example()) {
		switch key {
		case "teleport.client_key", "teleport.client_crt", "teleport.root_cas": // instead of an identity
		case "admin.listen": // is a variable
		default:
			if !slices.Contains(rendered, key) {
				t.Errorf("%s cannot be set by a value", key)
			}
		}
	}
}

// keys gives the keys of a TOML file as in "policy.max_access", also those that are commented out.
func keys(toml string) []string {
	var found []string
	section := ""
	for _, m := range regexp.MustCompile(`(?m)^(?:\[(\w+)\]|(?:# )?([a-z_]+) = )`).FindAllStringSubmatch(toml, -1) {
		if m[1] != "" {
			section = m[1]
			continue
		}
		found = append(found, section+"."+m[2])
	}
	return found
}

func TestTheValuesOfSectionsReachPdhook(t *testing.T) {
	got, root := configuration(t, release(t, example(t, "mutual-tls",
		`teleport={"refreshIdentity": false, "refreshIdentityInterval": "2m"}`,
		`pagerduty={"apiEndpoint": "https://api.eu.pagerduty.com", "account": "acme", "notifyService": "a", "services": "b", "schedules": "c", "userEmailAnnotation": "d"}`,
		`webhook={"path": "/hooks/<\"ü\">&pd", "clientNames": ["a.example.com"], "clientAuth": "report"}`,
		`policy={"requireIncident": "open", "ownIncidents": true, "maxEscalationLevel": 2, "autoApproveRoles": ["a, b", "c\"d"], "maxAccess": "1h30m",
			"maxRequestAge": "0", "notify": "unless_approved", "onIncidentResolved": "deny", "oncallPollInterval": "30s", "dryRun": true}`,
		`store.retention="24h"`,
		`log={"severity": "debug", "format": "json", "output": "/var/lib/pdhook/log"}`)))

	want := *got
	secrets := root + "/var/run/secrets/pdhook"
	want.Teleport = config.Teleport{Addr: "teleport.example.com:443", Identity: secrets + "/teleport/identity", RefreshIdentityInterval: 2 * time.Minute}
	want.PagerDuty = config.PagerDuty{APIKey: config.SecretSource(secrets + "/pagerduty/pagerDutyApiKey"), UserEmail: "pdhook@example.com",
		APIEndpoint: "https://api.eu.pagerduty.com", Account: "acme", NotifyService: "a", Services: "b", Schedules: "c", UserEmailAnnotation: "d"}
	want.Webhook = config.Webhook{Listen: ":8081", Path: `/hooks/<"ü">&pd`, Secrets: []config.SecretSource{config.SecretSource(root + "/var/lib/pdhook/webhook-secret")},
		TLSCert: secrets + "/tls/tls.crt", TLSKey: secrets + "/tls/tls.key", ClientCA: secrets + "/client-ca/ca.crt",
		ClientNames: []string{"a.example.com"}, ClientAuth: config.ClientAuthReport}
	want.Policy.RequireIncident, want.Policy.OwnIncidents, want.Policy.MaxEscalationLevel = "open", true, 2
	want.Policy.AutoApproveRoles = []string{"a, b", `c"d`}
	want.Policy.MaxAccess, want.Policy.MaxRequestAge, want.Policy.OncallPollInterval = 90*time.Minute, 0, 30*time.Second
	want.Policy.Notify, want.Policy.OnIncidentResolved, want.Policy.DryRun = config.NotifyUnlessApproved, "deny", true
	want.Store.Retention = 24 * time.Hour
	want.Log = config.Log{Output: root + "/var/lib/pdhook/log", Severity: slog.LevelDebug, Format: "json"}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

func TestVariablesInExtraEnvWinOverTheValues(t *testing.T) {
	got, _ := configuration(t, release(t, example(t, "minimal",
		`extraEnv=[{"name": "PDHOOK_POLICY_MAX_ACCESS", "value": "2h"}, {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}]`)))
	if got.Policy.MaxAccess != 2*time.Hour {
		t.Errorf("got max_access %v, want 2h", got.Policy.MaxAccess)
	}
}

func TestARemovedValueIsPdhooksDefaultToo(t *testing.T) {
	got, _ := configuration(t, release(t, example(t, "minimal", "policy.maxAccess=null", "pagerduty.apiEndpoint=null")))
	if got.Policy.MaxAccess != 24*time.Hour || !strings.HasPrefix(got.PagerDuty.APIEndpoint, "https://") {
		t.Errorf("got max_access %v and endpoint %s, want the defaults", got.Policy.MaxAccess, got.PagerDuty.APIEndpoint)
	}
}
