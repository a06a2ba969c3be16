package teleport

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestOnceMakesCallsWorkAndLeavesNoConnection(t *testing.T) {
	b := newBench(t, teleporttest.Options{ClusterName: "prod"})
	id := b.cluster.CreateRequest(teleporttest.Request{User: "dana", Roles: []string{"r"}})
	called := false
	err := b.Once(t.Context(), func(ctx context.Context) {
		called = true
		if r, err := b.Get(ctx, access.RequestID(id)); err != nil || r.User != "dana" {
			t.Errorf("got %+v, %v", r, err)
		}
		if err := b.TryWatch(ctx); err != nil {
			t.Errorf("watching: %v", err)
		}
	})
	if err != nil || !called || b.Cluster() != "prod" {
		t.Errorf("got %v, called %v, cluster %q", err, called, b.Cluster())
	}
	if _, err := b.Get(t.Context(), access.RequestID(id)); err == nil {
		t.Error("a call works after the connection was ended")
	}
	eventually(t, "the watch is closed", func() bool { return b.cluster.Watchers() == 0 })
}

func TestOnceSaysWhyThereIsNoConnectionAndTheWayOut(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	never := func(context.Context) { t.Error("called without a connection") }
	b.cluster.Stop()
	err := b.Once(t.Context(), never)
	no, is := errors.AsType[*Unreachable](err)
	if !is || !strings.Contains(no.Cause, "connection refused") || !strings.Contains(no.Hint, "correct the port in teleport.addr") {
		t.Errorf("got %#v", err)
	}
	b.writeIdentity(t, teleporttest.IdentityOptions{NotAfter: time.Now().Add(-time.Minute)})
	err = b.client(t, b.cluster.Addr()).Once(t.Context(), never)
	if err == nil || !strings.Contains(err.Error(), b.file+" expired at ") {
		t.Errorf("got %v, want that the identity has expired", err)
	}
}

func TestWhatMayNotBeWatchedIsDenied(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	b.cluster.Deny(user, teleporttest.ReadRequests)
	if err := b.Once(t.Context(), func(ctx context.Context) {
		if err := b.TryWatch(ctx); !errors.Is(err, access.ErrDenied) {
			t.Errorf("got %v, want ErrDenied", err)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

func TestOwnRolesTellWhatMayBeReviewed(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	b.cluster.LimitReviews(user, "db-admin", "web")
	var seen, less []access.OwnRole
	if err := b.Once(t.Context(), func(ctx context.Context) {
		seen, _ = b.OwnRoles(ctx)
		b.cluster.Deny(user, teleporttest.ReviewRequests)
		less, _ = b.OwnRoles(ctx)
	}); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 1 || seen[0].Name != user || strings.Join(seen[0].Reviews, " ") != "db-admin web" {
		t.Errorf("got %+v", seen)
	}
	if len(less) != 1 || len(less[0].Reviews) > 0 {
		t.Errorf("got %+v, want a role without reviews", less)
	}
}
