package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

// leftovers are files as a process leaves them that is killed, or finds no room, between making and filling or
// between emptying and removing one.
var leftovers = map[string]func(dir string) error{
	"log just made":             func(dir string) error { return os.WriteFile(filepath.Join(dir, "00009.mem"), nil, 0o600) },
	"log grown, without header": func(dir string) error { return sparse(filepath.Join(dir, "00009.mem"), 16<<20) },
	"log about to be removed":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "00000.mem"), nil, 0o600) },
	"value log just made":       func(dir string) error { return os.WriteFile(filepath.Join(dir, "000009.vlog"), nil, 0o600) },
	"value log grown":           func(dir string) error { return sparse(filepath.Join(dir, "000009.vlog"), 32<<20) },
	"value log being removed":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "000000.vlog"), nil, 0o600) },
	"table just made":           func(dir string) error { return os.WriteFile(filepath.Join(dir, "000099.sst"), nil, 0o600) },
	"table grown":               func(dir string) error { return sparse(filepath.Join(dir, "000099.sst"), 1<<20) },
	"manifest under way": func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "MANIFEST-REWRITE"), []byte("Bd"), 0o600)
	},
	"statistics emptied": func(dir string) error { return os.Truncate(filepath.Join(dir, "DISCARD"), 0) },
	"key registry under way": func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "REWRITE-KEYREGISTRY"), []byte("x"), 0o600)
	},
}

func sparse(path string, size int64) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

func TestFilesThatAKilledProcessLeftBehindAreNoObstacle(t *testing.T) {
	for name, leave := range leftovers {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.accept(event("e1"))
			r.close()
			if err := leave(r.cfg.Path); err != nil {
				t.Fatal(err)
			}
			r.open()
			r.accept(event("e2"))
			r.reopen()
			wantSame(t, "undispatched", len(must[[]access.Event](t)(r.Undispatched(t.Context()))), 2)
		})
	}
}

func TestLogThatARunningProcessHasJustMadeIsLeftAlone(t *testing.T) {
	r := newRig(t)
	made := filepath.Join(r.cfg.Path, "00009.mem")
	if err := os.WriteFile(made, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(r.cfg); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if _, err := os.Stat(made); err != nil {
		t.Error(err)
	}
}
