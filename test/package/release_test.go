//go:build package

package package_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is a checkout with the release script and a Makefile whose dist is quick.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	script, err := os.ReadFile(filepath.Join(root, "tools/release-dry-run"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("release-dry-run", string(script))
	r.write("Makefile", "dist:\n\t@mkdir -p dist && echo 'c0ffee  pdhook_$(VERSION)_linux_amd64.tar.gz' >dist/checksums.txt\n")
	r.write(".gitignore", "/dist/\n")
	r.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n- Does more.\n\n## [1.2.2] - 2026-01-01\n\n- Does less.\n\n## [1.2.1] - 2025-12-31\n")
	r.git("init", "-q")
	r.commit()
	return r
}

func (r repository) write(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o700); err != nil {
		r.t.Fatal(err)
	}
}

func (r repository) git(args ...string) {
	r.t.Helper()
	output(r.t, r.dir, nil, "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
}

func (r repository) commit() {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "m")
}

// dryRun gives what the script says, and whether it agrees.
func (r repository) dryRun(version ...string) (said string, agrees bool) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "./release-dry-run", version...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func TestAReleaseIsRefusedWithTheWayOut(t *testing.T) {
	r := newRepository(t)
	r.git("tag", "v1.2.2")
	for version, way := range map[string]string{
		"1.2.3": "v1.2.3-rc.1", "v1.2": "v1.2.3-rc.1", "v1.2.03": "v1.2.3-rc.1",
		"v1.2.2": "there is a tag", "v1.2.4": "move what is under Unreleased", "v1.2.1": "move what is under Unreleased",
	} {
		if said, agrees := r.dryRun(version); agrees || !strings.Contains(said, way) {
			t.Errorf("%s: got %v %q, want a refusal with %q", version, agrees, said, way)
		}
	}
	if said, agrees := r.dryRun(); agrees || !strings.Contains(said, "say which version") {
		t.Errorf("no version: got %v %q", agrees, said)
	}
	r.write("new", "")
	if said, agrees := r.dryRun("v1.2.3"); agrees || !strings.Contains(said, "commit or stash") {
		t.Errorf("changes that are not committed: got %v %q", agrees, said)
	}
}

func TestADryRunSaysWhatAReleaseWouldPushAndPushesNothing(t *testing.T) {
	r := newRepository(t)
	said, agrees := r.dryRun("v1.2.3")
	if !agrees {
		t.Fatal(said)
	}
	for _, want := range []string{"- Does more.", "git tag -s v1.2.3", "c0ffee  pdhook_v1.2.3_linux_amd64.tar.gz", "Nothing was tagged or pushed."} {
		if !strings.Contains(said, want) {
			t.Errorf("got %q, want %q in it", said, want)
		}
	}
	if strings.Contains(said, "Does less") {
		t.Errorf("got %q: it tells of an older release", said)
	}
	if tags := output(t, r.dir, nil, "git", "tag"); tags != "" {
		t.Errorf("got tags %q, want none", tags)
	}
}
