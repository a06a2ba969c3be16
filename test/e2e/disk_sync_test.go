//go:build torture

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTortureASyncEndsBetweenAnEventAndIts202(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("webhook.insecure_http", "true"), without("webhook.tls_cert"), without("webhook.tls_key"))
	w.trace("-o", w.path("strace"), "-s", "16", "-e", "trace=read,write,msync")
	const senders = 16
	flood := w.flood("SYNC", senders, 512) // together less than the log holds, so that it stays where it is
	flood.moves(rounds(300, 3000), 0)
	log := w.mapped(".mem")
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

// mapped gives the address at which pdhook has mapped the file of its store with an ending: Badger's log.
func (w *world) mapped(ending string) string {
	w.t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", w.proc.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^([0-9a-f]+)-.*/store/\d+`+regexp.QuoteMeta(ending)+`$`).FindAllSubmatch(maps, -1)
	if len(found) != 1 {
		w.t.Fatalf("got %d mappings of *%s, want one", len(found), ending)
	}
	return "0x" + string(found[0][1])
}

// syscalls follows what strace has seen, a line after the other. A call during which others happened has two
// lines, "1 read(7,  <unfinished ...>" and "1 <... read resumed> …".
type syscalls struct {
	log     string               // address of the mapping whose sync counts
	begun   map[string]beginning // by thread: the call that is not over
	arrived map[string]int       // by descriptor: the line in which the last read that gave something ended
	synced  int                  // the latest line in which a sync of the log began that has ended
}

type beginning struct {
	line int
	on   string // descriptor or address
}

var (
	enters = regexp.MustCompile(`^(\d+) +(?:read|write|msync)\(([0-9a-fx]+), `)
	leaves = regexp.MustCompile(`^(\d+) .*(read|write|msync)(?:\(| resumed>).* = (\d+)$`)
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
		case call[2] == "msync" && result == "0" && began.on == s.log:
			s.synced = max(s.synced, began.line)
		}
	}
	return descriptor, answers
}
