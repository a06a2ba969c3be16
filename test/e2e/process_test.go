package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that has to happen. It is generous: a wait ends when its
// condition holds.
const patience = time.Minute

// process is one run of pdhook.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{}
	log    *os.File // what pdhook writes comes out of it
	still  atomic.Bool

	mu    sync.Mutex
	lines []logLine
	raw   bytes.Buffer
	more  chan struct{} // closed and renewed with every line
}

// logLine is one line of pdhook's log.
type logLine map[string]any

func (l logLine) text(key string) string {
	s, _ := l[key].(string)
	return s
}

// launch starts pdhook with arguments. It is killed at the end of the test if it still runs.
func launch(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return launchUnder(t, nil, env, args...)
}

// launchUnder is launch by a program with arguments of its own, which becomes pdhook.
func launchUnder(t testing.TB, program, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, exited: make(chan struct{}), more: make(chan struct{})}
	line := slices.Concat(program, []string{binary}, args)
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.Env = append(cleanEnv(), env...)
	// A pipe of our own: exec's StderrPipe is closed by Wait, which could lose the last lines.
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr, p.cmd.Stdout = write, write
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	p.log = read
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		p.read(read)
	}()
	go func() {
		_ = p.cmd.Wait()
		<-reading
		_ = read.Close()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if strings.Contains(p.output(), "DATA RACE") {
			t.Error("the race detector found a race in pdhook")
		}
		if t.Failed() {
			t.Logf("log of pdhook:\n%s", p.output())
		}
	})
	return p
}

// cleanEnv is the environment without anything that configures pdhook.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PDHOOK_") {
			env = append(env, v)
		}
	}
	return env
}

func (p *process) read(from io.Reader) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for !p.still.Load() && scanner.Scan() {
		var line logLine
		_ = json.Unmarshal(scanner.Bytes(), &line) // what is no JSON is kept as text only
		p.mu.Lock()
		p.raw.Write(scanner.Bytes())
		p.raw.WriteByte('\n')
		p.lines = append(p.lines, line)
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.raw.String()
}

// find gives the log lines that match.
func (p *process) find(match func(logLine) bool) []logLine {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []logLine
	for _, l := range p.lines {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

// says waits until a log line's message or error contains the text, and gives the line.
func (p *process) says(text string) logLine {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		more := p.more
		p.mu.Unlock()
		found := p.find(func(l logLine) bool {
			return strings.Contains(l.text("msg"), text) || strings.Contains(l.text("error"), text)
		})
		if len(found) > 0 {
			return found[0]
		}
		select {
		case <-more:
		case <-p.exited:
			p.t.Fatalf("pdhook ended without saying %q", text)
		case <-deadline:
			p.t.Fatalf("pdhook did not say %q within %s", text, patience)
		}
	}
}

// leaveAlone makes the reader of the log go away, as a journald that is started anew does.
func (p *process) leaveAlone() { _ = p.log.Close() }

// standStill makes the reader of the log read no more after the next line, as a terminal after Ctrl-S.
func (p *process) standStill() {
	p.t.Helper()
	p.still.Store(true)
	const setPipeSize = 1031 // F_SETPIPE_SZ: a page, so that the pipe is full at once
	if _, _, err := syscall.Syscall(syscall.SYS_FCNTL, p.log.Fd(), setPipeSize, 4096); err != 0 {
		p.t.Fatal(err)
	}
}

// kill is kill -9.
func (p *process) kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// stop is SIGTERM; pdhook must end in order with exit code 0.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("stopping pdhook: %v", err)
	}
	if code := p.wait(25 * time.Second); code != 0 {
		p.t.Errorf("got exit code %d after SIGTERM, want 0", code)
	}
}

// wait gives the exit code.
func (p *process) wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("pdhook still runs after %s", limit)
		return -1
	}
}
