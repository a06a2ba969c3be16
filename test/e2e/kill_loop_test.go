package e2e

import (
	"crypto/tls"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// killSeed repeats the choices of an earlier run, though not its timing.
var killSeed = flag.Uint64("kill.seed", 0, "seed of the tests that kill pdhook; 0: a new one")

// killing is a world in which pdhook is killed again and again while requests and webhooks pour in.
type killing struct {
	*world             // the two systems, and the first pdhook
	replicas  []*world // all pdhooks between them
	plots     map[string]plot
	random    *rand.Rand
	trap      trap
	tales     []*tale
	past      []string // requests that were over before pdhook could hear of them
	outages   []outage
	elsewhere int // incidents on a service that no request names
	hits      map[string]int
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
	k := &killing{world: w, replicas: []*world{w}, plots: plots(), random: newRandom(seed), hits: map[string]int{}}
	for len(k.replicas) < replicas {
		k.replicas = append(k.replicas, w.beside())
	}
	for _, r := range k.replicas {
		r.conf["webhook.listen"], r.conf["admin.listen"] = quote(k.port()), quote(k.port())
	}
	if replicas > 1 {
		k.together()
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

// port gives an address for pdhook to listen on that nobody takes while it is dead: the kernel hands out
// higher ports only.
func (k *killing) port() string {
	k.t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000))
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
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

// untilQuiet bounds what is left to do after the last kill: claims of a dead replica run out, and what it heard
// alone is found by the look at everything every five minutes.
const untilQuiet = 8 * time.Minute

// end lives until every tale is told, and checks what is left in the world.
func (k *killing) end() {
	k.t.Helper()
	k.within(untilQuiet, "every tale is told", func() bool {
		k.live("")
		return !slices.ContainsFunc(k.tales, func(t *tale) bool { return t.next < len(k.plots[t.plot].steps) })
	})
	k.within(untilQuiet, "every incident of a request is resolved", func() bool {
		return !slices.ContainsFunc(k.pd.Incidents(), func(i pagerdutytest.Incident) bool {
			return strings.HasPrefix(i.Key, "teleport-access-request/") && i.Status != "resolved"
		})
	})
	k.within(untilQuiet, "no webhook is on its way", func() bool { return k.pd.WaitDelivered(time.Second) == nil })
	k.within(untilQuiet, "nothing is left to do", func() bool {
		return !slices.ContainsFunc(k.living(), func(r *world) bool { return !r.idle() })
	})
	for _, t := range k.tales {
		t.ended(k.t, k, k.plots[t.plot])
	}
	for _, id := range k.past {
		if n := len(k.incidents(id)); n != 0 {
			k.t.Errorf("%s, which was over before pdhook could hear of it, has %d incidents", id, n)
		}
	}
	responders := 0
	for _, t := range k.tales {
		if t.outage != "" {
			responders++
		}
	}
	if got, want := len(k.pd.Incidents()), len(k.tales)+responders+len(k.outages)+k.elsewhere; got != want {
		k.t.Errorf("got %d incidents, want %d", got, want)
	}
}

func (k *killing) living() []*world {
	return slices.DeleteFunc(slices.Clone(k.replicas), func(r *world) bool { return r.proc.over() })
}

// events counts the events of a kind about an incident.
func (w *world) events(kind, incident string) int {
	seen := map[string]bool{}
	for _, d := range w.pd.Deliveries() {
		if d.EventType == kind && d.Resource == incident {
			seen[d.EventID] = true
		}
	}
	return len(seen)
}

// forgotNothing checks that every webhook was taken in the end, and that a pdhook knows each of them: sent once
// more, it is not new to it.
func (k *killing) forgotNothing() {
	k.t.Helper()
	clients := map[*world]*http.Client{}
	for _, r := range k.replicas {
		clients[r] = r.asPagerDuty(&tls.Config{})
	}
	all := k.pd.Deliveries()
	for _, d := range all {
		if d.State != pagerdutytest.Delivered {
			k.t.Errorf("event %s (%s) is %s after %d attempts: %d %s", d.EventID, d.EventType, d.State, d.Attempts, d.Status, d.Error)
		}
		if !slices.ContainsFunc(k.replicas, func(r *world) bool { return r.knows(clients[r], d.Body) }) {
			k.t.Errorf("event %s (%s) was answered 202 and is not known any more", d.EventID, d.EventType)
		}
	}
	k.t.Logf("%d webhooks", len(all))
}

// knows reports whether an event that is sent to this pdhook counts as one that it had before.
func (w *world) knows(client *http.Client, body []byte) bool {
	w.t.Helper()
	before := w.duplicates()
	if a, err := w.try(client, signedBy(secret, string(body))); err != nil || a.status != http.StatusAccepted {
		w.t.Errorf("an event once more: got %d, %v; want 202", a.status, err)
	}
	return w.duplicates() > before
}

// duplicates counts the webhooks that this process had before.
func (w *world) duplicates() (n int) {
	w.t.Helper()
	_, body := w.get("/metrics")
	for _, found := range regexp.MustCompile(`pdhook_webhooks_total\{.*outcome="duplicate"\} (\d+)`).FindAllSubmatch(body, -1) {
		one, err := strconv.Atoi(string(found[1]))
		if err != nil {
			w.t.Fatal(err)
		}
		n += one
	}
	return n
}

// takesEffectAlone checks that webhooks that were answered 202 before a kill take effect after it without any
// other hint: Teleport lists nothing, and nobody polls.
func (k *killing) takesEffectAlone(n int) {
	k.t.Helper()
	var waiting []*tale
	for range n {
		k.begin(isAcknowledged)
		waiting = append(waiting, k.tales[len(k.tales)-1])
	}
	k.within(time.Minute, "they have their incidents", func() bool {
		return !slices.ContainsFunc(waiting, func(t *tale) bool { return !opened(k, t) })
	})
	k.settled()
	k.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang}) // nothing takes effect before the kill
	for _, t := range waiting {
		k.pd.Acknowledge(t.outage, k.kim.ID)
		t.next++
	}
	k.eventually("the webhooks are taken", func() bool { return k.pd.WaitDelivered(time.Second) == nil })
	k.proc.kill()
	k.trap.hideLists(true)
	k.pd.ClearFaults()
	k.launch()
	for _, t := range waiting {
		k.reaches(t.id, types.RequestState_APPROVED)
	}
	if !k.status().Teleport.LastResync.IsZero() {
		k.t.Error("Teleport has listed requests: it was not the webhooks that did it")
	}
	k.trap.hideLists(false)
	k.eventually("pdhook lists again", func() bool { return !k.status().Teleport.LastResync.IsZero() })
}
