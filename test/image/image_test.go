//go:build image

package image_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const (
	version  = "v1.2.3"
	revision = "0123456789abcdef0123456789abcdef01234567"

	maxCompressed = 20_000_000 // bytes
	maxRatio      = 1.1        // layers ÷ binary
)

func TestTheImageIsSmallAndSaysWhatItIsOnEachArchitecture(t *testing.T) {
	w := newWorkshop(t)
	w.golang(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			tag := w.image(t, "linux/"+arch)
			declares(t, w.inspect(t, tag), arch)
			files, unpacked, compressed := w.unpack(t, tag)
			binary := filepath.Join(files, "usr/local/bin/pdhook")
			static(t, binary, machine)
			info, err := os.Stat(binary)
			must(t, err)
			ratio := float64(unpacked) / float64(info.Size())
			t.Logf("%s: binary %d, layers %d (%.3f), compressed %d bytes", arch, info.Size(), unpacked, ratio, compressed)
			if compressed >= maxCompressed || ratio > maxRatio {
				t.Errorf("got %d bytes compressed and %.3f times the binary, want less than %d and at most %v", compressed, ratio, maxCompressed, maxRatio)
			}
			if arch == runtime.GOARCH {
				runs(t, files, w.inspect(t, tag))
				output(t, "make", "-s", "bin/demo")
				if told, err := try(t.Context(), "bin/demo", "story", "--once", "--pdhook", binary); err != nil {
					t.Errorf("the demo's story with the image's binary: %v\n%s", err, told)
				}
			}
		})
	}
}

func declares(t *testing.T, got inspect, arch string) {
	t.Helper()
	if got.Docker.Architecture != arch {
		t.Errorf("got an image for %s, want %s", got.Docker.Architecture, arch)
	}
	c := got.Docker.Config
	for name, pair := range map[string][2]any{
		"user":         {c.User, "65532:65532"},
		"entrypoint":   {c.Entrypoint, []string{"/usr/local/bin/pdhook"}},
		"command":      {c.Cmd, []string{"start"}},
		"health check": {c.Healthcheck.Test, []string{"CMD", "/usr/local/bin/pdhook", "health"}},
		"volumes":      {c.Volumes, map[string]struct{}{"/var/lib/pdhook": {}}},
		"ports":        {c.ExposedPorts, map[string]struct{}{"8081/tcp": {}, "8082/tcp": {}}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %v, want %v", name, pair[0], pair[1])
		}
	}
	const prefix = "org.opencontainers.image."
	if c.Labels[prefix+"version"] != version || c.Labels[prefix+"revision"] != revision || c.Labels[prefix+"licenses"] != "Apache-2.0" {
		t.Errorf("got labels %v, want version %s and revision %s", c.Labels, version, revision)
	}
	for _, label := range []string{"title", "description", "source", "created"} {
		if c.Labels[prefix+label] == "" {
			t.Errorf("got no label %s%s", prefix, label)
		}
	}
	if slices.ContainsFunc(c.Env, func(e string) bool { return strings.HasPrefix(e, "PDHOOK_") }) {
		t.Errorf("got %v: the image presets a configuration", c.Env)
	}
}

// static fails unless the file is a program for machine that needs no other file.
func static(t *testing.T, path string, machine elf.Machine) {
	t.Helper()
	binary, err := elf.Open(path)
	must(t, err)
	defer func() { must(t, binary.Close()) }()
	dynamic := slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	if binary.Machine != machine || dynamic {
		t.Errorf("got a program for %v, dynamic: %v, want a static one for %v", binary.Machine, dynamic, machine)
	}
}
