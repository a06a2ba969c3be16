//go:build torture

package e2e

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Each of the ten thousand is held open by its client for the whole time. pdhook keeps 2048 of them at most.
func TestTortureTenThousandConnectionsKeepPagerDutyOutOfNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const all, dialers = 10_000, 100
	kinds := []func(*world, net.Conn){
		stalling["a connection and no more"], stalling["half a handshake"], stalling["a handshake and no more"], halfARequest,
	}
	var opened atomic.Int64
	var dialing sync.WaitGroup
	for d := range dialers {
		dialing.Go(func() {
			for n := d; n < all; n += dialers {
				conn, err := w.dialTCP()
				if err != nil {
					t.Errorf("connection %d: %v (does ulimit -n allow %d?)", n, err, all+1000)
					return
				}
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				kinds[n%len(kinds)](w, conn)
				opened.Add(1)
			}
		})
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	quiet, most := time.Duration(rounds(10, 120))*time.Second, 0
	var end time.Time
	for n := 0; end.IsZero() || time.Now().Before(end); n++ {
		w.deliversInTime(fmt.Sprintf("01AMONG%d", n))
		most = max(most, w.openFiles())
		if end.IsZero() && opened.Load() == all {
			end = time.Now().Add(quiet)
		}
		if t.Failed() {
			break
		}
		<-tick.C
	}
	dialing.Wait()
	if most > 2048+100 {
		t.Errorf("pdhook had %d open files, want no more than its 2048 connections and a few", most)
	}
	if kib := w.anonymousMemory(); kib > 256<<10 {
		t.Errorf("pdhook takes %d KiB of anonymous memory", kib)
	}
	w.proc.says("connection closed to make room for others")
}

// halfARequest is what comes before a body that never does.
func halfARequest(w *world, conn net.Conn) {
	_, _ = w.secured(conn).Write([]byte("POST /webhooks/pagerduty HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"))
}

// openFiles counts what pdhook has open.
func (w *world) openFiles() int {
	w.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.proc.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	return len(files)
}

// anonymousMemory is what pdhook's memory cannot be dropped of without being written to a swap, in KiB.
func (w *world) anonymousMemory() int {
	w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.proc.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	found := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		w.t.Fatalf("no RssAnon in %s", status)
	}
	kib, _ := strconv.Atoi(string(found[1])) // digits
	return kib
}
