//go:build package

package package_test

import (
	"strings"
	"testing"
)

// OCI's own format, which these engines write unless they are told, has no place for the image's health check.
func TestTheHealthCheckStaysInTheImageWhateverBuildsIt(t *testing.T) {
	for engine, want := range map[string]bool{"podman": true, "buildah": true, "docker": false, "docker buildx": false} {
		command := output(t, root, nil, "make", "-n", "image", "ENGINE="+engine)
		if got := strings.Contains(command, " --format docker "); got != want {
			t.Errorf("ENGINE=%q: got the format named: %v, want %v:\n%s", engine, got, want, command)
		}
	}
}
