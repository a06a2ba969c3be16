//go:build package

package package_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// semantic is semver.org's grammar without build metadata, which tags of images cannot hold, and with Go's v.
var semantic = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?\n$`)

func TestTheVersionFollowsTheTagsAndSortsBetweenThem(t *testing.T) {
	script, err := filepath.Abs(filepath.Join(root, "tools/version"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		output(t, dir, nil, "git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	}
	commit := func() { t.Helper(); git("commit", "-q", "--allow-empty", "-m", "m") }
	want := func(pattern string) {
		t.Helper()
		got := output(t, dir, []string{"GIT_CEILING_DIRECTORIES=" + filepath.Dir(dir)}, script)
		if !regexp.MustCompile("^"+pattern+"\n$").MatchString(got) || !semantic.MatchString(got) {
			t.Errorf("got %q, want a semantic version like %s", got, pattern)
		}
	}
	want(`v0\.0\.0-dev`)
	git("init", "-q")
	commit()
	want(`v0\.0\.0-dev\.1\.g[0-9a-f]{12}`)
	git("tag", "nightly")
	git("tag", "v1.2.9")
	want(`v1\.2\.9`)
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want(`v1\.2\.10-dev\.0\.g[0-9a-f]{12}\.dirty`)
	git("add", "new")
	commit()
	commit()
	want(`v1\.2\.10-dev\.2\.g[0-9a-f]{12}`)
	git("tag", "v1.3.0-rc.1")
	want(`v1\.3\.0-rc\.1`)
	commit()
	want(`v1\.3\.0-rc\.1\.dev\.1\.g[0-9a-f]{12}`)
}
