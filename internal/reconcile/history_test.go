package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// history is what happens to a few requests, and what befalls pdhook and its two neighbours meanwhile. It is drawn as
// a whole before it is told, so that rapid can make a failing one shorter.
type history struct {
	rules     policy.Rules
	threshold int  // approvals that Teleport wants
	denials   int  // denials that Teleport wants
	noReopen  bool // PagerDuty does not reopen resolved incidents
	replicas  int
	wishes    []wish
	steps     []step
}

// wish is what one of the requests asks for.
type wish struct {
	user      string
	notify    []string
	services  []string // whose engineers on call are approved
	schedules []string
	roles     []string
}

// step is a fact, how pdhook hears of it, and the trouble from then on.
type step struct {
	fact   fact
	before string        // the call of pdhook's that the fact comes just ahead of; "": it comes at once
	stands time.Duration // until the next step
	news   [2]news       // by replica
	trouble
}

// news is how the hints of a fact reach one replica.
type news struct {
	lost  bool
	after time.Duration
	again int // how often they are repeated, a second apart
}

// trouble is what goes wrong after a fact, for at most as long as troubled.
type trouble struct {
	asleep  bool            // the first replica is killed just before the fact
	ended   []time.Duration // after which the first replica is told to end, as by SIGTERM; its heir follows
	faults  []callFault
	outages []outage
	slow    map[string]time.Duration // what calls take
	heirs   []heir                   // of the processes that are killed, in this order
	late    time.Duration            // by which reminders come late
}

// callFault is the failure of one call, counted from the step on.
type callFault struct {
	request int
	call    string
	nth     int
	kind    fault
}

// outage is one system not working at all for a while.
type outage struct {
	system string
	after  time.Duration
	lasts  time.Duration
	kind   fault
}

// heir is the process that starts after one was killed.
type heir struct {
	after time.Duration
	empty bool // its store is empty, and so it is another replica
}

// Times of a history.
const (
	troubled  = 8 * time.Minute  // longest trouble after a fact
	untilDone = 70 * time.Minute // after which everything is quiet; what Teleport refused is tried again hourly
)

// TestEveryHistoryEndsAsItDoesWithoutTrouble is the promise of spec §2 and §12: where each fact stands until pdhook
// is quiet, then whatever fails, restarts, gets lost or comes twice, the end is that of the undisturbed history.
func TestEveryHistoryEndsAsItDoesWithoutTrouble(t *testing.T) {
	checkHistories(t, true, func(h history) (wrong string) {
		calm, troubled := tell(t, h, true), tell(t, h, false)
		if calm.end != troubled.end {
			return fmt.Sprintf("IT ENDED OTHERWISE\n%s\nWITHOUT TROUBLE\n%s\nLOG\n%s", troubled.end, calm.end, troubled.log)
		}
		return calm.wrong + troubled.wrong
	})
}

// TestNoHistoryMakesPdhookDoWhatItMustNot draws facts that overlap: nothing waits for quiet. Whatever the end, pdhook
// has opened, written and approved only what it may (spec §2, §4, §5, §13).
func TestNoHistoryMakesPdhookDoWhatItMustNot(t *testing.T) {
	checkHistories(t, false, func(h history) (wrong string) { return tell(t, h, false).wrong })
}

// checkHistories draws histories until one goes wrong, and shortens that. rapid is told the history alone: it goes on
// only while a failure reads the same each time, and what went wrong is full of times.
func checkHistories(t *testing.T, settled bool, check func(history) (wrong string)) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Log(last)
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		h := drawHistory(rt, settled)
		if wrong := check(h); wrong != "" {
			last = h.String() + wrong
			rt.Fatal(h)
		}
	})
}

// told is what is left of a history.
type told struct {
	end   string
	wrong string
	log   string
}

// tell plays a history in a bubble of its own. A calm one has no trouble, and every hint comes at once.
func tell(t *testing.T, h history, calm bool) (left told) {
	synctest.Test(t, func(t *testing.T) {
		r := newRun(newWorld(t), h, calm)
		r.play()
		left = told{end: r.end(), log: r.w.log.String()}
		if len(r.wrong) > 0 {
			left.wrong = fmt.Sprintf("WRONG (calm: %v)\n%s\nEND\n%s\nLOG\n%s", calm, strings.Join(r.wrong, "\n"), left.end, left.log)
		}
	})
	return left
}

// Names that people see.
var (
	theServices = []string{"payments", "shipping"}
	thePeople   = []string{alice, "carol@example.com", "dave@example.com"} // PagerDuty does not know Dave
)

func requestOf(n int) access.RequestID { return access.RequestID(fmt.Sprintf("R%d", n+1)) }

func (h history) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "HISTORY notify=%s on_incident_resolved=%s require_incident=%s max level=%d dry run=%v approvals=%d denials=%d no reopen=%v replicas=%d\n",
		h.rules.Notify, h.rules.OnIncidentResolved, h.rules.RequireIncident, h.rules.MaxEscalationLevel, h.rules.DryRun, h.threshold, h.denials, h.noReopen, h.replicas)
	for i, a := range h.wishes {
		fmt.Fprintf(&b, "  %s: %s asks for %v; notify %v, on call for %v or on %v\n", requestOf(i), a.user, a.roles, a.notify, a.services, a.schedules)
	}
	for _, s := range h.steps {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	return b.String()
}

func (s step) String() string {
	var b strings.Builder
	if s.asleep {
		b.WriteString("(a is killed) ")
	}
	if len(s.ended) > 0 {
		fmt.Fprintf(&b, "(a is told to end after %v) ", s.ended)
	}
	b.WriteString(s.fact.String())
	if s.before != "" {
		fmt.Fprintf(&b, " just before the next %q", s.before)
	}
	fmt.Fprintf(&b, "; stands %s", s.stands)
	for i, n := range s.news {
		if n != (news{}) {
			fmt.Fprintf(&b, "; to %c: %s", 'a'+i, n)
		}
	}
	for _, f := range s.faults {
		fmt.Fprintf(&b, "; %s's %q %d %s", requestOf(f.request), f.call, f.nth, faultNames[f.kind])
	}
	for _, o := range s.outages {
		fmt.Fprintf(&b, "; %s is away (%s) after %s for %s", o.system, faultNames[o.kind], o.after, o.lasts)
	}
	if len(s.slow) > 0 {
		fmt.Fprintf(&b, "; slow %v", s.slow)
	}
	for _, h := range s.heirs {
		fmt.Fprintf(&b, "; heir after %s, empty=%v", h.after, h.empty)
	}
	return b.String()
}

func (n news) String() string {
	if n.lost {
		return "lost"
	}
	return fmt.Sprintf("after %s, %d more", n.after, n.again)
}
