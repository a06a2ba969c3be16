package chart_test

import (
	"maps"
	"reflect"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Reference: https://goteleport.com/docs/reference/helm-reference/teleport-plugin-pagerduty/
func TestEachValueOfTeleportsChartMeansWhatItMeansThere(t *testing.T) {
	const form = "teleport-plugin-pagerduty"
	container := func(all objects) core.Container { return all.pod(t).Spec.Containers[0] }
	for _, e := range []struct {
		set  string
		read func(objects) any
		want any
	}{
		{`teleport.address="auth.example.com:3025"`, func(all objects) any { return loaded(t, all).Teleport.Addr }, "auth.example.com:3025"},
		{`teleport.identitySecretName="tbot-out"`, secretOf(t, "teleport"), "tbot-out"},
		{`teleport.identitySecretPath="other"`, key(t, `identity = `), `"/var/run/secrets/pdhook/teleport/other"`},
		{`pagerduty={"apiKeyFromSecret": "", "apiKey": "the-key"}`, func(all objects) any {
			secret := the[*core.Secret](t, all, "pdhook-pagerduty")
			return string(secret.Data["pagerDutyApiKey"]) + " in " + secretOf(t, "pagerduty")(all).(string)
		}, "the-key in pdhook-pagerduty"},
		{`pagerduty={"apiKeyFromSecret": "pdhook-pagerduty-key", "apiKey": "ignored"}`, func(all objects) any {
			return secretOf(t, "pagerduty")(all).(string) + ": " + read(t, loaded(t, all).PagerDuty.APIKey)
		}, "pdhook-pagerduty-key: the-api-key"},
		{`pagerduty.apiKeySecretPath="other"`, key(t, `api_key = `), `"/var/run/secrets/pdhook/pagerduty/other"`},
		{`pagerduty={"apiKeyFromSecret": "", "apiKey": "the-key", "apiKeySecretPath": "other"}`, func(all objects) any {
			return read(t, loaded(t, all).PagerDuty.APIKey)
		}, "the-key"},
		{`pagerduty.userEmail="other@example.com"`, func(all objects) any { return loaded(t, all).PagerDuty.UserEmail }, "other@example.com"},
		{`log.severity="ERROR"`, func(all objects) any { return loaded(t, all).Log.Severity.String() }, "ERROR"},
		{`log.output="stderr"`, func(all objects) any { return loaded(t, all).Log.Output }, "stderr"},
		{`annotations.config={"a": "b"}`, func(all objects) any { return the[*core.ConfigMap](t, all, "pdhook").Annotations["a"] }, "b"},
		{`annotations.deployment={"a": "b"}`, func(all objects) any { return the[*apps.StatefulSet](t, all, "pdhook").Annotations["a"] }, "b"},
		{`annotations.pod={"a": "b"}`, func(all objects) any { return all.pod(t).Annotations["a"] }, "b"},
		{`podAnnotations={"a": "b"}`, func(all objects) any { return all.pod(t).Annotations["a"] }, "b"},
		{`annotations.secret={"a": "b"}`, func(all objects) any { return the[*core.Secret](t, all, "pdhook-admin").Annotations["a"] }, "b"},
		{`image={"repository": "registry.example.com/pdhook", "tag": "9.9.9"}`, func(all objects) any { return container(all).Image }, "registry.example.com/pdhook:9.9.9"},
		{`image.tag=""`, func(all objects) any { return container(all).Image }, "ghcr.io/pdhook/pdhook:" + load(t).AppVersion()},
		{`image.pullPolicy="Always"`, func(all objects) any { return container(all).ImagePullPolicy }, core.PullAlways},
		{`imagePullSecrets=[{"name": "s"}]`, func(all objects) any { return all.pod(t).Spec.ImagePullSecrets }, []core.LocalObjectReference{{Name: "s"}}},
		{`nameOverride="pager"`, func(all objects) any { return every[*apps.StatefulSet](all)[0].Name }, "pdhook-pager"},
		{`fullnameOverride="pager"`, func(all objects) any { return every[*apps.StatefulSet](all)[0].Name }, "pager"},
		{`podSecurityContext={"fsGroup": 1}`, func(all objects) any { return *all.pod(t).Spec.SecurityContext.FSGroup }, int64(1)},
		{`securityContext={"runAsUser": 1}`, func(all objects) any { return *container(all).SecurityContext.RunAsUser }, int64(1)},
		{`resources.limits={"cpu": "3"}`, func(all objects) any { return container(all).Resources.Limits[core.ResourceCPU] }, resource.MustParse("3")},
		{`nodeSelector={"a": "b"}`, func(all objects) any { return all.pod(t).Spec.NodeSelector["a"] }, "b"},
		{`tolerations=[{"key": "a", "operator": "Exists"}]`, func(all objects) any { return all.pod(t).Spec.Tolerations[0].Key }, "a"},
		{`affinity={"podAntiAffinity": {}}`, func(all objects) any { return *all.pod(t).Spec.Affinity.PodAntiAffinity }, core.PodAntiAffinity{}},
	} {
		if got := e.read(release(t, example(t, form, e.set))); !reflect.DeepEqual(got, e.want) {
			t.Errorf("%s: got %v, want %v", e.set, got, e.want)
		}
	}
}

func TestBothNamesOfThePodsAnnotationsCountTogether(t *testing.T) {
	got := release(t, example(t, "minimal", `podAnnotations={"a": "1"}`, `annotations.pod={"b": "2"}`)).pod(t).Annotations
	delete(got, "checksum/config")
	if want := map[string]string{"a": "1", "b": "2"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
