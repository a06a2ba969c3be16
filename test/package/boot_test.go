//go:build package

package package_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/teleporttest"
)

const (
	uid   = 64242 // of the user pdhook there
	admin = "127.0.0.1:18083"
)

var booted = map[string]string{ // files of the machine that is booted, beside what make install puts there
	"console":                       "",
	"etc/passwd":                    fmt.Sprintf("root:x:0:0:root:/root:/bin/sh\npdhook:x:%d:%d:pdhook:/var/lib/pdhook:/usr/sbin/nologin\n", uid, uid),
	"etc/group":                     fmt.Sprintf("root:x:0:\npdhook:x:%d:\n", uid),
	"etc/machine-id":                "0123456789abcdef0123456789abcdef\n",
	"etc/systemd/system/try.target": "[Unit]\nDefaultDependencies=no\nWants=pdhook.service\n",
	// Without the network and mounts of a whole machine.
	"etc/systemd/system/pdhook.service.d/try.conf": "[Unit]\nDefaultDependencies=no\nWants=\nAfter=\n",
	"etc/systemd/system/pdhook.service.d/key.conf": "[Service]\n" + strings.Join(credential, "\n") + "\n",
	"etc/pdhook/pagerduty-api-key":                 "key\n",
	"etc/pdhook.toml": `[teleport]
addr = "127.0.0.1:1"
identity = "/var/lib/pdhook/identity"
[pagerduty]
api_endpoint = "http://127.0.0.1:1"
user_email = "pdhook@example.com"
[webhook]
listen = "127.0.0.1:0"
secrets = ["sixteen-bytes-at-least"]
insecure_http = true
[admin]
listen = "` + admin + `"
[log]
output = "/var/lib/pdhook/pdhook.log"
`,
}

// credential is how the comment of the unit has systemd read an API key that root alone may read.
var credential = []string{
	"LoadCredential=pagerduty-api-key:/etc/pdhook/pagerduty-api-key",
	"Environment=PDHOOK_PAGERDUTY_API_KEY=%d/pagerduty-api-key",
}

func TestSystemdRunsTheUnitAndStartsItAgainAfterACrash(t *testing.T) {
	machine := t.TempDir()
	must(t, os.Chmod(machine, 0o755))
	for _, dir := range []string{"dev", "etc/pdhook", "etc/systemd/system/pdhook.service.d", "old", "proc", "root", "run", "sys", "tmp", "usr", "var/lib/pdhook"} {
		must(t, os.MkdirAll(filepath.Join(machine, dir), 0o755))
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		must(t, os.Symlink("usr/"+dir, filepath.Join(machine, dir)))
	}
	for name, content := range booted {
		must(t, os.WriteFile(filepath.Join(machine, name), []byte(content), 0o644))
	}
	must(t, os.Chmod(filepath.Join(machine, "etc/pdhook/pagerduty-api-key"), 0o600))
	output(t, root, nil, "make", "-s", "install", "DESTDIR="+machine, "PREFIX=/opt")
	must(t, os.Symlink("/opt/lib/systemd/system/pdhook.service", filepath.Join(machine, "etc/systemd/system/pdhook.service")))
	provideIdentity(t, filepath.Join(machine, "var/lib/pdhook"))

	boot(t, machine)
	first := serving(t, 0)
	must(t, syscall.Kill(first, syscall.SIGKILL))
	serving(t, first)
}

func TestTheUnitSaysHowToLoadAKeyThatRootAloneMayRead(t *testing.T) {
	unit, err := os.ReadFile(filepath.Join(root, "deploy/systemd/pdhook.service"))
	must(t, err)
	for _, line := range credential {
		if !strings.Contains(string(unit), "\n#   "+line+"\n") {
			t.Errorf("the unit does not say %s, which the booted machine has", line)
		}
	}
}

func provideIdentity(t *testing.T, dir string) {
	t.Helper()
	teleport, err := teleporttest.New(teleporttest.Options{})
	must(t, err)
	must(t, teleport.WriteIdentity(filepath.Join(dir, "identity"), "pdhook", teleporttest.IdentityOptions{}))
	must(t, os.Chown(dir, uid, uid))
	must(t, os.Chown(filepath.Join(dir, "identity"), uid, uid))
}

// boot starts systemd on the machine until the test ends.
func boot(t *testing.T, machine string) {
	t.Helper()
	before := groups(t)
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "unshare", "--kill-child", "--fork", "--mount", "--pid", "--uts", "--ipc", "--cgroup",
		"sh", "testdata/boot.sh", machine)
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	must(t, err)
	cmd.Stdout, cmd.Stderr = said, said
	must(t, cmd.Start())
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait() // killed
		must(t, said.Close())
		if t.Failed() {
			for _, file := range []string{said.Name(), filepath.Join(machine, "console")} {
				content, _ := os.ReadFile(file)
				t.Logf("%s:\n%s", file, content)
			}
		}
		leave(t, before)
	})
}

// groups gives the control groups that systemd makes, by path. They are there before, or made by the systemd of this
// test, when the test runs in the topmost group of a hierarchy.
func groups(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"init.scope", "system.slice", "*/init.scope", "*/system.slice"} {
		found, err := filepath.Glob("/sys/fs/cgroup/" + pattern)
		must(t, err)
		all = append(all, found...)
	}
	return all
}

// leave removes the control groups that were not there before, which takes until the last process in them is gone.
func leave(t *testing.T, before []string) {
	t.Helper()
	for _, group := range groups(t) {
		if slices.Contains(before, group) {
			continue
		}
		limit := time.Now().Add(30 * time.Second)
		for _, dir := range []string{filepath.Join(group, "pdhook.service"), group} {
			err := syscall.Rmdir(dir)
			for err != nil && !errors.Is(err, fs.ErrNotExist) && time.Now().Before(limit) {
				<-time.After(50 * time.Millisecond)
				err = syscall.Rmdir(dir)
			}
		}
	}
	if after := groups(t); !slices.Equal(after, before) {
		t.Errorf("got control groups %q, want %q as before", after, before)
	}
}

// serving waits until another pdhook than the given one is ready, as its own user, and gives its process ID.
func serving(t *testing.T, not int) int {
	t.Helper()
	limit, pause := time.After(2*time.Minute), time.NewTicker(100*time.Millisecond)
	defer pause.Stop()
	for {
		if pid := process(t); pid != 0 && pid != not && ready(t) {
			return pid
		}
		select {
		case <-pause.C:
		case <-limit:
			t.Fatal("pdhook is not ready after two minutes")
		}
	}
}

func ready(t *testing.T) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/readyz", nil)
	must(t, err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return false
	}
	must(t, resp.Body.Close())
	return resp.StatusCode == http.StatusOK
}

var (
	name = regexp.MustCompile(`(?m)^Name:\s+pdhook$`)
	user = regexp.MustCompile(fmt.Sprintf(`(?m)^Uid:\s+%d\s+%d\s`, uid, uid))
)

// process finds pdhook by name and user, 0 when it does not run.
func process(t *testing.T) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/status")
	must(t, err)
	for _, file := range all {
		status, err := os.ReadFile(file)
		if err != nil || !name.Match(status) || !user.Match(status) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		must(t, err)
		return pid
	}
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
