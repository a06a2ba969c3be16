//go:build package

package package_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// install runs make install and gives the directory that stands for / .
func install(t *testing.T, dest string) {
	t.Helper()
	output(t, root, nil, "make", "-s", "install", "DESTDIR="+dest, "PREFIX=/usr")
}

func TestInstallPutsEachFileWhereTheSystemLooksForIt(t *testing.T) {
	dest := t.TempDir()
	install(t, dest)
	for file, mode := range map[string]os.FileMode{
		"usr/bin/pdhook": 0o755, "usr/lib/systemd/system/pdhook.service": 0o644, "usr/lib/sysusers.d/pdhook.conf": 0o644, "etc/pdhook.toml": 0o640,
	} {
		if info, err := os.Stat(filepath.Join(dest, file)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want a file of mode %o", file, err, mode)
		}
	}
	binary := filepath.Join(dest, "usr/bin/pdhook")
	if got := output(t, dest, nil, binary, "version"); !strings.HasPrefix(got, "pdhook v") {
		t.Errorf("got %q, want the version", got)
	}
	hasUser(t, dest)

	unit := filepath.Join(dest, "usr/lib/systemd/system/pdhook.service")
	content, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// systemd looks for the program below /, not below DESTDIR.
	there := filepath.Join(t.TempDir(), "pdhook.service")
	moved := strings.ReplaceAll(string(content), "/usr/bin/pdhook", binary)
	if err := os.WriteFile(there, []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	output(t, dest, nil, "systemd-analyze", "verify", "--man=no", there)

	mine := []byte("# mine\n")
	configuration := filepath.Join(dest, "etc/pdhook.toml")
	if err := os.WriteFile(configuration, mine, 0o600); err != nil {
		t.Fatal(err)
	}
	install(t, dest)
	if got, err := os.ReadFile(configuration); err != nil || string(got) != string(mine) {
		t.Errorf("got %q, %v: an upgrade replaced the configuration", got, err)
	}
}

// hasUser makes the users of the system below dest, and fails unless the unit's is one of them.
func hasUser(t *testing.T, dest string) {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), "systemd-sysusers", "--root="+dest).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-sysusers: %v\n%s", err, said)
	}
	if users, err := os.ReadFile(filepath.Join(dest, "etc/passwd")); err != nil || !strings.Contains("\n"+string(users), "\npdhook:") {
		t.Errorf("got users %q, %v, want pdhook, as whom the unit runs", users, err)
	}
}

func TestTheUnitLeavesPdhookLittleToHarmTheMachineWith(t *testing.T) {
	const exposure = "20" // tenths
	output(t, root, nil, "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+exposure, "deploy/systemd/pdhook.service")
}
