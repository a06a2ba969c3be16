package store

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/ratio"
)

// BenchmarkAcceptedPerRawFsync has 64 callers store events of 4 KiB, against a single writer that appends 4 KiB and
// syncs on the same disk: what the group commit gains.
func BenchmarkAcceptedPerRawFsync(b *testing.B) {
	r := newRig(b, func(r *rig) { r.cfg.space, r.cfg.free, r.cfg.now = nil, nil, nil })
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	next := 0
	accepted := func() float64 { next++; return r.acceptedPerSecond(fmt.Sprint(next)) }
	ratio.Bench(b, ratio.AtLeast(1.8), accepted, func() float64 { return fsyncsPerSecond(b, file) })
}

func (r *rig) acceptedPerSecond(round string) float64 {
	const callers, each = 64, 50
	began := time.Now()
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for n := range each {
				e := event(access.EventID(fmt.Sprintf("%s-%d-%d", round, caller, n)))
				e.Body = make([]byte, 4<<10)
				if _, err := r.Accept(r.t.Context(), e); err != nil {
					r.t.Error(err)
				}
			}
		})
	}
	all.Wait()
	return callers * each / time.Since(began).Seconds()
}

func fsyncsPerSecond(b *testing.B, file *os.File) float64 {
	const times = 500
	block := make([]byte, 4<<10)
	began := time.Now()
	for range times {
		if _, err := file.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return times / time.Since(began).Seconds()
}

// BenchmarkOpenWith100000Links opens a store with that many finished links and reads the open ones, against an
// empty store.
func BenchmarkOpenWith100000Links(b *testing.B) {
	full, empty := newRig(b), newRig(b)
	full.fill(100_000)
	full.close()
	empty.close()
	ratio.Bench(b, ratio.AtMost(3), full.secondsToOpen, empty.secondsToOpen)
	full.open() // what ends the benchmark closes them
	empty.open()
}

// fill stores finished links.
func (r *rig) fill(links int) {
	ids := make(chan int)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for n := range ids {
				l := pending(access.RequestID(fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", n)), "P1234567")
				l.State, l.Finished = access.Approved, noon
				l.Incidents = []access.LinkedIncident{{ID: access.IncidentID(fmt.Sprintf("Q%013d", n))}}
				if err := r.Record(r.t.Context(), access.Outcome{Link: &l}); err != nil {
					r.t.Error(err)
				}
			}
		})
	}
	for n := range links {
		ids <- n
	}
	close(ids)
	all.Wait()
}

func (r *rig) secondsToOpen() float64 {
	began := time.Now()
	s, err := Open(Config{Path: r.cfg.Path, Retention: month, Log: slog.New(slog.DiscardHandler), now: r.cfg.now})
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := s.OpenLinks(r.t.Context()); err != nil {
		r.t.Error(err)
	}
	took := time.Since(began).Seconds()
	if err := s.Close(); err != nil {
		r.t.Error(err)
	}
	return took
}
