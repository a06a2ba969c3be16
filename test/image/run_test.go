//go:build image

package image_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/teleporttest"
)

const admin = "127.0.0.1:18082"

// runs starts the image as a container does, as its user, with a root that nobody can write to: only its volume can.
// Teleport and PagerDuty are away, which is no reason not to serve.
func runs(t *testing.T, files string, image inspect) {
	t.Helper()
	rootfs := readOnly(t, files)
	pdhook := begin(t, rootfs, image)
	eventually(t, "serves /healthz", func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/healthz", nil)
		must(t, err)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}).Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // only its status counts
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
	check := image.Docker.Config.Healthcheck.Test[1:]
	eventually(t, "is healthy", func() error {
		cmd := contained(t, rootfs, image, check)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	isNobody(t, pdhook.Process.Pid)
	must(t, pdhook.Process.Signal(syscall.SIGTERM))
	if err := pdhook.Wait(); err != nil {
		t.Errorf("got %v at the end, want exit code 0\n%s", err, pdhook.Stderr)
	}
	if out, err := contained(t, rootfs, image, check).CombinedOutput(); err == nil {
		t.Errorf("got a healthy container after its end: %s", out)
	}
}

// readOnly gives a root directory in which only the volume can be written to, as the image left it to its user.
func readOnly(t *testing.T, files string) string {
	t.Helper()
	rootfs := t.TempDir()
	mount := func(source, target, kind string, flags uintptr, data string) {
		t.Helper()
		must(t, syscall.Mount(source, target, kind, flags, data))
		t.Cleanup(func() { must(t, syscall.Unmount(target, syscall.MNT_DETACH)) })
	}
	volume, configuration := t.TempDir(), filepath.Join(files, "etc/pdhook.toml")
	owner := new(syscall.Stat_t)
	must(t, syscall.Stat(filepath.Join(files, "var/lib/pdhook"), owner))
	must(t, os.Chown(volume, int(owner.Uid), int(owner.Gid)))
	provide(t, volume, int(owner.Uid))
	must(t, os.WriteFile(configuration, []byte(settings), 0o644))

	mount(files, rootfs, "", syscall.MS_BIND, "")
	must(t, syscall.Mount("", rootfs, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	mount(volume, filepath.Join(rootfs, "var/lib/pdhook"), "", syscall.MS_BIND, "")
	mount("proc", filepath.Join(rootfs, "proc"), "proc", 0, "")
	return rootfs
}

const settings = `[teleport]
addr = "127.0.0.1:1"
identity = "/var/lib/pdhook/identity"
[pagerduty]
api_key = "key"
api_endpoint = "http://127.0.0.1:1"
user_email = "pdhook@example.com"
[webhook]
listen = "127.0.0.1:0"
secrets = ["sixteen-bytes-at-least"]
insecure_http = true
[admin]
listen = "` + admin + `"
`

// provide writes an identity to the volume.
func provide(t *testing.T, volume string, uid int) {
	t.Helper()
	teleport, err := teleporttest.New(teleporttest.Options{})
	must(t, err)
	identity := filepath.Join(volume, "identity")
	must(t, teleport.WriteIdentity(identity, "pdhook", teleporttest.IdentityOptions{}))
	must(t, os.Chown(identity, uid, uid))
}

// contained is a program of the image, as the image's user.
func contained(t *testing.T, rootfs string, image inspect, args []string) *exec.Cmd {
	t.Helper()
	ids := strings.Split(image.Docker.Config.User, ":")
	uid, err := strconv.ParseUint(ids[0], 10, 32)
	must(t, err)
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Path, cmd.Dir, cmd.Env = args[0], "/", []string{"PATH=/usr/local/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: rootfs, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	return cmd
}

// begin starts what the image starts.
func begin(t *testing.T, rootfs string, image inspect) *exec.Cmd {
	t.Helper()
	c := image.Docker.Config
	cmd := contained(t, rootfs, image, append(c.Entrypoint[:1:1], c.Cmd...))
	cmd.Stderr = new(bytes.Buffer)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // only if the test ended before it
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("pdhook said:\n%s", cmd.Stderr)
		}
	})
	return cmd
}

// isNobody fails when a process is root, in any of its identities or capabilities.
func isNobody(t *testing.T, pid int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch fields[0] {
		case "Uid:", "Gid:":
			for _, id := range fields[1:] {
				if id != "65532" {
					t.Errorf("got %s, want 65532 throughout", strings.TrimSpace(line))
				}
			}
		case "CapEff:", "CapPrm:":
			if strings.Trim(fields[1], "0") != "" {
				t.Errorf("got %s, want none", strings.TrimSpace(line))
			}
		}
	}
}

// eventually waits until try succeeds.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	limit, pause := time.After(time.Minute), time.NewTicker(50*time.Millisecond)
	defer pause.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-pause.C:
		case <-limit:
			t.Fatalf("it never %s within a minute: %v", what, err)
		}
	}
}
