package chart_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

func TestTheChartAndItsImageHaveOneVersion(t *testing.T) {
	meta := load(t).Metadata
	if "v"+meta.Version != meta.AppVersion {
		t.Errorf("got chart %s of pdhook %s, want one version for both", meta.Version, meta.AppVersion)
	}
}

// archive makes the chart's archive of a version as `make dist-chart` does, and gives its path.
func archive(t *testing.T, version string) (path string, err error) {
	t.Helper()
	to := t.TempDir()
	pack := exec.CommandContext(t.Context(), "tools/dist-chart", to)
	pack.Dir = "../.."
	pack.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1700000000")
	if _, err := pack.Output(); err != nil {
		return "", err
	}
	return filepath.Join(to, "pdhook-"+strings.TrimPrefix(version, "v")+".tgz"), nil
}

func TestTheArchiveHoldsTheWholeChartOfItsVersion(t *testing.T) {
	for _, version := range []string{"v1.2.3", "v0.0.0-dev.206.g5f423c0c141e.dirty"} {
		path, err := archive(t, version)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := loader.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := packed.Validate(); err != nil || "v"+packed.Metadata.Version != version || packed.AppVersion() != version {
			t.Errorf("got chart %s of pdhook %s, want %s: %v", packed.Metadata.Version, packed.AppVersion(), version, err)
		}
		here := load(t)
		if len(packed.Templates) != len(here.Templates) || len(packed.Files) != len(here.Files) || !bytes.Equal(packed.Schema, here.Schema) {
			t.Errorf("got %d templates and %d files, want %d and %d", len(packed.Templates), len(packed.Files), len(here.Templates), len(here.Files))
		}
	}
}

func TestTheArchiveHasTheSameBytesEachTime(t *testing.T) {
	var contents [2][]byte
	for i := range contents {
		path, err := archive(t, "v1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if contents[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(contents[0], contents[1]) {
		t.Error("two archives of one version differ")
	}
}

func TestAnArchiveOfNoVersionIsRefused(t *testing.T) {
	for _, version := range []string{"", "dev", "1.2.3", "7240e02"} {
		if path, err := archive(t, version); err == nil {
			t.Errorf("VERSION=%q made %s", version, path)
		}
	}
}
