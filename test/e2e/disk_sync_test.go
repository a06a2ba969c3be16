//go:build torture

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTortureASyncEndsBetweenAnEventAndIts202(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("webhook.insecure_http", "true"), without("webhook.tls_cert"), without("webhook.tls_key"))
	w.trace("-o", w.path("strace"), "-s", "16", "-e", "trace=read,write,fdatasync")
	const senders = 16
	flood := w.flood("SYNC", senders, 512) // together less than the log holds, so that it stays where it is
	flood.moves(rounds(300, 3000), 0)
	log := w.descriptors(".mem")
	accepted := flood.stop()
	w.proc.stop()
	answered := 0
	calls := syscalls{log: log, begun: map[string]beginning{}, arrived: map[string]int{}}
	for n, line := range strings.Split(w.read("strace"), "\n") {
		descriptor, answers := calls.see(n, line)
		if !answers {
			continue
		}
		came, seen := calls.arrived[descriptor]
		if !seen {
			continue // the event came before strace had all threads in hand
		}
		answered++
		if calls.synced < came {
			t.Errorf("line %d answers 202; the event came in line %d, the last sync that is over began in line %d", n, came, calls.synced)
		}
	}
	if answered < len(accepted)-senders {
		t.Errorf("strace saw %d events and answers, want %d", answered, len(accepted))
	}
	t.Logf("%d answers", answered)
}

// descriptors gives the descriptors under which pdhook has open the file of its store with an ending: Badger's log.
func (w *world) descriptors(ending string) (open []string) {
	w.t.Helper()
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", w.proc.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	files := map[string]bool{}
	for _, descriptor := range all {
		if file, err := os.Readlink(descriptor); err == nil && strings.HasSuffix(file, ending) {
			open = append(open, filepath.Base(descriptor))
			files[file] = true
		}
	}
	if len(files) != 1 {
		w.t.Fatalf("got %d open files *%s, want one", len(files), ending)
	}
	return open
}

// syscalls follows what strace has seen, a line after the other. A call during which others happened has two
// lines, "1 read(7,  <unfinished ...>" and "1 <... read resumed> …".
type syscalls struct {
	log     []string             // descriptors whose sync counts
	begun   map[string]beginning // by thread: the call that is not over
	arrived map[string]int       // by descriptor: the line in which the last read that gave something ended
	synced  int                  // the latest line in which a sync of the log began that has ended
}

type beginning struct {
	line int
	on   string // descriptor
}

var (
	enters = regexp.MustCompile(`^(\d+) +(?:read|write|fdatasync)\((\d+)`)
	leaves = regexp.MustCompile(`^(\d+) .*(read|write|fdatasync)(?:\(| resumed>).* = (\d+)$`)
)

// see takes a line in. It gives the descriptor when an answer 202 begins to be written to it.
func (s *syscalls) see(n int, line string) (descriptor string, answers bool) {
	if call := enters.FindStringSubmatch(line); call != nil {
		s.begun[call[1]] = beginning{n, call[2]}
		descriptor, answers = call[2], strings.Contains(line, `"HTTP/1.1 202`)
	}
	if call := leaves.FindStringSubmatch(line); call != nil {
		began := s.begun[call[1]]
		switch result := call[3]; {
		case call[2] == "read" && result != "0":
			s.arrived[began.on] = n
		case call[2] == "fdatasync" && result == "0" && slices.Contains(s.log, began.on):
			s.synced = max(s.synced, began.line)
		}
	}
	return descriptor, answers
}
