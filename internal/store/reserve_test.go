package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestNothingIsStoredAtTheReserveAndItRecovers(t *testing.T) {
	r := newRig(t)
	stored, changed := pending("r1"), pending("r1")
	changed.Reason = "another"
	r.record(access.Outcome{Link: &stored})
	r.accept(event("let in"))
	if err := r.Writable(); err != nil {
		t.Errorf("writable: %v", err)
	}

	r.setRoom(room{free: 105 << 20, used: 10 << 20})
	if left := must[uint64](t)(r.Available()); left != 1<<20 {
		t.Errorf("%d bytes are available a MiB above the reserve", left)
	}
	r.setRoom(room{free: 103 << 20, used: 10 << 20})
	if left := must[uint64](t)(r.Available()); left != 0 {
		t.Errorf("%d bytes are available below the reserve", left)
	}
	r.setRoom(room{free: 104 << 20, used: 10 << 20}) // 64 + 4 × 10 sharp
	if _, err := r.Accept(t.Context(), event("e1")); !errors.Is(err, ErrFull) {
		t.Errorf("accept: got %v, want ErrFull", err)
	}
	if _, err := r.Accept(t.Context(), event("let in")); !errors.Is(err, ErrFull) {
		t.Errorf("accepting a repeated event: got %v, want ErrFull", err)
	}
	if err := r.Record(t.Context(), access.Outcome{Link: &changed}); !errors.Is(err, ErrFull) {
		t.Errorf("record: got %v, want ErrFull", err)
	}
	r.record(access.Outcome{Link: &stored}) // nothing to write
	r.concern("let in", "ignored")
	err := r.Writable()
	for _, part := range []string{r.cfg.Path, "104.0 MiB free", "more than 104.0 MiB", "10.0 MiB in use", "free space or enlarge"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("writable: got %v, want %q in it", err, part)
		}
	}

	r.setRoom(room{free: 104<<20 + 1, used: 10 << 20})
	if err := r.Writable(); err != nil {
		t.Errorf("writable: %v", err)
	}
	r.accept(event("e1"))
	r.record(access.Outcome{Link: &changed})
	r.reopen()
	wantSame(t, "link", must[access.Link](t)(r.Link(t.Context(), "r1")), changed)
}

func TestBurstWithinASecondDoesNotPassTheReserve(t *testing.T) {
	stub := &engineStub{}
	r := newRig(t, stubbed(stub), func(r *rig) { // each commit takes a MiB of what is left
		r.cfg.space = func(string) (room, error) { return room{free: uint64(104-stub.count()) << 20}, nil }
		r.cfg.free = func(string) (uint64, error) { return uint64(104-stub.count()) << 20, nil }
	})
	for i := range 64 {
		if _, err := r.Accept(t.Context(), event(access.EventID(fmt.Sprint(i)))); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if got := stub.count(); got != 40 {
		t.Errorf("got %d MiB stored, want the 40 above the reserve of 64", got)
	}
}

func TestNothingIsWrittenWhereBadgerWouldBeKilled(t *testing.T) {
	r := newRig(t)
	r.accept(event("let in"))
	r.mu.Lock()
	r.room = room{free: 18 << 20, used: 2 << 20} // 16 + 2 sharp; no second has passed
	r.mu.Unlock()
	if _, err := r.Accept(t.Context(), event("e1")); !errors.Is(err, ErrFull) {
		t.Errorf("accept: got %v, want ErrFull", err)
	}
	err := r.Concern(t.Context(), "let in", nil, "ignored")
	for _, part := range []string{r.cfg.Path, "18.0 MiB free", "nothing is written below 18.0 MiB", "free space or enlarge"} {
		if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), part) {
			t.Errorf("concern: got %v, want ErrFull with %q in it", err, part)
		}
	}
	r.setRoom(room{free: 1 << 40})
	r.concern("let in", "ignored")
	r.accept(event("e1"))
}

func TestWhoOnlyAsksMeasuresTheVolumeOnceASecond(t *testing.T) {
	r := newRig(t)
	r.accept(event("e1"))
	r.mu.Lock()
	r.room = room{}
	r.mu.Unlock()
	if err := r.Writable(); err != nil {
		t.Errorf("within the second: %v", err)
	}
	r.pass(measureEvery)
	if err := r.Writable(); !errors.Is(err, ErrFull) {
		t.Errorf("a second later: got %v, want ErrFull", err)
	}
}

func TestWhatIsGoneSinceTheVolumeWasMeasuredMayBeTheStores(t *testing.T) {
	r := newRig(t)
	r.setRoom(room{free: 200 << 20, used: 10 << 20})
	r.accept(event("measured"))
	now := func(free, used uint64) { // no second has passed
		r.mu.Lock()
		r.room = room{free: free << 20, used: used << 20}
		r.mu.Unlock()
	}
	now(150, 10) // taken by others
	r.accept(event("let in"))
	now(140, 20) // taken by the store: 64 + 4 × 20 are more
	if _, err := r.Accept(t.Context(), event("e1")); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
}

func TestWhoWritesMeasuresTheVolumeOnceASecondWhileThereIsPlenty(t *testing.T) {
	var measured atomic.Int64
	r := newRig(t, func(r *rig) {
		r.cfg.space = func(string) (room, error) { measured.Add(1); return room{free: 1 << 40}, nil }
	})
	for second := range 3 {
		r.pass(measureEvery)
		r.accept(event(access.EventID(fmt.Sprint(second))))
		before := measured.Load()
		for i := range 10 {
			r.accept(event(access.EventID(fmt.Sprint(second, i))))
		}
		if again := measured.Load() - before; again > 0 {
			t.Errorf("the volume was measured %d times more within a second", again)
		}
	}
	if measured.Load() < 3 {
		t.Errorf("the volume was measured %d times in three seconds", measured.Load())
	}
}

func TestFullVolumeIsNotOpened(t *testing.T) {
	cfg := newRig(t).cfg
	cfg.Path = t.TempDir()
	cfg.space = func(string) (room, error) { return room{free: 4 << 20, used: 1 << 20}, nil }
	if _, err := Open(cfg); !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free space") {
		t.Errorf("got %v, want ErrFull and the way out", err)
	}
}

func TestSparseFilesCountByTheirBlocks(t *testing.T) {
	dir := t.TempDir()
	sparse := must[*os.File](t)(os.Create(filepath.Join(dir, "sparse")))
	if err := errors.Join(sparse.Truncate(1<<30), sparse.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "real"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	got := must[room](t)(measureRoom(dir))
	if got.used < 1<<20 || got.used > 2<<20 || got.free == 0 {
		t.Errorf("got %+v, want 1 MiB used", got)
	}
	r := newRig(t, func(r *rig) { r.cfg.space, r.cfg.free = nil, nil })
	if n := must[uint64](t)(r.Size()); n == 0 || n > 8<<20 {
		t.Errorf("an empty store takes %d bytes, want a little", n)
	}
}
