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
)

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

func TestPluginDataThatNamesAStrangersIncidentIsNotBelieved(t *testing.T) {
	for name, incident := range map[string]func(w *world) access.Incident{
		"another key":  func(w *world) access.Incident { return w.incident("disk full", "SPAY", bot) },
		"another user": func(w *world) access.Incident { return w.incident(access.IncidentKey(request), "SPAY", stranger) },
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

func TestPluginDataThatNamesAStrangersIncidentDoesNotSayWhomToNotify(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		strange := w.incident("disk full", "SSHIP", stranger)
		w.data[request] = map[string]string{keyIncident: string(strange.ID), keyService: "SSHIP"}
		w.settle(w.replica("a"), nil)
		if len(w.incidents) != 2 || w.incidents[1].Service != "SPAY" {
			t.Errorf("want an incident on payments, which the role names:\n%s\n%s", w.end(), w.log.String())
		}
	})
}

func TestAnOwnIncidentThatWasMovedToAnotherServiceIsToldButNotResolvedAlsoByAReplicaThatNeverSawIt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		moved := w.incident(access.IncidentKey(request), "SSHIP", bot)
		w.data[request] = map[string]string{keyRecord: fmt.Sprintf(`{"v":1,"incidents":[{"ref":"payments","service":"SPAY","id":%q}]}`, moved.ID),
			keyIncident: string(moved.ID), keyService: "SPAY"}
		r := w.replica("never saw it before")
		w.settle(r, nil)
		w.bob(access.Denied, "no")
		w.settle(r, nil)
		if len(w.incidents) != 1 || !w.incidents[0].Open() || len(w.notes[moved.ID]) != 2 {
			t.Errorf("want the moved incident open with two notes, and no other:\n%s", w.end())
		}
	})
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
		_, _, _ = w.look(w.replica("a"), access.CauseCreated)
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

func TestAnIncidentThatPagerDutyNoLongerHasIsLetGo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := w.replica("a")
		w.once(r, access.CauseCreated)
		w.incidents = nil
		w.writes = nil
		w.once(r, access.CauseTimer)
		w.bob(access.Denied, "no")
		w.once(r, access.CauseChanged)
		w.wantWrites()
		if w.stores["a"].links[request].Open() {
			t.Error("the link is still open")
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

func TestAnIncidentThatWasMovedToAnotherServiceToNotifyStandsForOneOfThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "payments", "shipping")
		w.refuse["SPAY"] = &access.Failure{Class: access.Permanent, Err: errors.New("the service is disabled")}
		r := w.replica("a")
		w.settle(r, nil)
		w.incidents[0].Service = "SPAY" // from shipping
		delete(w.refuse, "SPAY")
		w.fail = func(call string, _ int) fault { return map[string]fault{"swap": severed}[call] } // a claim is left
		_, _, _ = w.look(r, access.CauseTimer)
		w.fail = nil
		w.settle(r, nil)
		if len(w.incidents) != 2 || w.incidents[1].Service != "SPAY" {
			t.Errorf("want an incident of its own on payments:\n%s", w.end())
		}
		w.bob(access.Denied, "no")
		w.settle(r, nil)
		if len(w.notes["Q1"]) != 2 || len(w.notes["Q2"]) != 2 {
			t.Errorf("want each incident told once:\n%s", w.end())
		}
	})
}

func TestAnIncidentThatAnotherReplicaFoundElsewhereIsNotTakenBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.annotate("notify", "payments", "shipping")
		disabled := &access.Failure{Class: access.Permanent, Err: errors.New("the service is disabled")}
		w.refuse["SSHIP"] = disabled
		a := w.replica("a")
		w.fail = w.nothingIsRecorded()
		_, _, _ = w.look(a, access.CauseCreated)
		w.fail = nil
		w.incidents[0].Service = "SSHIP" // from payments
		delete(w.refuse, "SSHIP")
		w.refuse["SPAY"] = disabled
		time.Sleep(claimFor)
		w.settle(w.replica("b"), nil)
		w.settle(a, nil)
		w.bob(access.Denied, "no")
		w.settle(a, nil)
		if len(w.notes["Q1"]) != 2 {
			t.Errorf("want the review and the decision told once:\n%s", w.end())
		}
	})
}
