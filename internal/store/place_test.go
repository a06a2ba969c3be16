package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// disturbances take the directory from under a running store. The files survive in aside.
var disturbances = map[string]func(path, aside string) error{
	"gone": os.Rename,
	"replaced by an empty one": func(path, aside string) error {
		return errors.Join(os.Rename(path, aside), os.Mkdir(path, 0o700))
	},
	"replaced by a copy": func(path, aside string) error {
		return errors.Join(os.Rename(path, aside), os.CopyFS(path, os.DirFS(aside)))
	},
	"emptied": func(path, aside string) error {
		return errors.Join(os.Mkdir(aside, 0o700), moveFiles(path, aside))
	},
}

func moveFiles(from, to string) error {
	files, err := filepath.Glob(filepath.Join(from, "*"))
	for _, file := range files {
		err = errors.Join(err, os.Rename(file, filepath.Join(to, filepath.Base(file))))
	}
	return err
}

// disturbed is a store whose directory was taken away after it accepted e1. It is brought back for Badger, which
// would otherwise try for ever to close; without a test the process ends.
func disturbed(t *testing.T, disturb func(path, aside string) error) *rig {
	t.Helper()
	r := newRig(t)
	r.accept(event("e1"))
	path, aside := r.cfg.Path, r.cfg.Path+".aside"
	home := must[os.FileInfo](t)(os.Stat(path))
	if err := disturb(path, aside); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var err error
		if now, statErr := os.Stat(path); statErr == nil && os.SameFile(home, now) {
			err = moveFiles(aside, path)
		} else {
			err = errors.Join(os.RemoveAll(path), os.Rename(aside, path))
		}
		if err := errors.Join(err, r.db.Close()); err != nil {
			t.Error(err)
		}
		r.stop, r.Store = func() error { return nil }, &Store{ended: make(chan struct{}), closed: true}
	})
	return r
}

func TestStoreWhoseDirectoryIsTakenAwayAcceptsNothingAndEnds(t *testing.T) {
	for name, disturb := range disturbances {
		t.Run(name, func(t *testing.T) {
			r := disturbed(t, disturb)
			if err := r.Writable(); err == nil || !strings.Contains(err.Error(), "the store directory was moved or replaced while running; restart pdhook") {
				t.Errorf("writable: got %v, want what happened and the way out", err)
			}
			if fresh, err := r.Accept(t.Context(), event("e1")); err == nil {
				t.Errorf("a known event was accepted (fresh: %v) though nobody knows it any more", fresh)
			}
			if _, err := r.Accept(t.Context(), event("e2")); err == nil {
				t.Error("an event was accepted though nothing is kept")
			}
			if err := r.stop(); err == nil || !strings.Contains(err.Error(), r.cfg.Path) || strings.Contains(err.Error(), "is read back") {
				t.Errorf("Run: got %v, want the path and no promise", err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("Close: got %v, want no second error", err)
			}
		})
	}
}

func TestIdleStoreNoticesThatItsDirectoryIsGone(t *testing.T) {
	r := disturbed(t, disturbances["gone"])
	<-r.ended
	if err := r.stop(); !errors.Is(err, errMoved) {
		t.Errorf("Run: got %v, want that the directory is gone", err)
	}
}

func TestCloseSaysOnceThatTheDirectoryIsGone(t *testing.T) {
	r := newRig(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	aside := r.cfg.Path + ".aside"
	if err := os.Rename(r.cfg.Path, aside); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); !errors.Is(err, errMoved) {
		t.Errorf("got %v, want that the directory is gone", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("closing again: got %v, want nil", err)
	}
	if err := errors.Join(os.Rename(aside, r.cfg.Path), r.db.Close()); err != nil {
		t.Error(err)
	}
}
