//go:build image

package image_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// workshop builds images with a buildah of its own storage, from stand-ins for both base images: no registry is asked.
type workshop struct {
	flags []string // of every buildah
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	dir := t.TempDir()
	return &workshop{flags: []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs"}}
}

func (w *workshop) buildah(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, "buildah", append(w.flags, args...)...)
}

// standIn makes an image of the files that fill writes to a directory.
func (w *workshop) standIn(t *testing.T, tag, platform string, env []string, fill func(dir string)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "rootfs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fill(dir)
	lines := "FROM scratch\nCOPY rootfs /\n"
	for _, e := range env {
		lines += "ENV " + e + "\n"
	}
	file := filepath.Join(filepath.Dir(dir), "Dockerfile")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	w.buildah(t, "build", "--quiet", "--isolation", "chroot", "--platform", platform, "--tag", tag, "--file", file, filepath.Dir(dir))
}

// golang stands in for the official image: /usr with shell and Go is this machine's, mounted while the image is built.
func (w *workshop) golang(t *testing.T) {
	t.Helper()
	w.standIn(t, "localhost/golang", "linux/"+runtime.GOARCH, []string{"PATH=/usr/local/go/bin:/usr/bin", "GOPATH=/go", "GOTOOLCHAIN=local", "GOPROXY=off", "GOCACHE=/cache"}, func(dir string) {
		for _, d := range []string{"cache", "go", "tmp", "usr"} {
			must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
		}
		for _, d := range []string{"bin", "lib", "lib64"} {
			must(t, os.Symlink("usr/"+d, filepath.Join(dir, d)))
		}
	})
}

// static stands in for the distroless one: users, authorities of certificates, and room for temporary files.
func (w *workshop) static(t *testing.T, platform string) {
	t.Helper()
	w.standIn(t, "localhost/static", platform, nil, func(dir string) {
		for _, d := range []string{"etc/ssl/certs", "home/nonroot", "proc", "tmp", "var/lib"} {
			must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
		}
		must(t, os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky))
		authorities, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "etc/ssl/certs/ca-certificates.crt"), authorities, 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"), 0o644))
	})
}

// image has make build the image for a platform, and gives its tag.
func (w *workshop) image(t *testing.T, platform string) string {
	t.Helper()
	w.static(t, platform)
	tag := "localhost/pdhook:" + strings.ReplaceAll(platform, "/", "-")
	cache := strings.Fields(output(t, "go", "env", "GOROOT", "GOMODCACHE", "GOCACHE"))
	output(t, "make", "-s", "image", "ENGINE=buildah "+strings.Join(w.flags, " "), "IMAGE="+tag,
		"VERSION="+version, "COMMIT="+revision, "IMAGE_FLAGS="+strings.Join([]string{
			"--quiet --isolation chroot --format docker --pull-never --platform", platform,
			"--build-arg BUILD_IMAGE=localhost/golang --build-arg BASE_IMAGE=localhost/static",
			"--build-arg BUILDPLATFORM=linux/" + runtime.GOARCH, // BuildKit and newer buildahs know it
			"--volume /usr:/usr:ro --volume " + cache[0] + ":/usr/local/go:ro",
			"--volume " + cache[1] + ":/go/pkg/mod --volume " + cache[2] + ":/cache",
		}, " "))
	return tag
}

// inspect is what an image says of itself.
type inspect struct {
	Docker struct {
		Architecture string
		Config       struct {
			User            string
			Entrypoint, Cmd []string
			Volumes         map[string]struct{}
			ExposedPorts    map[string]struct{}
			Labels          map[string]string
			Healthcheck     struct{ Test []string }
			Env             []string
		} `json:"config"`
	}
}

func (w *workshop) inspect(t *testing.T, tag string) inspect {
	t.Helper()
	var said inspect
	must(t, json.Unmarshal([]byte(w.buildah(t, "inspect", "--type", "image", tag)), &said))
	return said
}

// unpack gives a directory with the image's files, and the bytes of its layers: unpacked, and compressed as a registry
// keeps them.
func (w *workshop) unpack(t *testing.T, tag string) (files string, unpacked, compressed int64) {
	t.Helper()
	container := strings.TrimSpace(w.buildah(t, "from", "--pull-never", tag))
	files = strings.TrimSpace(w.buildah(t, "mount", container))
	asIs, zipped := t.TempDir(), t.TempDir()
	w.buildah(t, "push", "--quiet", "--disable-compression", tag, "dir:"+asIs)
	w.buildah(t, "push", "--quiet", tag, "oci:"+zipped)
	return files, sizeOf(t, asIs), sizeOf(t, zipped)
}

func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	}))
	return size
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
