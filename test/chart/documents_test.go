package chart_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

func TestTheNotesNameTheNextSteps(t *testing.T) {
	for _, name := range examples(t) {
		r, err := install(t, example(t, name), nil)
		if err != nil {
			t.Fatal(err)
		}
		notes := r["NOTES.txt"]
		pod := decode(t, r).pod(t).Spec
		for _, v := range pod.Volumes {
			if v.Secret == nil || r["secrets.yaml"] != "" && strings.Contains(r["secrets.yaml"], "name: "+v.Secret.SecretName+"\n") {
				continue
			}
			if !strings.Contains(notes, v.Secret.SecretName+" (key") {
				t.Errorf("%s: the notes do not say that the pod waits for %s:\n%s", name, v.Secret.SecretName, notes)
			}
		}
		if strings.Contains(notes, "\n\n\n") || strings.Contains(notes, "%!") || strings.Contains(notes, "<no value>") {
			t.Errorf("%s: got notes\n%s", name, notes)
		}
	}
	const unreached = "PagerDuty does not reach it yet: publish /webhooks/pagerduty of the service pdhook"
	for name, wants := range map[string][]string{
		"minimal": {
			"kubectl -n teleport exec statefulset/pdhook -- pdhook subscribe --url https://HOST/webhooks/pagerduty\n",
			`kubectl -n teleport get secret pdhook-admin -o go-template='{{index .data "token" | base64decode}}'`,
			"kubectl -n teleport port-forward statefulset/pdhook 8082\n",
			unreached,
		},
		"ingress-nginx": {"--url https://pdhook.example.com/webhooks/pagerduty\n"},
		"gateway":       {"--url https://pdhook.example.com/webhooks/pagerduty\n"},
		"two-replicas":  {"kubectl -n teleport create secret generic pdhook-webhook --from-file=webhook-secret=FILE\n"},
		"gitops":        {"get secret pdhook-admin-token -o"},
		"no-persistence": {
			"port-forward deployment/pdhook 8082\n",
			"Without persistence the store goes with the pod: webhooks that were accepted but not yet processed",
		},
	} {
		r, err := install(t, example(t, name), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(r["NOTES.txt"], want) {
				t.Errorf("%s: got notes\n%s\nwant %q in them", name, r["NOTES.txt"], want)
			}
		}
	}
	for _, name := range []string{"load-balancer", "ingress-nginx", "gateway"} {
		if r, err := install(t, example(t, name), nil); err != nil || strings.Contains(r["NOTES.txt"], unreached) {
			t.Errorf("%s: got %v, notes\n%s\nit is published", name, err, r["NOTES.txt"])
		}
	}
}

func TestTheNotesNameTheAddressAtWhichTheLoadBalancerListens(t *testing.T) {
	for setting, want := range map[string]string{
		`service={"type": "LoadBalancer"}`:              "--url https://HOST:8081/webhooks/pagerduty\n",
		`service={"type": "LoadBalancer", "port": 443}`: "--url https://HOST/webhooks/pagerduty\n",
	} {
		if r, err := install(t, example(t, "minimal", setting), nil); err != nil || !strings.Contains(r["NOTES.txt"], want) {
			t.Errorf("%s: got %v, notes\n%s\nwant %q in them", setting, err, r["NOTES.txt"], want)
		}
	}
}

func readme(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestTheReadmeShowsTheMinimalExample(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(readme(t))
	if block == nil {
		t.Fatal("got no YAML in the README")
	}
	shown := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(block[1]), &shown); err != nil {
		t.Fatal(err)
	}
	got, err := install(t, shown, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := install(t, example(t, "minimal"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got["statefulset.yaml"] != want["statefulset.yaml"] || got["configmap.yaml"] != want["configmap.yaml"] {
		t.Error("the README shows other values than examples/minimal.yaml")
	}
}

// The secrets that the README has people make fit the values that name them.
func TestTheCommandsOfTheReadmeFitTheChart(t *testing.T) {
	made := map[string]string{}
	for _, m := range regexp.MustCompile(`kubectl create secret generic (\S+) --from-file=(\S+)=`).FindAllStringSubmatch(readme(t), -1) {
		made[m[1]] = m[2]
	}
	values := example(t, "minimal", `teleport.identitySecretName="pdhook-identity"`, `webhook.secretName="pdhook-webhook"`)
	delete(values["teleport"].(map[string]any), "identitySecretPath")
	all := release(t, values)
	for name, want := range map[string]string{"pdhook-identity": "identity = ", "pdhook-pagerduty-key": "api_key = ", "pdhook-webhook": "secrets = "} {
		if path := key(t, want)(all).(string); made[name] == "" || !strings.HasSuffix(strings.Trim(path, `[]"`), "/"+made[name]) {
			t.Errorf("the README makes %s with key %q, pdhook reads %s", name, made[name], path)
		}
	}
	for _, m := range regexp.MustCompile(`helm (?:install|upgrade) pdhook (\S+)`).FindAllStringSubmatch(readme(t), -1) {
		if _, err := os.Stat(filepath.Join("../..", m[1], "Chart.yaml")); err != nil {
			t.Errorf("the README installs from %s: %v", m[1], err)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		if _, err := os.Stat(filepath.Join(folder, m[1])); err != nil && !strings.Contains(m[1], "://") {
			t.Errorf("the README links to %s: %v", m[1], err)
		}
	}
	set := every[*apps.StatefulSet](all)[0]
	for command, want := range map[string]string{`delete statefulset (\S+)`: set.Name, `patch pvc (\S+)`: set.Spec.VolumeClaimTemplates[0].Name + "-" + set.Name + "-0"} {
		if m := regexp.MustCompile(command).FindStringSubmatch(readme(t)); m == nil || m[1] != want {
			t.Errorf("got command %v, want %s for %s", m, command, want)
		}
	}
	for _, workload := range regexp.MustCompile(`exec (\S+)`).FindAllStringSubmatch(readme(t), -1) {
		if workload[1] != "statefulset/pdhook" {
			t.Errorf("the README's commands go to %s", workload[1])
		}
	}
}
