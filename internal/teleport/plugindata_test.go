package teleport

import (
	"errors"
	"maps"
	"testing"

	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestPluginDataIsWrittenOnlyOverWhatIsExpected(t *testing.T) {
	b := connected(t)
	id := b.request()
	update := func(set, expect map[string]string) error { return b.UpdatePluginData(t.Context(), id, set, expect) }

	if got, err := b.PluginData(t.Context(), id); err != nil || got == nil || len(got) != 0 {
		t.Fatalf("before the first write: got %v, %v, want an empty map", got, err)
	}
	if err := update(map[string]string{"holder": "a", "x": "1"}, map[string]string{"holder": ""}); err != nil {
		t.Fatalf("first claim: %v", err)
	}
	if err := update(map[string]string{"holder": "b"}, map[string]string{"holder": ""}); !errors.Is(err, access.ErrConflict) || access.IsUnclear(err) {
		t.Errorf("second claim: got %v, want a clear access.ErrConflict", err)
	}
	if err := update(map[string]string{"holder": ""}, map[string]string{"holder": "a"}); err != nil {
		t.Errorf("release: %v", err)
	}
	want := map[string]string{"x": "1"}
	if got, err := b.PluginData(t.Context(), id); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestPluginDataOfARequestThatIsGone(t *testing.T) {
	b := connected(t)
	kept, never := b.request(), b.request()
	if err := b.UpdatePluginData(t.Context(), kept, map[string]string{"a": "1"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range []access.RequestID{kept, never} {
		if err := b.cluster.Delete(string(id)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.PluginData(t.Context(), kept); err != nil || got["a"] != "1" {
		t.Errorf("data of a deleted request: got %v, %v", got, err)
	}
	if err := b.UpdatePluginData(t.Context(), never, map[string]string{"a": "1"}, nil); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("first write after deletion: got %v, want access.ErrNotFound", err)
	}
}

func TestAWriteWithoutAnswerIsUnclear(t *testing.T) {
	b := connected(t)
	b.cluster.Fail("UpdatePluginData", teleporttest.Fault{Performed: true, Err: trace.ConnectionProblem(nil, "cut")})
	if err := b.UpdatePluginData(t.Context(), b.request(), map[string]string{"a": "1"}, nil); !access.IsUnclear(err) {
		t.Errorf("got %v, want an unclear failure", err)
	}
}
