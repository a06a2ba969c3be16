package teleport

import (
	"errors"
	"testing"

	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestListGivesAllRequestsOverAllPages(t *testing.T) {
	b := connected(t)
	want := make(map[access.RequestID]bool)
	for range 2*page + 1 {
		want[b.request()] = true
	}
	got, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range got {
		delete(want, r.ID)
	}
	if len(got) != 2*page+1 || len(want) != 0 {
		t.Errorf("got %d requests, %d are missing", len(got), len(want))
	}
}

func TestListFailsWhenAPageFails(t *testing.T) {
	b := connected(t)
	for range page + 1 {
		b.request()
	}
	b.cluster.Fail("ListAccessRequests", teleporttest.Fault{})
	b.cluster.Fail("ListAccessRequests", teleporttest.Fault{Err: errors.New("page lost")})
	if got, err := b.List(t.Context()); err == nil {
		t.Errorf("got %d requests and no error", len(got))
	}
}

func TestGetGivesTheRequest(t *testing.T) {
	b := connected(t)
	b.request()
	id := b.request()
	got, err := b.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.User != "alice@example.com" || got.State != access.Pending || got.Reason != "on fire" {
		t.Errorf("got %+v", got)
	}
}

func TestGetOfNothingIsNotFound(t *testing.T) {
	b := connected(t)
	if _, err := b.Get(t.Context(), "00000000-0000-0000-0000-000000000000"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("unknown ID: got %v, want access.ErrNotFound", err)
	}
	calls := b.cluster.Calls("ListAccessRequests")
	if _, err := b.Get(t.Context(), ""); err == nil || errors.Is(err, access.ErrNotFound) {
		t.Errorf("empty ID: got %v, want an error other than access.ErrNotFound", err)
	}
	if got := b.cluster.Calls("ListAccessRequests"); got != calls {
		t.Error("an empty ID was sent")
	}
}

func TestFailuresOfCallsSayWhatMayHelp(t *testing.T) {
	b := connected(t)
	id := b.request()
	for _, tt := range []struct {
		name      string
		err       error
		permanent bool
		is        error
	}{
		{"access denied", trace.AccessDenied("no"), true, access.ErrDenied},
		{"bad parameter", trace.BadParameter("no"), true, nil},
		{"connection problem", trace.ConnectionProblem(nil, "no"), false, nil},
		{"limit", trace.LimitExceeded("no"), false, nil},
		{"unknown", errors.New("no"), false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b.cluster.Fail("ListAccessRequests", teleporttest.Fault{Err: tt.err})
			_, err := b.Get(t.Context(), id)
			if _, ok := errors.AsType[*access.Failure](err); !ok {
				t.Fatalf("got %T %v, want an *access.Failure", err, err)
			}
			if access.IsPermanent(err) != tt.permanent {
				t.Errorf("permanent: got %v, want %v", !tt.permanent, tt.permanent)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want it to be %v", err, tt.is)
			}
			if _, leaked := errors.AsType[trace.Error](err); leaked {
				t.Error("an error of trace left the package")
			}
		})
	}
}
