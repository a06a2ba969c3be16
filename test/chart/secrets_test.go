package chart_test

import (
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
)

// holding is a cluster in which these objects are.
type holding []runtime.Object

func (h holding) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	scheme := runtime.NewScheme()
	if err := core.AddToScheme(scheme); err != nil {
		return nil, false, err
	}
	version, err := schema.ParseGroupVersion(apiVersion)
	resource := version.WithResource(strings.ToLower(kind) + "s")
	return fake.NewSimpleDynamicClient(scheme, h...).Resource(resource), true, err
}

func token(t *testing.T, all objects) string {
	t.Helper()
	return string(the[*core.Secret](t, all, "pdhook-admin").Data["token"])
}

func TestTheTokenIsGeneratedOnceAndKept(t *testing.T) {
	first := releaseIn(t, example(t, "minimal"), holding{})
	generated := token(t, first)
	if len(generated) < 32 || generated == token(t, releaseIn(t, example(t, "minimal"), holding{})) {
		t.Fatalf("got token %q, want one that cannot be guessed", generated)
	}
	upgraded := releaseIn(t, example(t, "minimal"), holding{the[*core.Secret](t, first, "pdhook-admin")})
	if got := token(t, upgraded); got != generated {
		t.Errorf("an upgrade replaced the token %s by %s", generated, got)
	}
	if got := read(t, loaded(t, upgraded).Admin.Token); got != generated {
		t.Errorf("pdhook asks for %s, want %s", got, generated)
	}
}

func TestAGivenTokenReplacesTheGeneratedOne(t *testing.T) {
	before := &core.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: "pdhook-admin", Namespace: namespace},
		Data:       map[string][]byte{"token": []byte("generated"), "other": nil},
	}
	if got := token(t, releaseIn(t, example(t, "minimal", `admin.token="given"`), holding{before})); got != "given" {
		t.Errorf("got token %q, want the one that was given", got)
	}
}

func TestATokenInASecretOfItsOwnIsTaken(t *testing.T) {
	all := release(t, example(t, "gitops", `admin.token="ignored"`))
	if secrets := every[*core.Secret](all); len(secrets) > 0 {
		t.Errorf("got %d secrets, want none: all of them exist already", len(secrets))
	}
	if got := read(t, loaded(t, all).Admin.Token); got != "the-token" {
		t.Errorf("got token %q, want that of the secret", got)
	}
}

func TestWhatIsRenderedWithoutAClusterIsTheSameEachTime(t *testing.T) {
	first, err := install(t, example(t, "gitops"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := install(t, example(t, "gitops"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name := range first {
		if first[name] != second[name] {
			t.Errorf("%s differs:\n%s\n%s", name, first[name], second[name])
		}
	}
}

func TestRenewedSecretsReachThePod(t *testing.T) {
	for _, name := range examples(t) {
		pod := release(t, example(t, name)).pod(t).Spec
		for _, m := range pod.Containers[0].VolumeMounts {
			secret := volume(t, pod, m.Name).Secret
			if secret == nil {
				continue
			}
			if m.SubPath != "" || !m.ReadOnly || len(secret.Items) > 0 {
				t.Errorf("%s: %s is not mounted as a whole: %+v", name, m.Name, m)
			}
			if secret.DefaultMode == nil || *secret.DefaultMode != 0o440 {
				t.Errorf("%s: %s: got mode %v, want it readable for the pod's group alone", name, m.Name, secret.DefaultMode)
			}
		}
		for _, v := range pod.Containers[0].Env {
			if v.ValueFrom != nil {
				t.Errorf("%s: %s would keep its value until a restart", name, v.Name)
			}
		}
	}
}

func TestOnlyTheSigningSecretMayComeLater(t *testing.T) {
	pod := release(t, example(t, "mutual-tls", `webhook.secretName="not-there-yet"`)).pod(t).Spec
	for _, v := range pod.Volumes {
		if v.Secret == nil {
			continue
		}
		if optional := v.Secret.Optional != nil && *v.Secret.Optional; optional != (v.Name == "webhook") {
			t.Errorf("%s: got optional %v", v.Name, optional)
		}
	}
	loaded(t, release(t, example(t, "mutual-tls", `webhook.secretName="not-there-yet"`)))
}

func TestAChangedConfigurationRestartsThePodAndAChangedSecretDoesNot(t *testing.T) {
	text := func(settings ...string) string {
		t.Helper()
		r, err := install(t, example(t, "api-key-inline", settings...), nil)
		if err != nil {
			t.Fatal(err)
		}
		return r["statefulset.yaml"]
	}
	before := text()
	if text("policy.dryRun=true") == before {
		t.Error("a changed policy does not restart the pod")
	}
	if after := text(`pagerduty.apiKey="another"`, `admin.token="another"`); after != before {
		t.Errorf("another API key and token restart the pod, which reads them again by itself:\n%s", after)
	}
}

func TestNoSecretStandsInTheConfiguration(t *testing.T) {
	r, err := install(t, example(t, "api-key-inline", `pagerduty.apiKey="the-key"`, `admin.token="the-token"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range r {
		if strings.Contains(text, "the-key") || strings.Contains(text, "the-token") {
			t.Errorf("%s shows a secret:\n%s", name, text)
		}
	}
}
