package chart_test

import (
	"strings"
	"testing"
)

func TestAnInstallationThatCannotWorkIsRefusedWithTheWayOut(t *testing.T) {
	for _, e := range []struct {
		name    string
		example string
		set     []string
		want    []string // in the error
	}{
		{"tbot", "minimal", []string{"tbot.enabled=true"},
			[]string{"tbot.enabled", "Teleport's own chart teleport/tbot", "teleport.identitySecretName", "identitySecretPath to identity"}},
		{"tbot with the values of its chart", "minimal", []string{`tbot={"enabled": true, "clusterName": "example"}`},
			[]string{"tbot.enabled: this chart brings no tbot"}},
		{"a name that a service may not have", "minimal", []string{`fullnameOverride="PdHook"`},
			[]string{`fullnameOverride is missing: Kubernetes takes no service called "PdHook"`, "a letter first"}},
		{"the plugin's image", "teleport-plugin-pagerduty", []string{`image.repository="public.ecr.aws/gravitational/teleport-plugin-pagerduty"`},
			[]string{"image.repository is", "Teleport's plugin: remove image"}},
		{"another port for the probes", "minimal", []string{`extraEnv=[{"name": "HTTPS_PROXY", "value": "http://proxy"}, {"name": "PDHOOK_ADMIN_LISTEN", "value": ":9000"}]`},
			[]string{"extraEnv: remove PDHOOK_ADMIN_LISTEN"}},
		{"a log that cannot be written", "teleport-plugin-pagerduty", []string{`log.output="/var/lib/teleport/pagerduty.log"`},
			[]string{`log.output is "/var/lib/teleport/pagerduty.log": pdhook can only write below /var/lib/pdhook`}},
		{"no address", "minimal", []string{`teleport.address=""`}, []string{"teleport.address is missing", "teleport.example.com:443"}},
		{"an address with a scheme", "minimal", []string{`teleport.address="https://teleport.example.com"`},
			[]string{`teleport.address is "https://teleport.example.com": want host:port without https://`}},
		{"no identity", "minimal", []string{`teleport.identitySecretName=""`},
			[]string{"teleport.identitySecretName is missing", "tbot", "--from-file=identity="}},
		{"empty API key", "minimal", []string{`pagerduty={"apiKeyFromSecret": null, "apiKey": null}`},
			[]string{"pagerduty.apiKeyFromSecret is missing"}},
		{"no API key", "minimal", []string{`pagerduty.apiKeyFromSecret=""`},
			[]string{"pagerduty.apiKeyFromSecret is missing", "--from-file=pagerDutyApiKey=", "pagerduty.apiKey"}},
		{"no user", "minimal", []string{`pagerduty.userEmail=""`}, []string{"pagerduty.userEmail is missing"}},
		{"neither TLS nor plain HTTP", "minimal", []string{`webhook.tls.secretName=""`},
			[]string{"webhook.tls.secretName is missing", "webhook.insecureHTTP=true"}},
		{"TLS and plain HTTP", "minimal", []string{"webhook.insecureHTTP=true"},
			[]string{"webhook.tls.secretName and webhook.insecureHTTP exclude each other"}},
		{"client certificates without TLS", "ingress-nginx", []string{`webhook.clientCA.secretName="ca"`},
			[]string{"webhook.clientCA.secretName needs webhook.tls.secretName"}},
		{"no place for the signing secret", "no-persistence", []string{`webhook.secretName=""`},
			[]string{"webhook.secretName is missing: without persistence", "persistence.enabled=true"}},
		{"a signing secret for each replica", "two-replicas", []string{`webhook.secretName=""`},
			[]string{"webhook.secretName is missing: with replicaCount 2"}},
		{"an ingress for no host", "ingress-nginx", []string{"ingress.hosts=[]"}, []string{"ingress.hosts is missing"}},
		{"a route without a gateway", "gateway", []string{"httpRoute.parentRefs=[]"}, []string{"httpRoute.parentRefs is missing"}},
		{"metrics that nobody may read", "network-policy", []string{"serviceMonitor.enabled=true", "networkPolicy.adminFrom=[]"},
			[]string{"networkPolicy.adminFrom is missing"}},
	} {
		t.Run(e.name, func(t *testing.T) {
			_, err := install(t, example(t, e.example, e.set...), nil)
			if err == nil {
				t.Fatal("it was installed")
			}
			for _, want := range e.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error\n%v\nwant %q in it", err, want)
				}
			}
			if lines := strings.Count(strings.TrimSpace(err.Error()), "\n"); lines > 2 {
				t.Errorf("got error\n%v\nwant one problem", err)
			}
		})
	}
}

func TestALogGoesToAnyVolume(t *testing.T) {
	release(t, example(t, "minimal", `log.output="/var/lib/pdhook/pdhook.log"`))
	release(t, example(t, "minimal", `log.output="/var/log/pdhook/pdhook.log"`,
		`extraVolumes=[{"name": "log", "emptyDir": {}}]`, `extraVolumeMounts=[{"name": "log", "mountPath": "/var/log/pdhook"}]`))
}

func TestWithoutValuesEverythingThatIsMissingIsSaidAtOnce(t *testing.T) {
	_, err := install(t, map[string]any{}, nil)
	if err == nil {
		t.Fatal("it was installed")
	}
	for _, want := range []string{
		"teleport.address", "teleport.identitySecretName", "pagerduty.apiKeyFromSecret", "pagerduty.userEmail", "webhook.tls.secretName",
	} {
		if !strings.Contains(err.Error(), "\n"+want+" is missing") {
			t.Errorf("got error\n%v\nwant %s in it", err, want)
		}
	}
}

func TestAMisspeltOrMisshapenValueIsRefusedByItsName(t *testing.T) {
	for setting, want := range map[string]string{
		`teleport.addr="teleport.example.com:443"`:  "addr",
		`webhook.secretname="s"`:                    "secretname",
		`policy.max_access="1h"`:                    "max_access",
		`policy.maxAccess="1 day"`:                  "/policy/maxAccess",
		`policy.maxAccess=24`:                       "/policy/maxAccess",
		`policy.autoApproveRoles=[]`:                "/policy/autoApproveRoles",
		`policy.requireIncident="closed"`:           "/policy/requireIncident",
		`policy.maxEscalationLevel=-1`:              "/policy/maxEscalationLevel",
		`log.severity="LOUD"`:                       "/log/severity",
		`log.output="file"`:                         "/log/output",
		`replicaCount="two"`:                        "/replicaCount",
		`persistence.accessMode="ReadWriteMany"`:    "/persistence/accessMode",
		`ingress.hosts=[{"host": "a.example.com"}]`: "/ingress/hosts",
		`admin.port=8082`:                           "port",
		`image.digest="sha256:0"`:                   "digest",
		`teleport.identitySecretPath="../identity"`: "/teleport/identitySecretPath",
		`podAnnotations={"a": 1}`:                   "/podAnnotations/a",
		`persistence.size="10GB"`:                   "/persistence/size",
		`ingress.hosts=["https://a.example.com"]`:   "/ingress/hosts/0",
		`httpRoute.hostnames=["A.example.com"]`:     "/httpRoute/hostnames/0",
		`nameOverride="My App"`:                     "/nameOverride",
		`webhook.clientNames=[]`:                    "/webhook/clientNames",
		`webhook.path="/a?b"`:                       "/webhook/path",
		`pagerduty.userEmail="me"`:                  "/pagerduty/userEmail",
		`pagerduty.apiEndpoint=""`:                  "/pagerduty/apiEndpoint",
		`pagerduty.services=""`:                     "/pagerduty/services",
		`policy.lockOnResolve=true`:                 "/policy/lockOnResolve",
		`policy.lockOnShiftEnd=true`:                "/policy/lockOnShiftEnd",
		`policy.lockGrace="1m"`:                     "/policy/lockGrace",
		`webhook.path=null`:                         "path",
		`persistence=null`:                          "persistence",
		`proxy={}`:                                  "proxy",
	} {
		_, err := install(t, example(t, "minimal", setting), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q in it", setting, err, want)
		}
	}
}
