package e2e

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// killSeed repeats the choices of an earlier run, though not its timing.
var killSeed = flag.Uint64("kill.seed", 0, "seed of the tests that kill pdhook; 0: a new one")

// killing is a world in which pdhook is killed again and again while requests and webhooks pour in.
type killing struct {
	*world                   // the two systems, and the first pdhook
	replicas   []*world      // all pdhooks between them
	untilQuiet time.Duration // how long what is left may take after the last kill
	plots      map[string]plot
	random     *rand.Rand
	trap       trap
	tales      []*tale
	past       []string // requests that were over before pdhook could hear of them
	outages    []outage
	elsewhere  int // incidents on a service that no request names
	hits       map[string]int
}

// outage is an incident that has nothing to do with any request but its service.
type outage struct {
	id   string
	next int // what happens to it
}

// startKilling starts so many pdhooks between the two systems.
func startKilling(t *testing.T, replicas int) *killing {
	t.Helper()
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat with -kill.seed=%d", seed)
	w := newWorld(t, with("policy.require_incident", `"acknowledged"`), with("policy.on_incident_resolved", `"retrigger"`))
	w.pd.LimitTo(1_000_000)
	w.pd.AddService("Shipping API", w.payments.ID)
	w.teleport.SetRole("everything", map[string][]string{"pagerduty_notify_service": {"Payments API", "Shipping API"}})
	k := &killing{world: w, replicas: []*world{w}, untilQuiet: 2 * time.Minute,
		plots: plots(), random: rand.New(rand.NewPCG(seed, seed)), hits: map[string]int{}}
	for len(k.replicas) < replicas {
		k.replicas = append(k.replicas, w.beside())
	}
	if replicas > 1 {
		k.together()
		for _, route := range []string{"POST /incidents", "POST /incidents/{id}/notes", "PUT /incidents/{id}"} { // time to meet
			w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Delay, Delay: 50 * time.Millisecond, Route: route})
		}
	}
	w.pd.Around(k.trap.aroundPagerDuty)
	w.teleport.Around(k.trap.aroundTeleport)
	w.start()
	k.begin(isDenied)
	k.eventually("the first replica makes a claim", func() bool { return k.trap.holder() != "" })
	for _, r := range k.replicas[1:] {
		r.start()
	}
	return k
}

// dead reports whether no pdhook runs.
func (k *killing) dead() bool {
	return !slices.ContainsFunc(k.replicas, func(r *world) bool { return !r.proc.over() })
}

// over reports whether the process has ended.
func (p *process) over() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// begin has somebody ask for access.
func (k *killing) begin(plot string) {
	if plot == "" {
		plot = allPlots[k.random.IntN(len(allPlots))]
	}
	t := &tale{plot: plot}
	k.plots[plot].ask(k.world, t)
	k.tales = append(k.tales, t)
}

// round lives until the failpoint has killed a pdhook, and some more; it gives the dead one.
func (k *killing) round(p failpoint) *world {
	k.t.Helper()
	victim := k.living()[k.random.IntN(len(k.living()))]
	if p.plot != "" {
		k.begin(p.plot)
	}
	p.arm(k, victim)
	tick, more, end := time.NewTicker(20*time.Millisecond), time.NewTicker(2*time.Second), time.After(2*time.Minute)
	defer tick.Stop()
	defer more.Stop()
	for !victim.proc.over() {
		select {
		case <-victim.proc.exited:
		case <-tick.C:
			k.live(p.plot)
		case <-more.C: // what was begun has not led there
			k.begin(p.plot)
		case <-end:
			k.t.Fatalf("nothing led to the moment %q", p.name)
		}
	}
	if !victim.proc.killed() {
		k.t.Fatalf("pdhook ended by itself: %s", victim.proc.cmd.ProcessState)
	}
	k.hits[p.name]++
	for range k.random.IntN(5) {
		k.live(p.plot)
	}
	if k.dead() && k.random.IntN(4) == 0 {
		id := k.request(k.dana.Email, "payments-admin")
		k.review(id, k.kim.Email, types.RequestState_DENIED, "no")
		k.past = append(k.past, id)
	}
	return victim
}

// live lets people do something: surely what the tales of a plot wait for, and perhaps more.
func (k *killing) live(plot string) {
	for _, t := range k.tales {
		steps := k.plots[t.plot].steps
		if t.next < len(steps) && (t.plot == plot || k.random.IntN(10) == 0) && steps[t.next].ready(k, t) {
			steps[t.next].take(k.world, t)
			t.next++
		}
	}
	switch k.random.IntN(12) {
	case 0:
		k.stir()
	case 1:
		k.outage()
	case 2:
		k.repeat()
	}
}

// stir has people do something to an incident of pdhook's that changes nothing for its request.
func (k *killing) stir() {
	t := k.tales[k.random.IntN(len(k.tales))]
	if t.next > 0 || !opened(k, t) {
		return // pdhook may resolve it at any moment
	}
	incident := k.incidents(t.id)[0].ID
	switch t.stirs++; t.stirs {
	case 1:
		k.pd.Acknowledge(incident, k.sam.ID)
	case 2:
		k.pd.Reassign(incident, k.sam.ID, k.lee.ID)
	case 3:
		k.pd.Unacknowledge(incident)
	}
}

// outage begins an incident on the service that requests name, or goes on with one.
func (k *killing) outage() {
	if len(k.outages) == 0 || k.random.IntN(4) == 0 {
		k.outages = append(k.outages, outage{id: k.alert(k.paymentsAPI)})
		return
	}
	o := &k.outages[k.random.IntN(len(k.outages))]
	switch o.next++; o.next {
	case 1:
		k.pd.Acknowledge(o.id, k.lee.ID)
	case 2:
		k.pd.Reassign(o.id, k.lee.ID, k.sam.ID)
	case 3:
		k.pd.Resolve(o.id, k.sam.ID)
	}
}

// repeat sends a webhook once more, under another webhook ID.
func (k *killing) repeat() {
	all := k.pd.Deliveries()
	if len(all) == 0 {
		return
	}
	d := all[k.random.IntN(len(all))]
	_, _ = k.pd.Send(d.Subscription, d.Body) // nobody may be there to take it
}

// living gives the pdhooks that run.
func (k *killing) living() []*world {
	return slices.DeleteFunc(slices.Clone(k.replicas), func(r *world) bool { return r.proc.over() })
}
