package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWhoFollowsTheREADMEGetsAServiceThatLacksNothing types what the sandbox prints, to the letter, and looks that it
// prints what README.md tells to do.
func TestWhoFollowsTheREADMEGetsAServiceThatLacksNothing(t *testing.T) {
	home := newHome(t)
	commands := home.openSandbox()
	wantsREADME(t, commands)

	answers := home.types(commands)
	for i, want := range []struct {
		command string
		exit    int
		says    []string
		not     string
	}{
		{". bin/sandbox/env", 0, nil, ""},
		{"bin/pdhook check", 1, []string{"✗ webhook secrets: ", "✗ subscription: ", "pdhook subscribe --url https://", "pdhook: 2 checks failed"}, "\n! "},
		{"bin/pdhook start", 0, nil, ""},
		{"bin/pdhook subscribe", 0, []string{"Created webhook subscription", "Sent a test ping: it arrived"}, ""},
		{"bin/pdhook check", 0, []string{"✓ subscription: ", "✓ running service: "}, "✗"},
		{"make demo-request USER=kim@", 0, []string{"approved after"}, ""},
		{"make demo-request USER=dana@", 0, []string{"pages kim"}, ""},
		{"bin/pdhook requests", 0, []string{"dana@example.com", "Not approved automatically"}, "kim@example.com"},
	} {
		if i == len(answers) {
			t.Fatalf("%d commands are printed, want %q next", len(answers), want.command)
		}
		got := answers[i]
		if !strings.HasPrefix(commands[i], want.command) || !strings.HasSuffix(got, fmt.Sprintf("exit %d\n", want.exit)) {
			t.Errorf("%s: got\n%s\nwant %q, and exit %d", commands[i], got, want.command, want.exit)
		}
		for _, text := range want.says {
			if !strings.Contains(got, text) {
				t.Errorf("%s: %q is not in\n%s", commands[i], text, got)
			}
		}
		if want.not != "" && strings.Contains(got, want.not) {
			t.Errorf("%s: %q is in\n%s", commands[i], want.not, got)
		}
		if runtime.GOOS == "linux" && strings.Contains(got, "\n! ") { // elsewhere, Go asks the system whom to trust
			t.Errorf("%s: warns:\n%s", commands[i], got)
		}
	}
	if len(answers) != 8 {
		t.Errorf("got %d commands, want 8:\n%s", len(answers), strings.Join(commands, "\n"))
	}
}

// home is a clone after make build, as far as the printed commands need it.
type home struct {
	t   *testing.T
	dir string
}

func newHome(t *testing.T) home {
	h := home{t, t.TempDir()}
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "Makefile"), makefile, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(h.dir, "bin")+"/", "../../cmd/pdhook", ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return h
}

// in is a command at home, out of the sight of other demos, whose configuration is nobody else's.
func (h home) in(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(h.t.Context(), name, args...)
	cmd.Dir = h.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PDHOOK_") && !strings.HasPrefix(v, "MAKE") && !strings.HasPrefix(v, "TMPDIR=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "TMPDIR="+h.dir)
	cmd.WaitDelay = time.Second
	return cmd
}

// openSandbox starts the simulators, and gives the commands that they print.
func (h home) openSandbox() (commands []string) {
	h.t.Helper()
	printed, err := os.Create(filepath.Join(h.dir, "printed"))
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.in("bin/demo", "sandbox", "--dir", "bin/sandbox")
	cmd.Stdout, cmd.Stderr = printed, printed
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends the simulators
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = cmd.Wait() // the context of the test has ended
		_ = printed.Close()
	})
	var text []byte
	err = until(h.t.Context(), "the sandbox is open", func() (bool, error) {
		text, err = os.ReadFile(printed.Name())
		return bytes.Contains(text, []byte("in a browser")), err
	})
	if err != nil {
		h.t.Fatalf("%v\n%s", err, text)
	}
	_, text, _ = bytes.Cut(text, []byte("another terminal:\n"))
	for line := range strings.Lines(string(text)) {
		if command, is := strings.CutPrefix(line, "  "); is {
			commands = append(commands, strings.TrimSpace(command))
		}
	}
	return commands
}

const prompt = "--- typed"

// types has a shell run the commands one after another, and gives what each prints, with its exit code at the end.
func (h home) types(commands []string) []string {
	h.t.Helper()
	var script strings.Builder
	for _, command := range commands {
		fmt.Fprintf(&script, "echo '%s'\n%s\necho exit $?\n", prompt, command)
		if strings.HasSuffix(command, "&") { // people type slower than this shell
			fmt.Fprint(&script, "until bin/pdhook health 2>&1 | grep -q 'not ready'; do sleep 0.1; kill -0 $! || exit 1; done\n")
		}
	}
	script.WriteString("kill $! && wait\n")
	cmd := h.in("bash")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("%v\n%s", err, out)
	}
	answers := strings.Split(string(out), prompt+"\n")
	return answers[1:]
}

// wantsREADME looks that what README.md says to type in its set-up is among the commands, in its order.
func wantsREADME(t *testing.T, commands []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, setUp, _ := strings.Cut(string(text), "\n## Setting it up\n")
	setUp, _, _ = strings.Cut(setUp, "\n## ")
	told := regexp.MustCompile(`(?m)^pdhook (check|start|subscribe --url \S+)`).FindAllStringSubmatch(setUp, -1)
	var want, got []string
	for _, m := range told {
		want = append(want, strings.ReplaceAll(m[1], "//HOST:8081/", "//…/"))
	}
	here := regexp.MustCompile(`^bin/pdhook (check|start|subscribe --url \S+)`)
	for _, c := range commands {
		if m := here.FindStringSubmatch(c); m != nil {
			got = append(got, regexp.MustCompile(`//[0-9.:]+/`).ReplaceAllString(m[1], "//…/"))
		}
	}
	if len(want) < 4 || !slices.Equal(got, want) {
		t.Errorf("the sandbox prints %q, README.md says %q", got, want)
	}
}
