//go:build torture

package e2e

import (
	"strings"
	"testing"
	"time"
)

func TestTortureADiskThatFailsEndsPdhookAndLosesNothing(t *testing.T) {
	const perLog = 128 // events, before a new log and a new table begin
	for _, failure := range []struct {
		name, calls, errno, says string
		most                     int // events that may still be accepted
	}{
		{"a sync fails", syncs, "EIO", "input/output error", 16}, // those under way
		{"a file cannot grow", "ftruncate,fallocate", "ENOSPC", "no space left on device", 2 * perLog},
	} {
		t.Run(failure.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			flood := w.flood("FAIL", 4, 8<<20/perLog)
			flood.moves(10, 0)
			w.trace("-o", "/dev/null", "-e", "trace="+failure.calls, "-e", "inject="+failure.calls+":error="+failure.errno)
			before, _ := flood.counts()
			if code := w.proc.wait(time.Minute); code != 1 {
				t.Errorf("got exit code %d, want 1", code)
			}
			accepted := flood.stop()
			if more := len(accepted) - before; more > failure.most {
				t.Errorf("%d events were accepted afterwards, want at most %d", more, failure.most)
			}
			if _, refused := flood.counts(); refused == 0 {
				t.Error("no event was answered 503, want those that could not be synced")
			}
			var told []string
			for line := range strings.Lines(w.proc.output()) {
				if strings.HasPrefix(line, "pdhook: ") {
					told = append(told, line)
				}
			}
			if len(told) != 1 || !holds(told[0], []string{w.path("store"), failure.says, "check the disk", "start again"}) {
				t.Errorf("got %q, want one line with the path, the reason and the way out", told)
			}
			w.start()
			w.knowsAll(accepted)
		})
	}
}
