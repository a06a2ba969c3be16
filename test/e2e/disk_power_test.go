//go:build torture

package e2e

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/store"
)

// A power cut leaves what the file system has handed to the disk, and nothing of the page cache. The disk is an
// image that is copied while pdhook is stopped; the copy is what is found after the cut.
func TestTortureWhatWasAnswered202SurvivesAPowerCut(t *testing.T) {
	t.Parallel()
	for round := range rounds(2, 20) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			accepted, lost := cutPower(t, false)
			if lost > 0 {
				t.Errorf("%d of %d accepted events are lost", lost, accepted)
			}
		})
	}
	// Were nothing lost without syncs, the rounds above would prove nothing.
	t.Run("negative control", func(t *testing.T) {
		for range rounds(1, 3) {
			if accepted, lost := cutPower(t, true); lost < accepted/2 {
				t.Errorf("only %d of %d accepted events are lost though nothing was synced", lost, accepted)
			}
		}
	})
}

// cutPower has pdhook accept events until the power is cut, and tells how many of them are lost. With lying,
// syncs report success and do nothing.
func cutPower(t *testing.T, lying bool) (accepted, lost int) {
	w := newWorld(t)
	images := w.mount("images", "-t", "tmpfs", "-o", "size=1g", "pdhook")
	volume := w.mountImage("volume", w.image(images+"/disk"))
	w.storeOn(volume)
	w.start()
	if lying {
		w.trace("-o", "/dev/null", "-e", "trace="+syncs, "-e", "inject="+syncs+":retval=0")
	}
	flood := w.flood("POWER", 8, 4<<10)
	flood.moves(300, 0)
	w.signal(syscall.SIGSTOP)
	flood.mu.Lock()
	known := flood.accepted[:len(flood.accepted):len(flood.accepted)]
	flood.mu.Unlock()
	tool(t, "cp", "--sparse=always", images+"/disk", images+"/copy")
	w.proc.kill()
	flood.stop()

	kept := w.mountImage("found", images+"/copy")
	s, err := store.Open(store.Config{Path: kept + "/store", Retention: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("after the power cut: %v", err)
	}
	defer func() { _ = s.Close() }()
	for _, id := range known {
		_, err := s.Event(t.Context(), access.EventID(id))
		if errors.Is(err, access.ErrNotFound) {
			lost++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d events accepted, %d lost", len(known), lost)
	return len(known), lost
}

// image makes a file with an empty file system.
func (w *world) image(path string) string {
	w.t.Helper()
	file, err := os.Create(path)
	if err == nil {
		err = errors.Join(file.Truncate(384<<20), file.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	tool(w.t, "mkfs.ext4", "-q", "-F", path)
	return path
}

// mountImage mounts a file as a disk.
func (w *world) mountImage(name, image string) string {
	w.t.Helper()
	return w.mount(name, "-t", "ext4", "-o", "loop", image)
}

func (w *world) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.proc.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}
