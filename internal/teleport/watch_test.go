package teleport

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestWatchTellsOfCreationReviewAndDeletion(t *testing.T) {
	for name, set := range map[string]func(*teleporttest.Switches){
		"recent Teleport":            func(*teleporttest.Switches) {},
		"confirmation without kinds": func(s *teleporttest.Switches) { s.NoWatchStatus = true },
		"old Teleport":               func(s *teleporttest.Switches) { s.NoWatchStatus, s.NoPartialSuccess = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			b := connected(t)
			b.cluster.Switch(set)
			w := b.watchInBackground(t.Context())
			receive(t, "the watch to be ready", w.ready)

			id := b.request()
			if got := receive(t, "creation", w.changes); got.Kind != access.Put || got.Request.ID != id || got.Request.State != access.Pending {
				t.Errorf("creation: got %+v", got)
			}
			if err := b.cluster.Review(string(id), "bob", types.RequestState_APPROVED, "fine"); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, "review", w.changes); got.Request.State != access.Approved || len(got.Request.Reviews) != 1 {
				t.Errorf("review: got %+v", got)
			}
			if err := b.cluster.Delete(string(id)); err != nil {
				t.Fatal(err)
			}
			if got := receive(t, "deletion", w.changes); got.Kind != access.Delete || got.Request.ID != id {
				t.Errorf("deletion: got %+v", got)
			}
		})
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	b := connected(t)
	ctx, cancel := context.WithCancel(t.Context())
	w := b.watchInBackground(ctx)
	receive(t, "the watch to be ready", w.ready)
	cancel()
	if err := receive(t, "its end", w.ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestWatchWaitsForTheConnection(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	w := b.watchInBackground(t.Context())
	b.start(t)
	receive(t, "the watch to be ready", w.ready)
	b.stop()
	if err := receive(t, "its end", w.ended); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("got %v, want it to say that the client stops", err)
	}
}

func TestWatchGivesUpWaitingWithItsContext(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Watch(ctx, func() {}, func(access.Change) {})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "not connected to Teleport at "+b.cluster.Addr()) {
		t.Errorf("got %v", err)
	}
}

func TestARefusedWatchSaysWhetherItMayWorkLater(t *testing.T) {
	for _, tt := range []struct {
		name      string
		err       error
		permanent bool
		tries     int
	}{
		{"no permission", trace.AccessDenied("no"), true, 2},
		{"server busy", trace.ConnectionProblem(nil, "no"), false, 1},
		{"unknown", errors.New("no"), false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := connected(t)
			b.cluster.Fail("WatchEvents", teleporttest.Fault{Err: tt.err, Times: tt.tries})
			err := b.Watch(t.Context(), func() { t.Error("ready was called") }, func(access.Change) {})
			if access.IsPermanent(err) != tt.permanent || errors.Is(err, access.ErrDenied) != tt.permanent {
				t.Errorf("got %v, want permanent: %v", err, tt.permanent)
			}
		})
	}
}

func TestWatchTellsThatRulesChangedWithoutTheirContent(t *testing.T) {
	b := connected(t)
	w := b.watchInBackground(t.Context())
	receive(t, "the watch to be ready", w.ready)
	b.putRule("r", "pagerduty")
	want := access.Change{Kind: access.RulesChanged}
	if got := receive(t, "put", w.changes); !reflect.DeepEqual(got, want) {
		t.Errorf("put: got %+v, want %+v", got, want)
	}
	if err := b.cluster.DeleteRule("r"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, "deletion", w.changes); !reflect.DeepEqual(got, want) {
		t.Errorf("deletion: got %+v, want %+v", got, want)
	}
}

func TestRequestsAreWatchedWhereRulesMayNotBe(t *testing.T) {
	for name, set := range map[string]func(*teleporttest.Server){
		"no permission":            func(s *teleporttest.Server) { s.Deny(user, teleporttest.ReadRules) },
		"no rules in this cluster": func(s *teleporttest.Server) { s.Switch(func(w *teleporttest.Switches) { w.NoRules = true }) },
		"refused as a whole": func(s *teleporttest.Server) {
			s.Deny(user, teleporttest.ReadRules)
			s.Switch(func(w *teleporttest.Switches) { w.NoPartialSuccess, w.NoWatchStatus = true, true })
		},
		"old Teleport": func(s *teleporttest.Server) {
			s.Switch(func(w *teleporttest.Switches) { w.NoRules, w.NoPartialSuccess, w.NoWatchStatus = true, true, true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := connected(t)
			set(b.cluster)
			w := b.watchInBackground(t.Context())
			receive(t, "the watch to be ready", w.ready)
			b.putRule("r", "pagerduty")
			id := b.request()
			if got := receive(t, "creation", w.changes); got.Kind != access.Put || got.Request.ID != id {
				t.Errorf("got %+v, want the creation of %s", got, id)
			}
		})
	}
}

func TestAWatchOfRulesAloneIsNoWatchOfRequests(t *testing.T) {
	b := connected(t)
	b.cluster.Deny(user, teleporttest.ReadRequests)
	err := b.Watch(t.Context(), func() { t.Error("ready was called") }, func(access.Change) {})
	if !errors.Is(err, access.ErrDenied) || !strings.Contains(err.Error(), `"access_request"`) {
		t.Errorf("got %v, want Teleport's refusal of access_request", err)
	}
}

func TestWatchEndsWhenTheServerGoesAway(t *testing.T) {
	b := connected(t)
	w := b.watchInBackground(t.Context())
	receive(t, "the watch to be ready", w.ready)
	b.cluster.Stop()
	if err := receive(t, "its end", w.ended); err == nil || access.IsPermanent(err) {
		t.Errorf("got %v, want a failure to retry", err)
	}
}
