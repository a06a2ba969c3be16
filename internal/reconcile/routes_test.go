package reconcile

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// byRules is Routes whose rules a test can change.
type byRules struct{ services []string }

func (r *byRules) Services(access.Request) []string { return r.services }

// routed builds a Reconciler for which rules name the services.
func (w *world) routed(replica string, rules *byRules) *Reconciler {
	r := w.replica(replica)
	r.Routes = rules
	return r
}

// incidentsOn gives the services that have an incident, in order.
func (w *world) incidentsOn() string {
	var on []string
	for _, i := range w.incidents {
		on = append(on, string(i.Service))
	}
	slices.Sort(on)
	return strings.Join(on, " ")
}

func (w *world) wantIncidentsOn(when, want string) {
	w.t.Helper()
	if got := w.incidentsOn(); got != want {
		w.t.Errorf("%s: incidents on %q, want %q\n%s", when, got, want, w.log.String())
	}
}

func TestServicesThatRulesNameReplaceTheAnnotation(t *testing.T) {
	for _, tt := range []struct {
		name      string
		annotated []string
		rules     []string
		want      string
	}{
		{"no rule matches", []string{"payments"}, nil, "SPAY"},
		{"a rule matches", []string{"payments"}, []string{"shipping"}, "SSHIP"},
		{"rules with several recipients", []string{"payments"}, []string{"shipping", "payments"}, "SPAY SSHIP"},
		{"duplicates are one", nil, []string{"Shipping", "shipping", " shipping ", "id:SSHIP", ""}, "SSHIP"},
		{"one recipient is known", []string{"payments"}, []string{"nowhere", "shipping"}, "SSHIP"},
		{"no recipient is known", []string{"payments"}, []string{"nowhere", "lost"}, "SPAY"},
		{"without an annotation", nil, []string{"shipping"}, "SSHIP"},
		{"nothing is known at all", nil, []string{"nowhere"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.annotate("notify", tt.annotated...)
				r := w.routed("a", &byRules{tt.rules})
				w.settle(r, nil)
				w.wantIncidentsOn("while pending", tt.want)
				w.bob(access.Denied, "no")
				w.settle(r, nil)
				w.wantIncidentsOn("in the end", tt.want)
				if slices.ContainsFunc(w.incidents, access.Incident.Open) || w.stores["a"].links[request].Open() {
					t.Errorf("not finished:\n%s", w.end())
				}
			})
		})
	}
}

// twins is a Directory in which the name "twice" fits two services.
type twins struct{ Directory }

func (d twins) Service(ctx context.Context, ref string, since time.Time) access.Fact[access.Service] {
	if ref == "twice" {
		return access.Fact[access.Service]{Err: &access.AmbiguousError{Kind: "service", Name: ref, IDs: []string{"S1", "S2"}}}
	}
	return d.Directory.Service(ctx, ref, since)
}

func TestTheAnnotationHoldsWhereRulesNameOnlyWhatIsAmbiguous(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.routed("a", &byRules{[]string{"twice", "nowhere"}})
		r.Directory = twins{r.Directory}
		w.settle(r, nil)
		w.wantIncidentsOn("while pending", "SPAY")
		wantIn(t, w.log.String(), "the annotation holds", "S1, S2", "nowhere")
	})
}

func TestARequestThatOnlyARuleMatchesIsNotIgnoredAndNotApproved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.annotate("notify")
		w.annotate("services")
		w.settle(w.routed("a", &byRules{[]string{"payments"}}), nil)
		w.wantIncidentsOn("while pending", "SPAY")
		if got := w.requests[request].State; got != access.Pending {
			t.Errorf("the request is %s, want it pending: rules approve nobody", got)
		}
		if got := w.stores["a"].links[request].Named.ServiceNames; !slices.Equal(got, []string{"payments"}) {
			t.Errorf("webhooks are matched with services %q, want payments", got)
		}
	})
}

func TestARequestThatWasDecidedBeforeAnybodySawItIsLeftAloneWhateverRulesSay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		w.annotate("services")
		w.bob(access.Approved, "")
		w.once(w.routed("a", &byRules{[]string{"payments"}}), access.CauseStart)
		if len(w.writes) != 0 {
			t.Errorf("writes: %q", w.writes)
		}
	})
}

func TestAnotherReplicaFinishesWhatARuleBegan(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		w.annotate("services")
		rules := &byRules{[]string{"shipping"}}
		w.settle(w.routed("a", rules), nil)
		w.bob(access.Denied, "no")
		w.settle(w.routed("b", rules), nil)
		w.wantIncidentsOn("in the end", "SSHIP")
		if w.incidents[0].Open() {
			t.Error("the incident is still open")
		}
	})
}

func TestTheServicesAreFixedWithTheFirstIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		rules := &byRules{[]string{"shipping"}}
		r := w.routed("a", rules)
		w.settle(r, nil)
		for _, services := range [][]string{{"payments"}, {"payments", "shipping"}, nil} {
			rules.services = services
			w.once(r, access.CauseRules)
			w.once(w.routed("b", rules), access.CauseStart)
			w.wantIncidentsOn("after rules changed", "SSHIP")
		}
	})
}

func TestRulesThatChangeBeforeTheFirstIncidentCount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.refuse["SSHIP"] = &access.Failure{Class: access.Permanent, Err: access.ErrDenied}
		rules := &byRules{[]string{"shipping"}}
		r := w.routed("a", rules)
		w.settle(r, nil)
		w.wantIncidentsOn("while PagerDuty refuses", "")
		rules.services = nil
		w.settle(r, nil)
		w.wantIncidentsOn("after the rule was deleted", "SPAY")
	})
}

func TestARecipientThatIsCreatedLaterIsNotified(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		r := w.routed("a", &byRules{[]string{"later"}})
		_, err, _ := w.look(r, access.CauseCreated)
		if !lasting(err) || len(w.stores["a"].links[request].Missing) != 1 {
			t.Errorf("got %v and %q, want a lasting error that is shown", err, w.stores["a"].links[request].Missing)
		}
		w.services = append(w.services, access.Service{ID: "SLATER", Name: "later"})
		w.settle(r, nil)
		w.wantIncidentsOn("after it was created", "SLATER")
	})
}

func TestTheAnnotationDoesNotHoldWhilePagerDutyCannotTell(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("services")
		failures := 3
		w.fail = func(call string, _ int) fault {
			if call == "service" && failures > 0 {
				failures--
				return refusing
			}
			return works
		}
		w.settle(w.routed("a", &byRules{[]string{"shipping"}}), nil)
		w.wantIncidentsOn("after PagerDuty could tell", "SSHIP")
	})
}

func TestRecipientsAreLookedUpAfterTheReviewAndOnlyForAnIncident(t *testing.T) {
	for _, notify := range []policy.Notify{policy.NotifyAlways, policy.NotifyUnlessApproved} {
		t.Run(string(notify), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.rules.Notify = notify
				w.settle(w.routed("a", &byRules{[]string{"shipping"}}), nil)
				review := slices.Index(w.calls, "review")
				before, after := count(w.calls[:review], "service"), count(w.calls[review:], "service")
				want := 1
				if notify == policy.NotifyUnlessApproved {
					want = 0
				}
				if before != 1 || after != want {
					t.Errorf("services were asked for %d times before the review and %d times after, want 1 and %d: %q", before, after, want, w.calls)
				}
			})
		})
	}
}

func count(calls []string, name string) (n int) {
	for _, c := range calls {
		if c == name {
			n++
		}
	}
	return n
}

func TestAnIncidentThatWasNotRecordedIsFoundAlsoWhenRulesChangedMeanwhile(t *testing.T) {
	for _, kind := range []fault{orphaned, severed} {
		t.Run(faultNames[kind], func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				rules := &byRules{[]string{"shipping"}}
				failed := false
				w.fail = func(call string, _ int) fault {
					if call == "create" && !failed {
						failed = true
						return kind
					}
					return works
				}
				_, _, _ = w.look(w.routed("a", rules), access.CauseCreated)
				w.wantIncidentsOn("at first", "SSHIP")
				rules.services = []string{"payments"}
				time.Sleep(2 * claimFor)
				r := w.routed("b", rules)
				w.settle(r, nil)
				w.wantIncidentsOn("after rules changed", "SSHIP")
				w.bob(access.Denied, "no")
				w.settle(r, nil)
				if w.incidents[0].Open() {
					t.Error("the incident is still open")
				}
			})
		})
	}
}

func TestWithoutRulesTheAnnotationHolds(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.settle(w.replica("a"), nil)
		w.wantIncidentsOn("without any", "SPAY")
	})
}

func TestAChangeOfRulesAsksPagerDutyNothingThatIsRemembered(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.routed("a", &byRules{})
		w.settle(r, nil)
		asked := count(w.calls, "on-calls") + count(w.calls, "user")
		w.once(r, access.CauseRules)
		if got := count(w.calls, "on-calls") + count(w.calls, "user"); got != asked {
			t.Errorf("PagerDuty was asked %d times more about duty", got-asked)
		}
	})
}

func TestAnIncidentThatCouldNotBeRecordedFixesTheServicesAlsoWhenRulesNameNoneAnyMore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "shipping")
		r := w.routed("a", &byRules{services: []string{"payments"}})
		w.fail = w.nothingIsRecorded()
		_, _, _ = w.look(r, access.CauseCreated)
		w.fail = nil
		w.services[0].Name = "old payments"
		clear(w.remembered)
		w.bob(access.Approved, "fine")
		w.settle(r, nil)
		if len(w.incidents) != 1 || w.incidents[0].Open() {
			t.Errorf("want the one incident told and ended:\n%s", w.end())
		}
	})
}

func TestWhatARuleBeganIsFinishedAlsoWhenTheRuleIsGoneTogetherWithTheStore(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		w.annotate("services")
		w.settle(w.routed("a", &byRules{services: []string{"payments"}}), nil)
		w.bob(access.Denied, "no")
		w.settle(w.routed("b", &byRules{}), nil)
		if len(w.incidents) != 1 || w.incidents[0].Open() || len(w.notes["Q1"]) != 2 {
			t.Errorf("want the incident told and ended:\n%s", w.end())
		}
	})
}
