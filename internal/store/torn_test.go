package store

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

// torn is what a crash may make of the end of the log, behind the last record that was acknowledged.
var torn = map[string]func(log []byte, end int) []byte{
	"record cut short": func(log []byte, end int) []byte {
		copy(log[end:], log[20:20+60]) // the beginning of a record, as the log has it at its beginning
		return log
	},
	"garbage behind it": func(log []byte, end int) []byte {
		_, _ = rand.Read(log[end : end+4096])
		return log
	},
	"file cut there":          func(log []byte, end int) []byte { return log[:end] },
	"file cut in a record":    func(log []byte, end int) []byte { copy(log[end:], log[20:20+60]); return log[:end+40] },
	"whole transaction again": func(log []byte, end int) []byte { copy(log[end:], log[20:end]); return log },
}

func TestTornEndOfTheLogLosesNothingAcknowledged(t *testing.T) {
	for name, tear := range torn {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, id := range []access.EventID{"e1", "e2", "e3"} {
				r.accept(event(id))
			}
			crashed := r.cfg // what a power cut leaves: the files as they are now
			crashed.Path = filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(crashed.Path, os.DirFS(r.cfg.Path)); err != nil {
				t.Fatal(err)
			}
			tearLog(t, crashed.Path, tear)
			found := newRig(t, func(r *rig) { r.cfg = crashed })
			wantSame(t, "undispatched", len(must[[]access.Event](t)(found.Undispatched(t.Context()))), 3)
			found.accept(event("e4"))
			found.reopen()
			wantSame(t, "undispatched", len(must[[]access.Event](t)(found.Undispatched(t.Context()))), 4)
		})
	}
}

func tearLog(t *testing.T, dir string, tear func([]byte, int) []byte) {
	t.Helper()
	logs := must[[]string](t)(filepath.Glob(filepath.Join(dir, "*.mem")))
	if len(logs) != 1 {
		t.Fatalf("got logs %q, want one", logs)
	}
	log := must[[]byte](t)(os.ReadFile(logs[0]))
	end := endOf(log)
	if len(bytes.TrimRight(log[end:], "\x00")) > 0 {
		t.Fatal("the log goes on behind its last transaction")
	}
	if err := os.WriteFile(logs[0], tear(log, end), 0o600); err != nil {
		t.Fatal(err)
	}
}

// endOf gives where the last transaction in a log ends: in an entry of "!badger!txn" and a timestamp of 8 bytes,
// its value, whose length stands two bytes before, and a checksum of 4 bytes.
func endOf(log []byte) int {
	const mark = "!badger!txn"
	at := bytes.LastIndex(log, []byte(mark))
	return at + len(mark) + 8 + int(log[at-2]) + 4
}
