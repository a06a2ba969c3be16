//go:build torture

package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// mount mounts a file system on a new directory of the world until the end of the test, and gives the directory.
func (w *world) mount(name string, args ...string) string {
	w.t.Helper()
	at := w.path(name)
	if err := os.Mkdir(at, 0o700); err != nil {
		w.t.Fatal(err)
	}
	tool(w.t, "mount", append(args, at)...)
	w.t.Cleanup(func() { undo(w.t, "umount", "-l", at) }) // a loop device lets go of its image a little later
	return at
}

// undo runs a program of the system when the test is over.
func undo(t testing.TB, name string, args ...string) {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// storeOn moves the store of a world that has not started to a directory.
func (w *world) storeOn(volume string) string {
	path := volume + "/store"
	w.conf["store.path"] = quote(path)
	return path
}

// flood is senders that post signed events without an end, each its next one when the last is answered.
type flood struct {
	w       *world
	name    string
	padding string
	end     chan struct{}
	senders sync.WaitGroup

	mu       sync.Mutex
	accepted []string // IDs
	refused  int      // 503
	lost     int      // without an answer
}

// flood begins to post events of about a size in bytes. It ends with stop, or with pdhook.
func (w *world) flood(name string, senders, size int) *flood {
	f := &flood{w: w, name: name, padding: strings.Repeat("x", size), end: make(chan struct{})}
	w.t.Cleanup(func() { f.stop() })
	for n := range senders {
		f.senders.Go(func() { f.post(n) })
	}
	return f
}

func (f *flood) body(id string) string {
	return fmt.Sprintf(`{"event":{"id":%q,"event_type":"service.updated","data":{"id":%q,"padding":%q}}}`, id, f.w.paymentsAPI.ID, f.padding)
}

func (f *flood) post(sender int) {
	client := f.w.asPagerDuty(&tls.Config{})
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-f.end:
			return
		default:
		}
		id := fmt.Sprintf("01%s%d-%d", f.name, sender, n)
		a, err := f.w.try(client, signedBy(secret, f.body(id)))
		if !f.note(id, a, err) {
			return
		}
		if a.status != http.StatusAccepted {
			<-pace.C
		}
	}
}

// note keeps what became of an event, and tells whether to go on.
func (f *flood) note(id string, a answered, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.lost++
		return false
	case a.status == http.StatusAccepted:
		f.accepted = append(f.accepted, id)
	case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
		f.refused++
	default:
		f.w.t.Errorf("event %s: got %d %s, want 202, or 503 with Retry-After", id, a.status, a.body)
		return false
	}
	return true
}

// counts gives how many events were accepted and refused by now.
func (f *flood) counts() (accepted, refused int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.accepted), f.refused
}

// moves waits until so many more were accepted and refused.
func (f *flood) moves(accepted, refused int) {
	f.w.t.Helper()
	a, r := f.counts()
	f.w.eventually(fmt.Sprintf("%d events are accepted and %d refused", accepted, refused), func() bool {
		f.alive()
		na, nr := f.counts()
		return na >= a+accepted && nr >= r+refused
	})
}

// alive fails the test when pdhook has ended.
func (f *flood) alive() {
	f.w.t.Helper()
	if f.w.proc.ended() {
		f.w.t.Fatalf("pdhook has ended: %v", f.w.proc.cmd.ProcessState)
	}
}

// stop ends the flood and gives the IDs of the events that were answered 202.
func (f *flood) stop() []string {
	select {
	case <-f.end:
	default:
		close(f.end)
	}
	f.senders.Wait()
	return f.accepted
}

// took waits until every one of the events has been dispatched; it needs log.severity DEBUG.
func (w *world) took(events []string) {
	w.t.Helper()
	missing := map[string]bool{}
	w.eventually("all accepted events have taken effect", func() bool {
		clear(missing)
		for _, id := range events {
			missing[id] = true
		}
		for _, l := range w.proc.find(func(l logLine) bool { return l.text("msg") == "webhook dispatched" }) {
			delete(missing, l.text("event_id"))
		}
		return len(missing) == 0
	})
}

// knowsAll checks that a pdhook that has just been started knows all the events: PagerDuty brings them again.
func (w *world) knowsAll(events []string) {
	w.t.Helper()
	var senders sync.WaitGroup
	for part := range slices.Chunk(events, len(events)/16+1) {
		senders.Go(func() {
			client := w.asPagerDuty(&tls.Config{})
			for _, id := range part {
				if a, err := w.try(client, signedBy(secret, event(id, "service.updated"))); err != nil || a.status != http.StatusAccepted {
					w.t.Errorf("repeating %s: got %d %s, %v; want 202", id, a.status, a.body, err)
					return
				}
			}
		})
	}
	senders.Wait()
	if got, want := w.counted("service.updated", "duplicate"), fmt.Sprint(len(events)); got != want {
		w.t.Errorf("%s of %s accepted events are known", got, want)
	}
}

// ended tells whether the process has.
func (p *process) ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}
