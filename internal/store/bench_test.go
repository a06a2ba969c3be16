package store

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

// BenchmarkAccept has 64 callers store events of 4 KiB. Its time per event against that of
// BenchmarkRawAppendFsync is what the group commit gains over a single writer.
func BenchmarkAccept(b *testing.B) {
	r := newRig(b, func(r *rig) {
		r.cfg.space, r.cfg.now = nil, nil
	})
	var n atomic.Int64
	b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e := event(access.EventID(fmt.Sprint(n.Add(1))))
			e.Body = make([]byte, 4<<10)
			if _, err := r.Accept(b.Context(), e); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRawAppendFsync is a single writer that appends 4 KiB and syncs, on the same disk.
func BenchmarkRawAppendFsync(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 4<<10)
	for b.Loop() {
		if _, err := file.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
