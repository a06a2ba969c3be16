package chart_test

import (
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// objects holds what a release consists of.
type objects []object

type object interface {
	metav1.Object
	runtime.Object
}

// decode reads what Helm rendered as the API server would, and refuses fields that it would drop.
func decode(t *testing.T, r rendered) objects {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, apps.AddToScheme, networking.AddToScheme, policy.AddToScheme, gateway.Install, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	var all objects
	for name, text := range r {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for document := range strings.SplitSeq("\n"+text, "\n---") {
			if strings.TrimSpace(document) == "" {
				continue
			}
			decoded, _, err := strict.Decode([]byte(document), nil, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
			all = append(all, decoded.(object))
		}
	}
	return all
}

// every gives the objects of a type.
func every[T object](all objects) []T {
	var found []T
	for _, object := range all {
		if o, ok := object.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

// the gives the object of a type with this name.
func the[T object](t *testing.T, all objects, name string) T {
	t.Helper()
	for _, object := range every[T](all) {
		if object.GetName() == name {
			return object
		}
	}
	var none T
	t.Fatalf("got no %T called %s", none, name)
	return none
}

// pod gives the template of the StatefulSet's or Deployment's pod.
func (all objects) pod(t *testing.T) core.PodTemplateSpec {
	t.Helper()
	var templates []core.PodTemplateSpec
	for _, s := range every[*apps.StatefulSet](all) {
		templates = append(templates, s.Spec.Template)
	}
	for _, d := range every[*apps.Deployment](all) {
		templates = append(templates, d.Spec.Template)
	}
	if len(templates) != 1 || len(templates[0].Spec.Containers) != 1 {
		t.Fatalf("got %d pod templates, want one with one container", len(templates))
	}
	return templates[0]
}

// toml gives the configuration file that the pod gets.
func (all objects) toml(t *testing.T) string {
	t.Helper()
	return the[*core.ConfigMap](t, all, "pdhook").Data["pdhook.toml"]
}
