//go:build package

package package_test

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/documents"
)

const released = "v1.2.3"

// dist makes the archives and gives their directory.
func dist(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dist")
	output(t, root, []string{"VERSION=" + released, "COMMIT=0123456789abcdef", "SOURCE_DATE_EPOCH=1700000000"}, "tools/dist", dir)
	return dir
}

func TestTheSameCommitGivesTheSameArchives(t *testing.T) {
	one, two := dist(t), dist(t)
	entries, err := os.ReadDir(one)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		a, err := os.ReadFile(filepath.Join(one, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(two, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s: two builds differ", e.Name())
		}
	}
	want := []string{"checksums.txt", "pdhook-1.2.3.tgz", "pdhook_v1.2.3_linux_amd64.tar.gz", "pdhook_v1.2.3_linux_arm64.tar.gz"}
	if !slices.Equal(names, want) {
		t.Fatalf("got %q, want %q", names, want)
	}
	output(t, one, nil, "sha256sum", "--check", "--strict", "--quiet", "checksums.txt")
	holdsWhatUsersNeed(t, one)
}

// holdsWhatUsersNeed unpacks the archives and looks into them.
func holdsWhatUsersNeed(t *testing.T, dir string) {
	t.Helper()
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		name := "pdhook_" + released + "_linux_" + arch
		output(t, dir, nil, "tar", "-xzf", name+".tar.gz")
		in := filepath.Join(dir, name)
		for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md", "pdhook.example.toml", "deploy/systemd/pdhook.service",
			"deploy/systemd/sysusers.conf", "deploy/teleport/role.yaml", "completions/pdhook.bash", "completions/pdhook.zsh", "completions/pdhook.fish"} {
			if info, err := os.Stat(filepath.Join(in, file)); err != nil || info.Size() == 0 || info.Mode().Perm() != 0o644 {
				t.Errorf("%s: %s: %v, want a file of mode 0644 that is not empty", name, file, err)
			}
		}
		holdsWhatItsPagesName(t, in)
		binary, err := elf.Open(filepath.Join(in, "pdhook"))
		if err != nil {
			t.Fatal(err)
		}
		dynamic := slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
		if binary.Machine != machine || dynamic {
			t.Errorf("%s: got a binary for %v, dynamic: %v, want a static one for %v", name, binary.Machine, dynamic, machine)
		}
		if err := binary.Close(); err != nil {
			t.Error(err)
		}
	}
	got := output(t, dir, nil, "./pdhook_"+released+"_linux_"+runtime.GOARCH+"/pdhook", "version")
	if want := "pdhook v1.2.3\ncommit 0123456789abcdef\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q first", got, want)
	}
}

// holdsWhatItsPagesName follows the links of the documents in an archive. The chart there is that of the release.
func holdsWhatItsPagesName(t *testing.T, in string) {
	t.Helper()
	all, err := documents.All(in)
	if err != nil || len(all) < 10 {
		t.Fatalf("got %d documents, %v", len(all), err)
	}
	for _, d := range all {
		if d.Path == "CONTRIBUTING.md" { // about the checkout
			continue
		}
		for _, l := range d.Links {
			target, _, _ := strings.Cut(l.Text, "#")
			if _, err := os.Stat(filepath.Join(in, filepath.Dir(d.Path), target)); err != nil && !strings.Contains(target, "://") {
				t.Errorf("%s: %s is not in the archive", l.Where, l.Text)
			}
		}
	}
	chart, err := os.ReadFile(filepath.Join(in, "deploy/helm/pdhook/Chart.yaml"))
	if err != nil || !strings.Contains(string(chart), "\nappVersion: "+released+"\n") {
		t.Errorf("got chart %v\n%s\nwant that of %s", err, chart, released)
	}
	if tests, err := filepath.Glob(filepath.Join(in, "deploy/*/*_test.*")); err != nil || len(tests) > 0 {
		t.Errorf("got tests %q, %v", tests, err)
	}
}
