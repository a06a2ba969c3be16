package e2e

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// failpoint is a moment at which pdhook is killed.
type failpoint struct {
	name string
	plot string // the tales that lead there; "": all do
	arm  func(k *killing, victim *world)
}

// failpoints are the moments before and after every write to the two systems, and any moment. Before: the
// write has arrived and is not performed. After: it is performed and not answered.
func failpoints() []failpoint {
	points := []failpoint{
		{name: "while it runs", arm: (*killing).anytime},
		{name: "while it starts", arm: (*killing).starting},
	}
	for _, w := range []struct{ write, plot string }{
		{"creating an incident", ""},
		{"writing a note", isDenied},
		{"resolving", isDenied},
		{"reopening", isRetriggered},
		{"reviewing", isAcknowledged},
		{"claiming", ""},
		{"recording", ""},
	} {
		for _, when := range []string{"before ", "after "} {
			name := when + w.write
			points = append(points, failpoint{name, w.plot, func(k *killing, victim *world) {
				k.trap.set(name, k.random.IntN(3), victim.proc.kill)
			}})
		}
	}
	return points
}

// anytime kills pdhook within the next second.
func (k *killing) anytime(victim *world) {
	time.AfterFunc(time.Duration(k.random.Int64N(int64(time.Second))), victim.proc.kill)
}

// starting kills pdhook and then the next one before it has listed anything.
func (k *killing) starting(victim *world) {
	victim.proc.kill()
	victim.proc = launch(k.t, nil, "start", "--config", victim.configure())
	time.AfterFunc(time.Duration(k.random.Int64N(int64(300*time.Millisecond))), victim.proc.kill)
}

// trap springs at a named moment of a write. Its methods may be called side by side.
type trap struct {
	mu      sync.Mutex
	at      string // "": not set
	skip    int    // how often that moment passes before
	spring  func()
	noLists bool   // Teleport answers no list of all requests
	first   string // who made the first claim
}

func (p *trap) set(at string, skip int, spring func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.skip, p.spring = at, skip, spring
}

// waits gives the moment that has not come.
func (p *trap) waits() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at
}

// passes reports whether a write goes on: not after the trap has sprung.
func (p *trap) passes(write string, performed bool) bool {
	moment := "before " + write
	if performed {
		moment = "after " + write
	}
	spring := p.due(moment)
	if spring == nil {
		return true
	}
	spring()
	return false
}

func (p *trap) due(moment string) (spring func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at != moment {
		return nil
	}
	if p.skip > 0 {
		p.skip--
		return nil
	}
	p.at = ""
	return p.spring
}

// hideLists makes Teleport refuse every list of all requests, or not any more.
func (p *trap) hideLists(hidden bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noLists = hidden
}

func (p *trap) lists() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.noLists
}

func (p *trap) claimed(by string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.first = cmp.Or(p.first, by)
}

// holder is how the replica that made the first claim signs.
func (p *trap) holder() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first
}

// aroundPagerDuty names the writes to PagerDuty.
func (p *trap) aroundPagerDuty(r pagerdutytest.Request, performed bool) bool {
	switch r.Route {
	case "POST /incidents":
		return p.passes("creating an incident", performed)
	case "POST /incidents/{id}/notes":
		return p.passes("writing a note", performed)
	case "PUT /incidents/{id}":
		if strings.Contains(r.Body, `"resolved"`) {
			return p.passes("resolving", performed)
		}
		return p.passes("reopening", performed)
	}
	return true
}

// aroundTeleport names the writes to Teleport.
func (p *trap) aroundTeleport(_ string, in any, performed bool) bool {
	switch in := in.(type) {
	case *types.AccessReviewSubmission:
		return p.passes("reviewing", performed)
	case *types.PluginDataUpdateParams:
		if in.Set["pdhook_effect"] != "" {
			p.claimed(in.Set["pdhook_holder"])
			return p.passes("claiming", performed)
		}
		return p.passes("recording", performed)
	case *proto.ListAccessRequestsRequest:
		return in.Filter.ID != "" || p.lists()
	}
	return true
}

// killed reports whether pdhook ended by kill -9, not by itself.
func (p *process) killed() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// newRandom gives the choices that a seed makes.
func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }
