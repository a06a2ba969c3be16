package chart_test

import (
	"path/filepath"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

func TestHelm3RendersTheSame(t *testing.T) {
	loaded, err := loader.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range examples(t) {
		given := `admin.token="given"` // a generated one never is the same
		release := chartutil.ReleaseOptions{Name: "pdhook", Namespace: namespace, Revision: 1, IsInstall: true}
		values, err := chartutil.ToRenderValues(loaded, example(t, name, given), release, chartutil.DefaultCapabilities)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := engine.Render(loaded, values)
		if err != nil {
			t.Fatal(err)
		}
		want, err := install(t, example(t, name, given), nil)
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range texts {
			if text != want[filepath.Base(file)] {
				t.Errorf("%s: %s: got\n%s\nwant\n%s", name, file, text, want[filepath.Base(file)])
			}
		}
	}
}

func TestHelm3RefusesTheSame(t *testing.T) {
	loaded, err := loader.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{`policy.maxAccess=24`, `policy.max_access="1h"`, `proxy={}`} {
		if _, err := chartutil.ToRenderValues(loaded, example(t, "minimal", setting), chartutil.ReleaseOptions{}, chartutil.DefaultCapabilities); err == nil {
			t.Errorf("%s is accepted", setting)
		}
	}
}
