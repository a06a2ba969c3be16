package chart_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	chartutil "helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"
)

const (
	folder    = "../../deploy/helm/pdhook"
	namespace = "teleport"
)

// A cluster gives what it knows of an object to the chart's lookup.
type cluster = engine.ClientProvider

// example gives the values of a file in the chart's examples, changed by settings as `helm install --set-json` takes
// them: "replicaCount=2".
func example(t *testing.T, name string, settings ...string) map[string]any {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "examples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if err := yaml.UnmarshalStrict(content, &values); err != nil {
		t.Fatal(err)
	}
	return change(t, values, settings...)
}

func change(t *testing.T, values map[string]any, settings ...string) map[string]any {
	t.Helper()
	for _, setting := range settings {
		wins := map[string]any{}
		if err := strvals.ParseJSON(setting, wins); err != nil {
			t.Fatalf("%s: %v", setting, err)
		}
		values = chartutil.MergeTables(wins, values)
	}
	return values
}

func examples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	return files
}

func load(t *testing.T) *chart.Chart {
	t.Helper()
	loaded, err := loader.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// rendered is what Helm makes of the chart: the text of each template, by its name without the folder.
type rendered map[string]string

// install renders the chart for an installation as release "pdhook", and fails with the chart's own error. A nil
// cluster is `helm template`.
func install(t *testing.T, values map[string]any, c cluster) (rendered, error) {
	t.Helper()
	return installAs(t, "pdhook", values, c)
}

func installAs(t *testing.T, name string, values map[string]any, c cluster) (rendered, error) {
	t.Helper()
	loaded := load(t)
	release := common.ReleaseOptions{Name: name, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, values, release, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	if c == nil {
		texts, err = engine.Render(loaded, all)
	} else {
		texts, err = engine.RenderWithClientProvider(loaded, all, c)
	}
	if err != nil {
		return nil, err
	}
	r := rendered{}
	for name, text := range maps.All(texts) {
		r[filepath.Base(name)] = text
	}
	return r, nil
}

// release renders and decodes what must be installable.
func release(t *testing.T, values map[string]any) objects {
	t.Helper()
	return releaseIn(t, values, nil)
}

func releaseIn(t *testing.T, values map[string]any, c cluster) objects {
	t.Helper()
	r, err := install(t, values, c)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, r)
}
