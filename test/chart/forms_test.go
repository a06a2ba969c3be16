package chart_test

import (
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
)

func TestEveryExampleIsInstalledRunsRestrictedAndIsAConfigurationThatPdhookTakes(t *testing.T) {
	for _, name := range examples(t) {
		t.Run(name, func(t *testing.T) {
			all := release(t, example(t, name))
			restricted(t, all)
			wellFormed(t, all)
			meets(t, all)
			configuration(t, all)
		})
	}
}

func TestHelmLintFindsNothing(t *testing.T) {
	for _, name := range examples(t) {
		for _, message := range lint.RunAll(folder, example(t, name), namespace).Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, message)
			}
		}
	}
}

// restricted judges the pod as the API server does in a namespace with this Pod Security Standard.
func restricted(t *testing.T, all objects) {
	t.Helper()
	judge, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := all.pod(t)
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range judge.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !result.Allowed {
			t.Errorf("not restricted: %s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	if c := pod.Spec.Containers[0].SecurityContext; c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
		t.Error("the root file system can be written to")
	}
	if s := pod.Spec.SecurityContext; s.RunAsUser == nil || *s.RunAsUser != 65532 || s.FSGroup == nil || *s.FSGroup != 65532 {
		t.Errorf("got user and group %v, want the image's user 65532, to whom the volume belongs too", s)
	}
}

// wellFormed checks what the types alone do not say.
func wellFormed(t *testing.T, all objects) {
	t.Helper()
	seen := map[string]bool{}
	for _, object := range all {
		kind := object.GetObjectKind().GroupVersionKind().Kind
		if key := kind + " " + object.GetName(); seen[key] {
			t.Errorf("%s is there twice", key)
		} else {
			seen[key] = true
		}
		if object.GetNamespace() != namespace {
			t.Errorf("%s: got namespace %q", kind, object.GetNamespace())
		}
		problems := validation.IsDNS1123Label(object.GetName())
		if kind == "Service" {
			problems = append(problems, validation.IsDNS1035Label(object.GetName())...)
		}
		for name, value := range object.GetLabels() {
			problems = append(problems, validation.IsQualifiedName(name)...)
			problems = append(problems, validation.IsValidLabelValue(value)...)
		}
		for _, problem := range problems {
			t.Errorf("%s %s: %s", kind, object.GetName(), problem)
		}
	}
}

// meets checks that what names something in the pod names something that is there.
func meets(t *testing.T, all objects) {
	t.Helper()
	pod := all.pod(t)
	ports := map[string]bool{}
	for _, p := range pod.Spec.Containers[0].Ports {
		ports[p.Name] = true
	}
	for _, service := range every[*core.Service](all) {
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			t.Errorf("service %s selects %v, the pod has %v", service.Name, service.Spec.Selector, pod.Labels)
		}
		for _, p := range service.Spec.Ports {
			if !ports[p.TargetPort.StrVal] {
				t.Errorf("service %s leads to port %q, which the pod has not", service.Name, p.TargetPort.StrVal)
			}
		}
	}
	for _, selector := range podSelectors(all) {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			t.Errorf("%v does not select the pod, which has %v: %v", selector, pod.Labels, err)
		}
	}
	container := pod.Spec.Containers[0]
	for _, e := range []struct {
		probe *core.Probe
		path  string
	}{{container.StartupProbe, "/healthz"}, {container.LivenessProbe, "/healthz"}, {container.ReadinessProbe, "/readyz"}} {
		if get := e.probe.HTTPGet; get.Path != e.path || get.Port.StrVal != "admin" || !ports["admin"] {
			t.Errorf("got probe %v, want %s at admin", get, e.path)
		}
	}
}

// podSelectors gives the selectors of all that is not a service.
func podSelectors(all objects) []*metav1.LabelSelector {
	var selectors []*metav1.LabelSelector
	for _, o := range every[*apps.StatefulSet](all) {
		selectors = append(selectors, o.Spec.Selector)
	}
	for _, o := range every[*apps.Deployment](all) {
		selectors = append(selectors, o.Spec.Selector)
	}
	for _, o := range every[*networking.NetworkPolicy](all) {
		selectors = append(selectors, &o.Spec.PodSelector)
	}
	for _, o := range every[*disruption.PodDisruptionBudget](all) {
		selectors = append(selectors, o.Spec.Selector)
	}
	return selectors
}
