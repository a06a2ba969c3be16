//go:build torture

package e2e

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"
)

func TestTortureAFullVolumeRefusesWebhooksWhileRequestsAreServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("log.severity", `"DEBUG"`))
	volume := w.mount("volume", "-t", "tmpfs", "-o", "size=512m", "pdhook")
	w.storeOn(volume)
	w.start()
	waiting := w.waits() // until a webhook comes
	flood := w.flood("FULL", 4, 64<<10)
	flood.moves(20, 0)
	w.reaches(waiting, types.RequestState_APPROVED)

	w.take(volume, 140<<20, math.MaxInt64, nil) // and the events take the rest
	flood.moves(0, 20)
	if free := freeOn(t, volume); free < 64<<20 {
		t.Errorf("%d MiB are left, want the reserve of 64", free>>20)
	}
	w.isFull()
	made, own := w.request(w.kim.Email, "payments-admin"), w.request(w.dana.Email, "payments-admin")
	w.reaches(own, types.RequestState_APPROVED)
	w.opened(made)
	flood.moves(0, 20)

	w.empty(volume)
	flood.moves(20, 0)
	w.isReady()
	w.took(flood.stop())
	w.review(made, w.lee.Email, types.RequestState_DENIED, "no")
	w.told(made, "lee@example.com reviewed the request at ", deniedBy+"\nReason: no")
	w.told(own, bot+" reviewed the request at ", approvedBy)
	w.settled()
	for _, id := range []string{waiting, made, own} {
		if got := len(w.incidents(id)); got != 1 {
			t.Errorf("request %s has %d incidents, want 1", id, got)
		}
	}
}

// Badger writes through memory maps, where a volume without free blocks is a SIGBUS. So the reserve has to
// outlast what Badger has begun when others start to fill the volume.
func TestTortureAVolumeThatOthersFillQuicklyKillsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("log.severity", `"DEBUG"`))
	volume := w.mount("volume", "-t", "tmpfs", "-o", "size=768m", "pdhook")
	w.storeOn(volume)
	w.start()
	flood := w.flood("QUICK", 4, 32<<10)
	for range rounds(5, 100) {
		flood.moves(50, 0)
		w.fillAt(volume, 128<<20) // what the usual volume in a cloud takes
		flood.moves(0, 20)
		w.isFull()
		w.empty(volume)
		flood.moves(1, 0)
	}
	w.took(flood.stop())
	w.isReady()
}

// Nothing can be done against another process that takes all there is in an instant, while Badger writes a
// table: the process may be killed then. What was acknowledged has to be there when there is room again.
func TestTortureAVolumeThatOthersFillInAnInstantLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	volume := w.mount("volume", "-t", "tmpfs", "-o", "size=512m", "pdhook")
	store := w.storeOn(volume)
	w.start()
	var accepted []string
	killed := 0
	for round := range rounds(5, 100) {
		flood := w.flood(fmt.Sprintf("INSTANT%d-", round), 4, 32<<10)
		flood.moves(50, 0)
		w.fill(volume)
		w.eventually("pdhook refuses or ends", func() bool {
			_, refused := flood.counts()
			return refused > 0 || w.proc.ended()
		})
		accepted = append(accepted, flood.stop()...)
		if w.proc.ended() {
			killed++
			w.refuses([]string{store, "reserve of free space", "free space on its volume"})
		}
		w.empty(volume)
		if w.proc.ended() {
			w.start()
		}
		w.isReady()
	}
	t.Logf("killed %d times, %d events accepted", killed, len(accepted))
	w.proc.kill()
	w.start()
	w.knowsAll(accepted)
}

// fill has a file take all of a volume at once.
func (w *world) fill(volume string) { w.take(volume, 0, math.MaxInt64, nil) }

// fillAt has a file take all of a volume at a speed in bytes per second.
func (w *world) fillAt(volume string, speed int64) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	w.take(volume, 0, speed/100, ticker.C)
}

// take has a file take all but some bytes of a volume, in steps.
func (w *world) take(volume string, but, step int64, pace <-chan time.Time) {
	w.t.Helper()
	file, err := os.Create(volume + "/filler")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for taken := int64(0); ; {
		more := min(freeOn(w.t, volume)-but, step)
		if more <= 0 {
			return
		}
		switch err := syscall.Fallocate(int(file.Fd()), 0, taken, more); {
		case err == nil:
			taken += more
		case !errors.Is(err, syscall.ENOSPC): // which says that pdhook has taken some meanwhile
			w.t.Fatalf("filling the volume: %v", err)
		}
		if pace != nil {
			<-pace
		}
	}
}

func (w *world) empty(volume string) {
	w.t.Helper()
	if err := os.Remove(volume + "/filler"); err != nil {
		w.t.Fatal(err)
	}
}

func freeOn(t testing.TB, volume string) int64 {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(volume, &fs); err != nil {
		t.Fatal(err)
	}
	return int64(fs.Bavail) * fs.Frsize
}

// isFull waits until pdhook says that it takes no webhooks for want of space.
func (w *world) isFull() {
	w.t.Helper()
	w.eventually("/readyz is 503 with the reason", func() bool {
		status, body := w.get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(string(body), "reserve of free space")
	})
}

func (w *world) isReady() {
	w.t.Helper()
	w.eventually("pdhook is ready", func() bool {
		status, _ := w.get("/readyz")
		return status == http.StatusOK
	})
}
