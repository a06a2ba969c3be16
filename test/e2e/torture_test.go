//go:build torture

package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The tests behind the build tag torture break what only root on Linux can break: file systems, networks,
// system calls. `make torture` runs them, in their long form; SHORT=1 makes them a few minutes.

// rounds gives how often something is done: a few times with -short, many times otherwise.
func rounds(short, long int) int {
	if testing.Short() {
		return short
	}
	return long
}

// tool runs a program of the system.
func tool(t testing.TB, name string, args ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("these tests need root")
	}
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
