// Package browser looks at the status page as people do: in Chromium, on a phone and on a desk, in daylight and at
// night. It is a module of its own, so that nobody who builds or installs pdhook meets the library that drives a browser.
package browser

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is pdhook, built once for all tests and repetitions.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pdhook-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "pdhook")
	build := exec.Command("go", "build", "-o", binary, "./cmd/pdhook")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building pdhook: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
