//go:build image

package image_test

import (
	"bytes"
	"context"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const root = "../.."

// output runs a program and gives what it says on stdout.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type failed struct {
	cmd, said string
	err       error
}

func (f failed) Error() string { return f.cmd + ": " + f.err.Error() + "\n" + f.said }

func try(ctx context.Context, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), failed{cmd.String(), stdout.String() + stderr.String(), err}
	}
	return stdout.String(), nil
}
