package reconcile

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// A story is what happens to a request from outside, step by step; pdhook settles after each.
type story struct {
	name  string
	quiet bool // it opens no incident, unless a fact cannot be read or a review fails twice
	begin func(w *world)
	steps []func(w *world)
}

var stories = []story{
	{name: "denied by bob",
		steps: []func(*world){func(w *world) { w.bob(access.Denied, "ask again tomorrow") }}},
	{name: "approved for alice on call",
		begin: (*world).aliceIsOnCall},
	{name: "approved for alice on call, without a notification", quiet: true,
		begin: func(w *world) { w.aliceIsOnCall(); w.rules.Notify = policy.NotifyUnlessApproved }},
	{name: "two approvals needed, the second by bob",
		begin: func(w *world) { w.aliceIsOnCall(); w.threshold = 2 },
		steps: []func(*world){func(w *world) { w.bob(access.Approved, "looks right") }}},
	{name: "two approvals needed, without a notification when approved at once",
		begin: func(w *world) {
			w.aliceIsOnCall()
			w.threshold, w.rules.Notify = 2, policy.NotifyUnlessApproved
		},
		steps: []func(*world){func(w *world) { w.bob(access.Approved, "looks right") }}},
	{name: "two services, approved",
		begin: func(w *world) { w.aliceIsOnCall(); w.annotate("notify", "payments", "shipping") }},
	{name: "two services, two reviews, denied",
		begin: func(w *world) { w.annotate("notify", "payments", "shipping"); w.threshold = 2 },
		steps: []func(*world){
			func(w *world) { w.bob(access.Approved, "") },
			func(w *world) { w.reviewBy("carol", access.Denied, "no") }}},
	{name: "comes on call later",
		steps: []func(*world){(*world).aliceIsOnCall}},
	{name: "resolved early, then expired",
		steps: []func(*world){
			theFirstIsResolvedBy(bobInPagerDuty),
			(*world).expire,
		}},
	{name: "resolved early and reopened, then denied",
		begin: retrigger,
		steps: []func(*world){
			theFirstIsResolvedBy(bobInPagerDuty),
			func(w *world) { w.bob(access.Denied, "no") },
		}},
	{name: "resolved early twice and reopened once, then expired",
		begin: retrigger,
		steps: []func(*world){
			theFirstIsResolvedBy(access.User{}),
			theFirstIsResolvedBy(bobInPagerDuty),
			(*world).expire,
		}},
	{name: "two services, both resolved early and reopened",
		begin: func(w *world) { retrigger(w); w.annotate("notify", "payments", "shipping") },
		steps: []func(*world){
			func(w *world) {
				for _, i := range w.incidents {
					w.resolvedBySomebody(i.ID)
				}
			},
			func(w *world) { w.bob(access.Denied, "no") },
		}},
	{name: "resolved early and replaced, because PagerDuty does not reopen",
		begin: func(w *world) { retrigger(w); w.noReopen = true },
		steps: []func(*world){
			theFirstIsResolvedBy(bobInPagerDuty),
			func(w *world) { w.bob(access.Denied, "no") },
		}},
	{name: "resolved early by a person, which denies",
		begin: deny,
		steps: []func(*world){theFirstIsResolvedBy(bobInPagerDuty)}},
	{name: "two services, both resolved early by a person, which denies",
		begin: func(w *world) { deny(w); w.annotate("notify", "payments", "shipping") },
		steps: []func(*world){
			func(w *world) {
				for _, i := range w.incidents {
					w.resolvedBySomebody(i.ID)
				}
			}}},
	{name: "resolved early by a time-out, which is told",
		begin: deny,
		steps: []func(*world){theFirstIsResolvedBy(access.User{}), func(w *world) { w.bob(access.Approved, "fine") }}},
	{name: "resolved early by a person after pdhook's review, which is told",
		begin: func(w *world) { deny(w); w.aliceIsOnCall(); w.threshold = 2 },
		steps: []func(*world){theFirstIsResolvedBy(bobInPagerDuty), func(w *world) { w.bob(access.Approved, "fine") }}},
	{name: "approved once alice has acknowledged the outage",
		begin: func(w *world) {
			w.aliceIsOnCall()
			w.rules.RequireIncident = policy.RequireAcknowledged
			w.incident("outage", "SPAY", stranger)
		},
		steps: []func(*world){func(w *world) { w.acknowledgedBy("Q1", w.users[alice]) }}},
	{name: "approved for alice on a schedule",
		begin: func(w *world) { w.annotate("services"); w.annotate("schedules", "night"); w.aliceIsOnDuty() }},
	{name: "deleted",
		steps: []func(*world){(*world).expire}},
	{name: "begun by Teleport's own plugin, then denied",
		begin: func(w *world) {
			i := w.incident(access.IncidentKey(request), "SPAY", bot)
			w.bob(access.Approved, "fine")
			w.requests[request] = pending(w.requests[request])
			w.threshold = 2
			w.notes[i.ID] = []access.Note{{Content: "bob reviewed the request at 01 Jan 00 00:00 UTC.\nResolution: APPROVED.\nReason: fine."}}
			w.data[request] = map[string]string{keyUser: alice, keyRoles: "dev", keyCreated: "946684800", keyReason: "disk is full",
				keyIncident: string(i.ID), keyService: "SPAY", keyReviews: "1"}
		},
		steps: []func(*world){func(w *world) { w.reviewBy("carol", access.Denied, "no") }}},
}

var bobInPagerDuty = access.User{ID: "UBOB", Name: "Bob"}

func retrigger(w *world) { w.rules.OnIncidentResolved = policy.ResolvedRetrigger }
func deny(w *world)      { w.rules.OnIncidentResolved = policy.ResolvedDeny }

func pending(r access.Request) access.Request {
	r.State, r.ResolveReason = access.Pending, ""
	return r
}

// tell plays a story.
func (s story) tell(t *testing.T, w *world, r *Reconciler, restart func() *Reconciler) {
	t.Helper()
	if s.begin != nil {
		s.begin(w)
	}
	w.calls, w.writes = nil, nil
	r = w.settle(r, restart)
	for _, step := range s.steps {
		step(w)
		r = w.settle(r, restart)
	}
}

var (
	writeNames = []string{"swap", "review", "create", "note", "resolve", "reopen"}
	factNames  = []string{"user", "service", "schedule", "on-calls", "open incidents"}
)

// TestAFailureAtAnyPositionChangesNothingInTheEnd fails every call of every story, once each, in every way
// in which it can fail, and wants the end of the undisturbed story.
func TestAFailureAtAnyPositionChangesNothingInTheEnd(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			var want string
			var calls []string
			inWorld(t, func(t *testing.T, w *world) {
				s.tell(t, w, w.replica("a"), nil)
				want, calls = w.end(), w.calls
			})
			for at, name := range calls {
				kinds := []fault{refusing}
				if slices.Contains(writeNames, name) {
					kinds = append(kinds, lost, severed, killed, orphaned)
				} else if s.quiet && slices.Contains(factNames, name) {
					continue
				}
				for _, kind := range kinds {
					s.againstFault(t, want, at, name, kind)
				}
			}
		})
	}
}

// TestTwoFailuresChangeNothingInTheEnd draws pairs of failing calls, the second soon after the first: what
// one pass left open must still be known when the next one fails, too.
func TestTwoFailuresChangeNothingInTheEnd(t *testing.T) {
	kinds := []fault{refusing, lost, severed, killed, orphaned}
	for _, s := range stories {
		if s.quiet {
			continue
		}
		var want string
		var calls []string
		inWorld(t, func(t *testing.T, w *world) {
			s.tell(t, w, w.replica("a"), nil)
			want, calls = w.end(), w.calls
		})
		draw := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			at, kind := draw.IntN(len(calls)), kinds[draw.IntN(len(kinds))]
			again, kindAgain := at+1+draw.IntN(10), kinds[draw.IntN(len(kinds))]
			heir := []string{"a", "b"}[draw.IntN(2)]
			inWorld(t, func(t *testing.T, w *world) {
				w.fail = func(name string, nth int) fault {
					kind := map[int]fault{at: kind, again: kindAgain}[nth]
					if kind != works && !slices.Contains(writeNames, name) {
						return refusing
					}
					unannounced := len(w.data[request]) == 0 && (name == "review" || w.requests[request].State != access.Pending)
					if (kind == killed || kind == orphaned) && unannounced {
						return works // what dies with the only one who knew of it is not opened: the request is decided
					}
					return kind
				}
				s.tell(t, w, w.replica("a"), func() *Reconciler {
					time.Sleep(time.Second)
					return w.replica(heir)
				})
				if got := w.end(); got != want {
					t.Errorf("%s: call %d %s, call %d %s, heir %s\ngot:\n%s\nwant:\n%s\ncalls: %v\nlog:\n%s", s.name, at, faultNames[kind], again,
						faultNames[kindAgain], heir, got, want, w.calls, w.log.String())
				}
			})
		}
	}
}

// againstFault tells the story with one fault: once with one replica that starts again after a crash, and for a
// crash also with another replica that knows nothing but what Teleport and PagerDuty show.
func (s story) againstFault(t *testing.T, want string, at int, name string, kind fault) {
	t.Helper()
	heirs := []string{"a"}
	if kind == killed || kind == orphaned {
		heirs = append(heirs, "b")
	}
	for _, heir := range heirs {
		t.Run(fmt.Sprintf("call %d, %s, %s, heir %s", at, name, faultNames[kind], heir), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.fail = func(_ string, nth int) fault {
					if nth == at {
						return kind
					}
					return works
				}
				s.tell(t, w, w.replica("a"), func() *Reconciler {
					time.Sleep(time.Second)
					return w.replica(heir)
				})
				if got := w.end(); got != want {
					t.Errorf("it ended otherwise\ngot:\n%s\nwant:\n%s\nlog:\n%s", got, want, w.log.String())
				}
			})
		})
	}
}
