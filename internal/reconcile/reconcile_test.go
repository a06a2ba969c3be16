package reconcile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/policy"
)

// details gives the body with which the world's only incident was opened.
func (w *world) details() string {
	w.t.Helper()
	if len(w.incidents) != 1 {
		w.t.Fatalf("%d incidents exist, want 1\n%s", len(w.incidents), w.log.String())
	}
	return w.opened[w.incidents[0].ID].Details
}

func (w *world) wantWrites(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.writes, want) {
		w.t.Errorf("what was written, in order\ngot  %q\nwant %q\n%s", w.writes, want, w.log.String())
	}
}

func (w *world) wantEnd(want string) {
	w.t.Helper()
	lines := slices.DeleteFunc(strings.Split(w.end(), "\n"), func(l string) bool { return l == "" || strings.HasPrefix(l, "data ") })
	if got := strings.Join(lines, "\n"); got != want {
		w.t.Errorf("the end\ngot:\n%s\nwant:\n%s\nlog:\n%s", got, want, w.log.String())
	}
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
}

func TestARequestOpensAnIncidentThatTellsItsDecisionAndIsResolved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.wantWrites("claim open", "create SPAY", "record")
		wantIn(t, w.details(), "User: alice@example.com", "Roles: dev", "Reason: disk is full", "Request ID: "+string(request),
			"Link: https://proxy.example.com/web/requests/"+string(request),
			"Not approved automatically: alice@example.com is not on call for payments.")
		if got := w.opened[w.incidents[0].ID].Title; got != "Access request from alice@example.com" {
			t.Errorf("title = %q", got)
		}
		w.writes = nil
		w.bob(access.Denied, "not\ntoday")
		w.once(r, access.CauseChanged)
		w.wantWrites("claim notes", "note Q1", "note Q1", "resolve Q1", "record")
		w.wantEnd(`request denied
  review denied by bob
incident on SPAY, key teleport-access-request/ID, resolved
  note bob reviewed the request at TIME. / Resolution: DENIED / Reason: not today
  note Access request has been denied / Reason: not today`)
		if w.stores["a"].links[request].Open() {
			t.Error("the link is still open")
		}
	})
}

func TestPluginDataIsWrittenAsTeleportsOwnPluginDoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "shipping", "payments")
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.bob(access.Denied, "no")
		w.once(r, access.CauseChanged)
		got := maps.Clone(w.data[request])
		record := got[keyRecord]
		delete(got, keyRecord)
		want := map[string]string{"incident_id": "Q2", "service_id": "SPAY", "user": alice, "roles": "dev", "created": "946684800",
			"request_reason": "disk is full", "reviews_count": "1", "resolution": "denied", "resolve_reason": "no"}
		if !maps.Equal(got, want) {
			t.Errorf("plugin data\ngot  %v\nwant %v", got, want)
		}
		wantIn(t, record, `"id":"Q1"`, `"id":"Q2"`)
	})
}

func TestTheReviewComesBeforeTheIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.once(w.replica("a"), access.CauseCreated)
		w.wantWrites("claim open", "review", "create SPAY", "note Q1", "note Q1", "resolve Q1", "record")
		wantIn(t, w.details(), "Approved automatically: alice@example.com is on call for payments (level 1, since 1999-12-31T23:00:00Z).")
		reason := w.requests[request].Reviews[0].Reason
		if want := "\npdhook: basis=none oncall=PPAY/1/UALICE/SCHED read=2000-01-01T00:00:00Z"; !strings.HasSuffix(reason, want) {
			t.Errorf("review reason = %q, want it to end in %q", reason, want)
		}
		wantIn(t, w.log.String(), "Successfully created PagerDuty incident", "Successfully submitted a request approval")
	})
}

func TestTheReviewIsOverWithinTenSecondsOfTheOldestFact(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.latency = map[string]time.Duration{"user": time.Second, "on-calls": 2 * time.Second, "swap": 3 * time.Second}
		w.once(w.replica("a"), access.CauseCreated)
		oldest := w.stores["a"].decisions[request].Evidence.ReadAt
		if age := w.limits[0].Sub(oldest); age > 10*time.Second || age < 9*time.Second {
			t.Errorf("the review call ends %s after the oldest fact, at most 10s are allowed", age)
		}
		if !oldest.Equal(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("the oldest fact counts from %s, want when its question was asked", oldest)
		}
	})
}

func TestFactsThatGrewTooOldAreReadAgain(t *testing.T) {
	for _, notify := range []policy.Notify{policy.NotifyAlways, policy.NotifyUnlessApproved} {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = notify
			w.hooks["on-calls"] = func() { time.Sleep(9500 * time.Millisecond) }
			r := w.replica("a")
			if _, err, _ := w.look(r, access.CauseCreated); err == nil {
				t.Fatal("a pass whose facts are too old succeeded")
			}
			if slices.Contains(w.writes, "review") {
				t.Error("the review was submitted on old facts")
			}
			if len(w.incidents) == 1 {
				wantIn(t, w.details(), "Not approved automatically, although alice@example.com is on call for payments")
			}
			w.settle(r, nil)
			if got := w.requests[request].State; got != access.Approved {
				t.Errorf("state = %s, want approved", got)
			}
			if want := map[policy.Notify]int{policy.NotifyAlways: 1}[notify]; len(w.incidents) != want {
				t.Errorf("%s: %d incidents, want %d", notify, len(w.incidents), want)
			}
		})
	}
}

func TestAReviewThatIsSlowIsGivenUpAtTheDeadline(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.rules.Notify = policy.NotifyUnlessApproved
		w.hooks["review"] = func() { time.Sleep(11 * time.Second) }
		w.settle(w.replica("a"), nil)
		w.wantEnd("request approved\n  review approved by pdhook-bot")
		if len(w.limits) != 2 {
			t.Errorf("%d review calls, want 2", len(w.limits))
		}
	})
}

func TestUnlessApproved(t *testing.T) {
	t.Run("opens no incident for a request that is approved at once", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = policy.NotifyUnlessApproved
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseChanged)
			w.wantWrites("review")
		})
	})
	t.Run("says so where a threshold leaves the request pending", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify, w.threshold = policy.NotifyUnlessApproved, 2
			w.once(w.replica("a"), access.CauseCreated)
			w.wantWrites("review", "claim open", "create SPAY", "note Q1", "record")
			wantIn(t, w.details(), "Reviewed automatically, but more approvals are needed: ")
		})
	})
	t.Run("opens the incident when Teleport refuses the review", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify, w.denied = policy.NotifyUnlessApproved, true
			w.once(w.replica("a"), access.CauseCreated)
			wantIn(t, w.details(), "Not approved automatically, although alice@example.com is on call for payments", "access denied")
			wantIn(t, w.log.String(), "level=ERROR", "review_requests")
		})
	})
	t.Run("opens the incident when the review fails again", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.rules.Notify = policy.NotifyUnlessApproved
			w.fail = func(call string, _ int) fault { return map[string]fault{"review": refused5}[call] }
			r := w.replica("a")
			w.look(r, access.CauseCreated)
			if len(w.incidents) != 0 {
				t.Error("an incident was opened after the first failure")
			}
			w.look(r, access.CauseRetry)
			wantIn(t, w.details(), "Not approved automatically, although", "503")
		})
	})
	t.Run("opens the incident when PagerDuty cannot be asked", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.rules.Notify = policy.NotifyUnlessApproved
			w.fail = func(call string, _ int) fault { return map[string]fault{"on-calls": refused5}[call] }
			w.look(w.replica("a"), access.CauseCreated)
			wantIn(t, w.details(), "Could not be evaluated: who is on call for payments could not be read: on-calls: 503.")
		})
	})
}

func TestTwoServicesGetAnIncidentEachAndTwoNamesOfOneServiceOne(t *testing.T) {
	for _, tt := range []struct {
		notify []string
		want   string
	}{
		{[]string{"payments", "shipping"}, "SPAY SSHIP"},
		{[]string{"payments", "id:SPAY", "PAYMENTS"}, "SPAY"},
		{[]string{"id:SPAY", "payments"}, "SPAY"},
		{[]string{"nowhere", "shipping"}, "SSHIP"},
		{[]string{"shipping", "nowhere"}, "SSHIP"},
	} {
		t.Run(strings.Join(tt.notify, ","), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.annotate("notify", tt.notify...)
				r := w.replica("a")
				w.settle(r, nil)
				var on []string
				for _, i := range w.incidents {
					on = append(on, string(i.Service))
				}
				if got := strings.Join(on, " "); got != tt.want {
					t.Errorf("incidents on %q, want %q\n%s", got, tt.want, w.log.String())
				}
				missing := w.stores["a"].links[request].Missing
				if named := slices.Contains(tt.notify, "nowhere"); named != (len(missing) == 1) {
					t.Errorf("missing = %q", missing)
				} else if named {
					wantIn(t, missing[0], `PagerDuty knows no service "nowhere"`)
				}
				w.bob(access.Denied, "")
				w.settle(r, nil)
				for _, i := range w.incidents {
					if i.Open() {
						t.Errorf("incident on %s is still open", i.Service)
					}
				}
				if w.stores["a"].links[request].Open() {
					t.Error("the link is still open")
				}
			})
		})
	}
}

func TestAnApprovedRequestDoesNotWaitForeverForAServiceThatDoesNotExist(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.annotate("notify", "payments", "nowhere")
		r := w.replica("a")
		_, err, _ := w.look(r, access.CauseCreated)
		if !lasting(err) {
			t.Fatalf("error = %v, want a lasting one", err)
		}
		w.once(r, access.CauseRetry)
		if w.stores["a"].links[request].Open() {
			t.Error("the link is still open")
		}
	})
}

func TestLookingTwiceDoesNothingTheSecondTime(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				r := w.replica("a")
				s.tell(t, w, r, nil)
				w.writes = nil
				for _, cause := range []string{access.CauseTimer, access.CauseChanged, "webhook incident.resolved"} {
					w.once(r, cause)
				}
				w.once(w.replica("a"), access.CauseStart)
				w.wantWrites()
			})
		})
	}
	t.Run("while it is pending", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.writes = nil
			w.once(r, access.CauseChanged)
			w.once(w.replica("b"), access.CauseStart)
			w.wantWrites()
		})
	})
}

func TestAnotherReplicasClaimHoldsBackTheIncidentButNotTheApproval(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		until := time.Now().Add(claimFor)
		w.data[request] = map[string]string{keyEffect: effectOpen, keyHolder: "b", keyUntil: until.Format(time.RFC3339),
			keyRecord: `{"v":1,"incidents":[{"ref":"payments"}]}`}
		r := w.replica("a")
		_, err, _ := w.look(r, access.CauseCreated)
		w.wantWrites("review")
		if at := access.NotBefore(err); !at.After(until) {
			t.Errorf("the next look is at %s, want after %s; error %v", at, until, err)
		}
		w.settle(r, nil)
		w.wantEnd(`request approved
  review approved by pdhook-bot
incident on SPAY, key teleport-access-request/ID, resolved
  note pdhook-bot reviewed the request at TIME. / Resolution: APPROVED / Reason: ` + reviewReason + `
  note Access request has been approved / Reason: ` + reviewReason)
	})
}

const reviewReason = "Approved by pdhook: alice@example.com is on call for payments (level 1, since TIME). pdhook: basis=none oncall=PPAY/1/UALICE/SCHED read=TIME"

func TestTwoReplicasSideBySideDoEverythingOnce(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			var want string
			inWorld(t, func(t *testing.T, w *world) {
				s.tell(t, w, w.replica("a"), nil)
				want = w.end()
			})
			inWorld(t, func(t *testing.T, w *world) {
				w.latency = map[string]time.Duration{"swap": 20 * time.Millisecond, "create": 30 * time.Millisecond, "review": 10 * time.Millisecond,
					"note": 10 * time.Millisecond, "get request": 7 * time.Millisecond}
				if s.begin != nil {
					s.begin(w)
				}
				steps := append([]func(*world){func(*world) {}}, s.steps...)
				replicas := []*Reconciler{w.replica("a"), w.replica("b")}
				for _, step := range steps {
					step(w)
					done := make(chan struct{})
					for i, r := range replicas {
						go func() {
							time.Sleep(time.Duration(i) * 12 * time.Millisecond)
							w.settle(r, nil)
							done <- struct{}{}
						}()
					}
					<-done
					<-done
				}
				if got := w.end(); got != want {
					t.Errorf("it ended otherwise\ngot:\n%s\nwant:\n%s\nlog:\n%s", got, want, w.log.String())
				}
			})
		})
	}
}

func TestPluginDataThatNamesAStrangersIncidentIsNotBelieved(t *testing.T) {
	for name, incident := range map[string]func(w *world) access.Incident{
		"another key":     func(w *world) access.Incident { return w.incident("disk full", "SPAY", bot) },
		"another user":    func(w *world) access.Incident { return w.incident(access.IncidentKey(request), "SPAY", stranger) },
		"another service": func(w *world) access.Incident { return w.incident(access.IncidentKey(request), "SSHIP", bot) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				strange := incident(w)
				w.data[request] = map[string]string{keyRecord: fmt.Sprintf(`{"v":1,"incidents":[{"ref":"payments","service":"SPAY","id":%q,"verified":true}]}`, strange.ID),
					keyIncident: string(strange.ID), keyService: "SPAY"}
				r := w.replica("a")
				w.settle(r, nil)
				w.bob(access.Denied, "no")
				w.settle(r, nil)
				if notes := w.notes[strange.ID]; len(notes) != 0 {
					t.Errorf("notes were written to the stranger's incident: %v", notes)
				}
				if !w.incidents[0].Open() {
					t.Error("the stranger's incident was resolved")
				}
				if len(w.incidents) != 2 || len(w.notes["Q2"]) != 2 || w.incidents[1].Open() {
					t.Errorf("pdhook's own incident is missing or unfinished:\n%s\n%s", w.end(), w.log.String())
				}
			})
		})
	}
}

func TestAStrangersIncidentThatHoldsTheKeyIsLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.incident(access.IncidentKey(request), "SPAY", stranger)
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.bob(access.Denied, "")
		w.once(r, access.CauseChanged)
		w.wantEnd(`request denied
  review denied by bob
incident on SPAY, key teleport-access-request/ID, triggered
incident on SPAY, key teleport-access-request/ID/2, resolved
  note bob reviewed the request at TIME. / Resolution: DENIED
  note Access request has been denied`)
	})
}

func TestAnIncidentOfUnknownOriginIsNotTouched(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		i := w.incident(access.IncidentKey(request), "SPAY", bot)
		w.incidents[0].TriggerNotShown = true
		w.data[request] = map[string]string{keyUser: alice, keyIncident: string(i.ID), keyService: "SPAY"}
		_, err, _ := w.look(w.replica("a"), access.CauseStart)
		if !access.IsPermanent(err) {
			t.Errorf("error = %v, want a permanent one", err)
		}
		w.wantWrites()
	})
}

func TestAnIncidentThatAPersonResolvedBeforeItWasRecordedIsNotOpenedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.fail = func(call string, _ int) fault { return map[string]fault{"create": orphaned}[call] }
		w.look(w.replica("a"), access.CauseCreated)
		w.fail = nil
		w.resolvedBySomebody("Q1")
		time.Sleep(claimFor + 2*time.Second)
		w.settle(w.replica("b"), nil)
		w.wantEnd(`request pending
incident on SPAY, key teleport-access-request/ID, resolved
  note This incident is resolved, but the access request is still pending. / Decide it at https://proxy.example.com/web/requests/` + string(request))
	})
}

func TestTheOpenRequestsOfTeleportsOwnPluginAreTakenOver(t *testing.T) {
	t.Run("with its incident", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			i := w.incident(access.IncidentKey(request), "SPAY", bot)
			w.data[request] = map[string]string{keyUser: alice, keyIncident: string(i.ID), keyService: "SPAY"}
			w.once(w.replica("a"), access.CauseStart)
			w.wantWrites()
			if got := w.stores["a"].links[request].Incidents[0]; got.ID != i.ID || !got.Verified {
				t.Errorf("the link holds %+v", got)
			}
		})
	})
	t.Run("killed between creating and recording the incident", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.incident(access.IncidentKey(request), "SPAY", bot)
			w.data[request] = map[string]string{keyUser: alice, keyRoles: "dev"}
			w.once(w.replica("a"), access.CauseStart)
			w.wantWrites("claim open", "record")
			if got := w.data[request][keyIncident]; got != "Q1" {
				t.Errorf("incident_id = %q, want Q1", got)
			}
		})
	})
	t.Run("with notes of its own wording", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.threshold = 3
			w.bob(access.Approved, "fine")
			i := w.incident(access.IncidentKey(request), "SPAY", bot)
			w.notes[i.ID] = []access.Note{{Content: "bob reviewed the request at 01 Jan 00 00:00 UTC.\nResolution: APPROVED.\nReason: fine."}}
			w.data[request] = map[string]string{keyUser: alice, keyIncident: string(i.ID), keyService: "SPAY", keyReviews: "1"}
			r := w.replica("a")
			w.once(r, access.CauseStart)
			if got := len(w.notes[i.ID]); got != 1 {
				t.Errorf("%d notes, want the one of before", got)
			}
			if got := w.data[request][keyReviews]; got != "1" {
				t.Errorf("reviews_count = %q, want 1", got)
			}
		})
	})
}

func TestARequestThatIsDecidedBeforePdhookSeesItOpensNoIncident(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.bob(access.Approved, "")
		w.once(w.replica("a"), access.CauseStart)
		w.wantWrites()
	})
}

func TestARequestThatIsDecidedBetweenClaimAndCreation(t *testing.T) {
	t.Run("opens none when it is seen", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.hooks["swap"] = func() { w.bob(access.Denied, "no") }
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseChanged)
			w.wantWrites("claim open", "record")
			if w.stores["a"].links[request].Open() {
				t.Error("the link is still open")
			}
		})
	})
	t.Run("opens it after a crash, because it may be open already", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.fail = func(call string, _ int) fault { return map[string]fault{"swap": orphaned}[call] }
			w.look(w.replica("a"), access.CauseCreated)
			w.fail = nil
			w.bob(access.Denied, "no")
			w.settle(w.replica("a"), nil)
			w.wantEnd(`request denied
  review denied by bob
incident on SPAY, key teleport-access-request/ID, resolved
  note bob reviewed the request at TIME. / Resolution: DENIED / Reason: no
  note Access request has been denied / Reason: no`)
		})
	})
}

func TestARequestThatIsGoneIsExpired(t *testing.T) {
	const end = `request gone
incident on SPAY, key teleport-access-request/ID, resolved
  note Access request has been expired`
	for name, mine := range map[string]string{"its own replica": "a", "another replica": "b"} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.once(w.replica("a"), access.CauseCreated)
				w.expire()
				w.once(w.replica(mine), access.CauseGone)
				w.wantEnd(end)
				if got := w.data[request][keyResolution]; got != "expired" {
					t.Errorf("resolution = %q, want expired", got)
				}
			})
		})
	}
	t.Run("when its time is over, whatever the watch says", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			delete(w.requests, request)
			time.Sleep(time.Hour + time.Second)
			w.once(r, access.CauseTimer)
			w.wantEnd(end)
		})
	})
	t.Run("when its plugin data is gone, too", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.expire()
			delete(w.data, request)
			w.fail = func(call string, _ int) fault { return map[string]fault{"resolve": refused5}[call] }
			w.look(r, access.CauseGone)
			w.fail = nil
			w.once(r, access.CauseRetry)
			w.wantEnd(end)
		})
	})
	t.Run("and keeps the notes of reviews that only the link remembers", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.threshold = 2
			r := w.replica("a")
			w.once(r, access.CauseCreated)
			w.bob(access.Approved, "fine")
			w.fail = func(call string, _ int) fault { return map[string]fault{"note": refused5}[call] }
			w.look(r, access.CauseChanged)
			w.fail = nil
			w.expire()
			w.once(r, access.CauseGone)
			w.wantEnd(`request gone
incident on SPAY, key teleport-access-request/ID, resolved
  note bob reviewed the request at TIME. / Resolution: APPROVED / Reason: fine
  note Access request has been expired`)
		})
	})
}

func TestARequestThatIsMerelyNotVisibleIsReportedAndLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		delete(w.requests, request)
		w.writes = nil
		_, err, _ := w.look(r, access.CauseTimer)
		if err == nil || !strings.Contains(err.Error(), "not visible") || access.NotBefore(err).IsZero() {
			t.Errorf("error = %v, want one that says not visible and when to look again", err)
		}
		w.wantWrites()
	})
}

func TestARequestThatNamesNothingIsIgnored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify")
		w.annotate("services")
		w.once(w.replica("a"), access.CauseCreated)
		if want := []string{"get request"}; !slices.Equal(w.calls, want) {
			t.Errorf("calls = %q, want %q", w.calls, want)
		}
	})
}

func TestAFailureBesideTheApprovalDoesNotHoldItUp(t *testing.T) {
	for _, call := range []string{"get plugin data", "swap", "create", "note", "resolve", "notes"} {
		t.Run(call, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.fail = func(c string, _ int) fault { return map[string]fault{call: refused5}[c] }
				w.look(w.replica("a"), access.CauseCreated)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved\n%s", got, w.log.String())
				}
			})
		})
	}
	t.Run("store", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			r := w.replica("a")
			w.stores["a"].broken = errors.New("disk full")
			w.once(r, access.CauseCreated)
			w.once(r, access.CauseTimer)
			w.wantWrites("claim open", "review", "create SPAY", "note Q1", "note Q1", "resolve Q1", "record")
			if got := strings.Count(w.log.String(), "disk full"); got != 2 { // reading and writing
				t.Errorf("the store's failure was logged %d times, want once each for reading and writing", got)
			}
		})
	})
	t.Run("a newer pdhook's plugin data", func(t *testing.T) {
		inWorld(t, func(t *testing.T, w *world) {
			w.aliceIsOnCall()
			w.data[request] = map[string]string{keyRecord: `{"v":2}`}
			_, err, _ := w.look(w.replica("a"), access.CauseCreated)
			w.wantWrites("review")
			if !access.IsPermanent(err) {
				t.Errorf("error = %v, want a permanent one", err)
			}
		})
	})
}

func TestAReviewThatTeleportRefusesIsTriedAgainForAReason(t *testing.T) {
	for _, tt := range []struct {
		cause string
		wait  time.Duration
		again bool
	}{
		{cause: access.CauseTimer, again: false},
		{cause: access.CausePoll, again: false},
		{cause: access.CauseRetry, again: false},
		{cause: access.CauseReconnect, again: false},
		{cause: access.CauseTimer, wait: 59 * time.Minute, again: false},
		{cause: access.CauseTimer, wait: time.Hour, again: true},
		{cause: access.CauseChanged, again: true},
		{cause: access.CauseReload, again: true},
		{cause: "webhook incident.acknowledged", again: true},
	} {
		t.Run(fmt.Sprintf("%s after %s", tt.cause, tt.wait), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.aliceIsOnCall()
				w.denied = true
				r := w.replica("a")
				w.once(r, access.CauseCreated)
				time.Sleep(tt.wait)
				w.once(r, tt.cause)
				if got := len(w.limits) == 2; got != tt.again {
					t.Errorf("%d review calls", len(w.limits))
				}
				w.denied = false
				w.once(r, access.CauseChanged)
				if got := w.requests[request].State; got != access.Approved {
					t.Errorf("state = %s, want approved once it is allowed", got)
				}
			})
		})
	}
}

func TestARequestThatIsReviewedAlreadyIsNotReviewedAgain(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.threshold = 2
		if _, err := w.review(request, pdhook, access.Approved, "by hand"); err != nil {
			t.Fatal(err)
		}
		w.once(w.replica("a"), access.CauseStart)
		wantIn(t, w.details(), "pdhook-bot has already reviewed the request")
		if len(w.limits) != 0 {
			t.Error("a second review was submitted")
		}
		if !w.stores["a"].links[request].Reviewed {
			t.Error("the link does not say that pdhook has reviewed")
		}
	})
}

func TestSomebodyElseApprovesAtTheSameMoment(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.aliceIsOnCall()
		w.hooks["review"] = func() { w.bob(access.Approved, "me first") }
		r := w.replica("a")
		w.once(r, access.CauseCreated) // no error: nothing is left to try again
		w.once(r, access.CauseChanged)
		w.wantEnd("request approved\n  review approved by bob")
	})
}

func TestEventsAreFinishedOnlyByALookThatSucceeded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.stores["a"].events[request] = []access.EventID{"E1"}
		for _, call := range []string{"get request", "create", "on-calls"} {
			w.fail = func(c string, _ int) fault { return map[string]fault{call: refused5}[c] }
			w.look(r, access.CauseCreated)
			if len(w.stores["a"].events[request]) != 1 {
				t.Errorf("the event was finished although %q failed", call)
			}
		}
		w.fail = nil
		w.hooks["get request"] = func() { w.stores["a"].events[request] = append(w.stores["a"].events[request], "E2") }
		w.once(r, access.CauseRetry)
		if got := w.stores["a"].events[request]; !slices.Equal(got, []access.EventID{"E2"}) {
			t.Errorf("events left = %q, want only the one that came during the pass", got)
		}
	})
}

func TestAMergedIncidentLeadsToItsSurvivor(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		survivor := w.incident("outage", "SPAY", stranger)
		w.incidents[0].Status, w.incidents[0].MergedInto = access.Resolved, survivor.ID
		w.once(r, "webhook incident.merged")
		w.bob(access.Denied, "no")
		w.once(r, access.CauseChanged)
		if got := len(w.notes[survivor.ID]); got != 2 || len(w.notes["Q1"]) != 0 {
			t.Errorf("the survivor has %d notes, want 2; the merged one %d, want 0", got, len(w.notes["Q1"]))
		}
		if !w.incidents[1].Open() {
			t.Error("the survivor was resolved")
		}
	})
}

func TestAnIncidentThatWasMovedIsNotResolved(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.incidents[0].Service = "SSHIP"
		w.bob(access.Denied, "no")
		w.once(r, access.CauseChanged)
		if !w.incidents[0].Open() || len(w.incidents) != 1 {
			t.Errorf("want one incident, open\n%s", w.end())
		}
	})
}

func TestTheLinkKeepsWhoAcknowledgedAndWhatTheRoleNames(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.annotate("services", "payments", "id:SSHIP")
		w.once(r, access.CauseCreated)
		w.incidents[0].Status, w.incidents[0].Acknowledgers = access.Acknowledged, []string{"Bob"}
		w.once(r, "webhook incident.acknowledged")
		link := w.stores["a"].links[request]
		if got := link.Incidents[0]; got.Status != access.Acknowledged || !slices.Equal(got.AcknowledgedBy, []string{"Bob"}) {
			t.Errorf("incident = %+v", got)
		}
		want := access.Named{ServiceNames: []string{"payments"}, Services: []access.ServiceID{"SPAY", "SSHIP"},
			Policies: []access.PolicyID{"PPAY", "PSHIP"}, User: "UALICE"}
		if got := fmt.Sprint(link.Named); got != fmt.Sprint(want) {
			t.Errorf("named = %v, want %v", got, want)
		}
	})
}

func TestTheNextLookIsWhenTheShiftStarts(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.onCalls = []access.OnCall{{User: w.users[alice], Policy: "PPAY", Level: 1, Start: time.Now().Add(10 * time.Minute)}}
		r := w.replica("a")
		result, err, _ := w.look(r, access.CauseCreated)
		if err != nil || result.After != 10*time.Minute {
			t.Fatalf("result = %+v, %v, want a look after 10m", result, err)
		}
		time.Sleep(result.After)
		w.once(r, access.CauseShift)
		if got := w.requests[request].State; got != access.Approved {
			t.Errorf("state = %s, want approved", got)
		}
	})
}

func TestAPassEndsBeforeItsClaimDoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.hooks["create"] = func() { time.Sleep(claimFor) }
		began := time.Now()
		r := w.replica("a")
		_, err, _ := w.look(r, access.CauseCreated)
		if err == nil {
			t.Error("a pass that took a minute succeeded")
		}
		if len(w.incidents) != 0 {
			t.Errorf("an incident was opened %s after the pass began", time.Since(began))
		}
		w.settle(r, nil)
		if len(w.incidents) != 1 {
			t.Errorf("%d incidents, want 1", len(w.incidents))
		}
	})
}
