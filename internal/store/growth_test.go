package store

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// A day of a company, and what its traffic may take.
const (
	dailyEvents   = 200
	dailyRequests = 50
	// busyDisk is for logs and tables under way, keptDaily for what is kept of a day (finished requests with
	// their decisions, about 130 KiB) and as much again for what is deleted but not compacted yet. The bodies
	// of a day's events alone have 800 KiB.
	busyDisk  = 24 << 20
	keptDaily = 270 << 10
	// busyHeap bounds what is in use after a collection while years go by in minutes: two memtables of
	// 10 MiB, and the tables that Badger builds side by side, of which it keeps up to eight buffers of 12 MiB
	// for some seconds.
	busyHeap = 120 << 20
)

// Badger gives the space of deleted keys back only when it compacts the tables that hold them.
func TestTrafficStaysWithinBoundsOfDiskAndMemory(t *testing.T) {
	days, kept := growth()
	retention := time.Duration(kept) * 24 * time.Hour
	r := newRig(t, func(r *rig) { r.cfg.Retention, r.cfg.space, r.cfg.free = retention, nil, nil })
	var disk, heap uint64
	for day := range days {
		r.oneDay(day)
		r.forgetAll()
		disk = max(disk, must[uint64](t)(r.Size()))
		if day%10 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			heap = max(heap, m.HeapAlloc)
		}
	}
	t.Logf("%d days, of which %d are kept: at most %s on disk, %s of heap in use", days, kept, size(disk), size(heap))
	if mostDisk := uint64(busyDisk + kept*keptDaily); disk > mostDisk || heap > busyHeap {
		t.Errorf("want at most %s on disk and %s of heap", size(mostDisk), size(busyHeap))
	}
	r.reopen()
	got := len(must[[]access.Decision](t)(r.Decisions(t.Context(), 1<<20)))
	if want := kept * dailyRequests; got < want || got > want+dailyRequests {
		t.Errorf("got %d decisions, want the %d of the last %d days", got, want, kept)
	}
}

// oneDay has the traffic of one day: each event wakes one request, each request is opened, decided on and
// finished.
func (r *rig) oneDay(day int) {
	r.t.Helper()
	r.pass(24 * time.Hour)
	now := r.cfg.now()
	var all sync.WaitGroup
	for n := range dailyRequests {
		all.Go(func() {
			if err := r.oneRequest(fmt.Sprintf("01890a5d-ac96-774b-bcce-%06d%06d", day, n), now); err != nil {
				r.t.Error(err)
			}
		})
	}
	all.Wait()
}

func (r *rig) oneRequest(id string, now time.Time) error {
	ctx := r.t.Context()
	link := pending(access.RequestID(id), "P1234567", "P7654321")
	link.Reason = "checkout fails for every second customer since the deployment of this morning"
	link.Incidents = []access.LinkedIncident{{ID: access.IncidentID("Q" + id)}}
	var finished []access.EventID
	err := r.Record(ctx, access.Outcome{Link: &link})
	for n := range dailyEvents / dailyRequests {
		e := event(access.EventID(fmt.Sprintf("01%s-%d", id, n)))
		e.Received, e.Body = now, make([]byte, 4<<10)
		_, accepting := r.Accept(ctx, e)
		err = errors.Join(err, accepting, r.Concern(ctx, e.ID, []access.RequestID{link.Request}, "woke 1 request"))
		finished = append(finished, e.ID)
	}
	decision := no(link.Request, "alice@example.com is not on call for Payments API, next from 2026-11-22T13:11:35Z", now)
	link.State, link.Finished = access.Approved, now
	return errors.Join(err, r.Record(ctx, access.Outcome{Link: &link, Decision: &decision, Finished: finished}))
}
