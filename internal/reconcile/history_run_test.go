package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// run is one telling of a history: pdhook's processes between two systems that follow the history. What it holds is
// guarded by the world's lock.
type run struct {
	*safety
	h    history
	w    *world
	calm bool

	named    []string                       // the services that an Access Monitoring Rule names for every request
	hidden   map[access.RequestID]time.Time // until when Teleport does not show a request that it has
	made     map[access.RequestID]bool
	living   []*life // by replica; a dead one until its heir starts
	news     [2]news // of the step at hand
	faults   []*armed
	outages  []spell
	slow     map[string]time.Duration
	late     time.Duration
	heirs    []heir
	watchers map[string]chan struct{} // closed when a call of that name is about to be performed
	births   int
	events   int
	over     context.Context // ends with the history
}

// armed is a fault that waits for its call.
type armed struct {
	callFault
	seen  int
	until time.Time
}

// spell is an outage by the clock.
type spell struct {
	outage
	from, to time.Time
}

func newRun(w *world, h history, calm bool) *run {
	w.rules, w.threshold, w.denials, w.noReopen = h.rules, h.threshold, h.denials, h.noReopen
	clear(w.requests)
	w.users["carol@example.com"] = access.User{ID: "UCAROL", Name: "Carol", Email: "carol@example.com"}
	w.schedules = []access.Schedule{{ID: "SNIGHT", Name: "night"}}
	r := &run{safety: newSafety(w, h), h: h, w: w, calm: calm, made: map[access.RequestID]bool{}, hidden: map[access.RequestID]time.Time{}, watchers: map[string]chan struct{}{}}
	w.around = r.call
	return r
}

// play tells the history to its end and checks what is left.
func (r *run) play() {
	over, end := context.WithCancel(r.w.t.Context())
	r.over = over
	replicas := r.h.replicas
	if r.calm {
		replicas = 1
	}
	r.living = make([]*life, replicas)
	var processes sync.WaitGroup
	for slot := range replicas {
		r.living[slot] = r.start(string(rune('a'+slot)), newMemory())
		processes.Go(func() { r.keep(slot) })
	}
	for _, s := range r.h.steps {
		r.take(s)
		time.Sleep(s.stands)
	}
	time.Sleep(troubled)
	r.w.mu.Lock()
	r.faults, r.outages, r.slow, r.late = nil, nil, nil, 0
	r.w.mu.Unlock()
	time.Sleep(untilDone)
	r.w.mu.Lock()
	r.settled(r.living)
	r.w.mu.Unlock()
	end()
	processes.Wait()
}

// take lets the fact of a step happen, with its trouble around it.
func (r *run) take(s step) {
	if r.calm {
		s.trouble, s.news = trouble{}, [2]news{}
	}
	now := time.Now()
	r.w.mu.Lock()
	r.news, r.heirs, r.slow, r.late = s.news, slices.Clone(s.heirs), s.slow, s.late
	r.faults = slices.DeleteFunc(r.faults, func(f *armed) bool { return now.After(f.until) })
	for _, f := range s.faults {
		r.faults = append(r.faults, &armed{callFault: f, until: now.Add(troubled)})
	}
	for _, o := range s.outages {
		from := now.Add(o.after)
		r.outages = append(r.outages, spell{o, from, from.Add(o.lasts)})
		if o.system != theStore { // whose recovery nobody tells
			time.AfterFunc(o.after+o.lasts, func() { r.recovered(o.system) })
		}
	}
	if s.asleep {
		r.living[0].die()
	}
	for _, after := range s.ended {
		time.AfterFunc(after, func() { r.life(0).sigterm() })
	}
	call := make(chan struct{})
	if s.before != "" {
		r.watchers[s.before] = call
	}
	r.w.mu.Unlock()
	time.AfterFunc(troubled, func() {
		r.w.mu.Lock()
		defer r.w.mu.Unlock()
		if time.Since(now) >= troubled {
			r.slow = nil
		}
	})
	if s.before != "" {
		go func() {
			select {
			case <-call:
			case <-time.After(time.Minute):
			}
			r.happen(s)
		}()
		return
	}
	r.happen(s)
}

// happen lets a fact happen, and pdhook hear of it.
func (r *run) happen(s step) {
	r.w.mu.Lock()
	hints := s.fact.happen(r)
	r.keepMoment()
	r.w.mu.Unlock()
	for _, h := range hints {
		for slot, n := range s.news {
			r.tell(slot, n, h)
		}
	}
}

// tell brings a hint to a replica, as its news says. A webhook goes to one replica only.
func (r *run) tell(slot int, n news, h hint) {
	if slot >= len(r.living) || n.lost || slot > 0 && h.source == "webhook" {
		return
	}
	for i := range 1 + n.again {
		time.AfterFunc(n.after+time.Duration(i)*time.Second, func() {
			if r.over.Err() == nil {
				r.life(slot).hear(h)
			}
		})
	}
}

func (r *run) life(slot int) *life {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return r.living[slot]
}

// recovered brings back what waits for a system: the watch lists anew, the client of PagerDuty says that it works.
func (r *run) recovered(system string) {
	cause := map[string]string{"PagerDuty": access.CauseRecovered, "Teleport": access.CauseReconnect}[system]
	for slot := range r.living {
		r.life(slot).resync(cause)
	}
}

// caller says who makes a call, and for which request.
type caller struct {
	life    *life
	request access.RequestID
}

type callerKey struct{}

// call is how every call of pdhook's fares: it takes its time, half of it on the way there, it may fail, and the
// process may die of it.
func (r *run) call(ctx context.Context, name, write string, perform func() error) error {
	c := ctx.Value(callerKey{}).(caller)
	takes := r.takes(name) + time.Duration(c.life.name[0]-'a')*3*time.Millisecond // replicas do not run in step
	if takes >= time.Second {                                                     // on a long way more can happen
		r.announce(name)
	}
	if err := c.life.wait(ctx, takes/2); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.announce(name)
	err := r.perform(c, name, write, perform)
	if late := c.life.wait(ctx, takes/2); late != nil && err == nil {
		return &access.Failure{Unclear: write != "", Err: fmt.Errorf("%s: %w", name, late)}
	}
	return err
}

// announce lets what waits for the call happen first.
func (r *run) announce(name string) {
	r.w.mu.Lock()
	waiting := r.watchers[name]
	delete(r.watchers, name)
	r.w.mu.Unlock()
	if waiting != nil {
		close(waiting)
		time.Sleep(time.Microsecond)
	}
}

func (r *run) takes(name string) time.Duration {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if slow, is := r.slow[name]; is {
		return slow
	}
	return time.Duration(4+2*len(name)) * time.Millisecond // not all the same
}

func (r *run) perform(c caller, name, write string, perform func() error) error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if c.life.dead {
		return errDead
	}
	kind := r.fate(c, name)
	if write == "" && (kind == lost || kind == severed) {
		kind = refusing
	}
	switch kind {
	case killed:
		c.life.die()
		return errDead
	case refusing, barred, limited, lost:
		return kind.failure(name)
	}
	if name == "get request" && !r.shown(c.request) {
		return fmt.Errorf("request %s: %w", c.request, access.ErrNotFound)
	}
	if err := perform(); err != nil {
		return err
	}
	r.performed(c, name, write)
	switch kind {
	case severed:
		return &access.Failure{Unclear: true, Err: fmt.Errorf("%s: connection lost", name)}
	case orphaned:
		c.life.die()
		return errDead
	}
	return nil
}

// fate says how a call fares.
func (r *run) fate(c caller, name string) fault {
	now := time.Now()
	for _, o := range r.outages {
		if o.system == systemOf(name) && !now.Before(o.from) && now.Before(o.to) {
			return o.kind
		}
	}
	kind := works
	for i, f := range r.faults {
		if f == nil || requestOf(f.request) != c.request || f.call != name || now.After(f.until) {
			continue
		}
		if f.seen++; f.seen > f.nth && kind == works {
			kind, r.faults[i] = f.kind, nil
		}
	}
	r.faults = slices.DeleteFunc(r.faults, func(f *armed) bool { return f == nil })
	return kind
}

// shown reports whether Teleport shows a request.
func (r *run) shown(id access.RequestID) bool {
	_, there := r.w.requests[id]
	return there && time.Now().After(r.hidden[id])
}

func (r *run) away(system string) bool {
	now := time.Now()
	return slices.ContainsFunc(r.outages, func(o spell) bool {
		return o.system == system && !now.Before(o.from) && now.Before(o.to)
	})
}

func systemOf(call string) string {
	if slices.Contains(teleportCalls, call) {
		return "Teleport"
	}
	return "PagerDuty"
}

// performed follows what pdhook has done: it is checked, and it comes back to pdhook as news.
func (r *run) performed(c caller, name, write string) {
	r.check(c, name, write)
	if write != "" {
		r.w.writes = append(r.w.writes, write)
		r.keepMoment()
	}
	var echo []hint
	verb, id, _ := strings.Cut(write, " ")
	switch verb {
	case "review":
		echo = watched(c.request, access.CauseChanged)
	case "resolve", "reopen":
		if i, err := (pagerduty{r.w}).find(access.IncidentID(id)); err == nil {
			echo = webhook(map[string]string{"resolve": "incident.resolved", "reopen": "incident.reopened"}[verb], *i)
		}
	}
	for _, h := range echo {
		for slot := range r.living {
			r.tell(slot, news{after: 50 * time.Millisecond}, h)
		}
	}
}

// end tells how everything ended.
func (r *run) end() string {
	var b strings.Builder
	for n := range r.h.wishes {
		id := requestOf(n)
		fmt.Fprintf(&b, "%s: %s%s", id, r.w.endOfRequest(id), r.w.endOfData(id))
	}
	b.WriteString(r.w.endOfIncidents())
	return b.String()
}

var errDead = errors.New("the process is dead")
