//go:build torture

package e2e

import (
	"bufio"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// syncs are the system calls that bring what was written to the disk.
const syncs = "msync,fsync,fdatasync,sync_file_range"

// trace attaches strace to pdhook, all of its threads and those to come, until the end of the test or of
// pdhook. What strace is told to change takes effect from now on.
func (w *world) trace(args ...string) {
	w.t.Helper()
	cmd := exec.Command("strace", append([]string{"-f", "-p", strconv.Itoa(w.proc.cmd.Process.Pid)}, args...)...)
	says, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.t.Fatalf("starting strace: %v", err)
	}
	attached, ended := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(attached) })
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(says); lines.Scan(); {
			if strings.Contains(lines.Text(), " attached") {
				first() // each new thread is announced as well
			}
		}
		_ = cmd.Wait() // interrupted, or gone with pdhook
	}()
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // lets pdhook go on
		<-ended
	})
	select {
	case <-attached:
	case <-ended:
		w.t.Fatal("strace did not attach to pdhook")
	}
}
