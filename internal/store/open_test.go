package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/pdhook/pdhook/internal/access"
)

func TestOpenSaysWhatIsWrongAndTheWayOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, path string
		want       []string
	}{
		{"no path", "", []string{"store.path", "name a directory"}},
		{"parent missing", filepath.Join(filepath.Dir(file), "a", "b"), []string{"/a/b", "create the directory", "another store.path"}},
		{"parent read-only", "/sys/pdhook", []string{"/sys/pdhook", "make /sys writable for the user", "another store.path"}},
		{"below a file", filepath.Join(file, "a"), []string{file, "another store.path"}},
		{"a file", file, []string{file, "not a directory"}},
		{"read-only", "/proc", []string{"/proc", "make it writable", "another store.path"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := newRig(t).cfg
			cfg.Path = row.path
			_, err := Open(cfg)
			for _, part := range row.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("got error %v, want %q in it", err, part)
				}
			}
		})
	}
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	r := newRig(t)
	_, err := Open(r.cfg)
	if want := "another pdhook runs on " + r.cfg.Path + "; stop it or set another store.path"; !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want ErrInUse with %q", err, want)
	}
}

func TestDirectoryIsPrivateAndKeepsItsName(t *testing.T) {
	r := newRig(t)
	name := r.Replica()
	r.reopen()
	if name == "" || r.Replica() != name {
		t.Errorf("replica: got %q after reopening, want %q", r.Replica(), name)
	}
	if other := newRig(t); other.Replica() == name {
		t.Errorf("two directories are called %q", name)
	}
	if info, err := os.Stat(r.cfg.Path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode: got %v (%v), want 0700", info.Mode(), err)
	}
}

func TestForeignAndNewerDirectoriesAreRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change changes
		is     error
		want   string
	}{
		{"newer", changes{keySchema: []byte("2")}, ErrNewer, "start the newer pdhook again"},
		{"no number", changes{keySchema: []byte("x")}, nil, "move it aside"},
		{"not pdhook's", changes{keySchema: nil}, nil, "not pdhook's"},
		{"without a name", changes{keyReplica: nil}, nil, "move it aside"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			if err := r.db.Commit(row.change); err != nil {
				t.Fatal(err)
			}
			r.close()
			_, err := Open(r.cfg)
			if err == nil || !strings.Contains(err.Error(), row.want) || row.is != nil && !errors.Is(err, row.is) {
				t.Errorf("got error %v, want %q in it", err, row.want)
			}
		})
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for _, pattern := range []string{"MANIFEST", "*.sst"} {
		t.Run(pattern, func(t *testing.T) {
			r := newRig(t)
			r.accept(event("e1"))
			r.close()
			found := must[[]string](t)(filepath.Glob(filepath.Join(r.cfg.Path, pattern)))
			if len(found) == 0 {
				t.Fatal("no such file")
			}
			content := must[[]byte](t)(os.ReadFile(found[0]))
			content[5] ^= 0xff
			if err := os.WriteFile(found[0], content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(r.cfg)
			if err == nil || !strings.Contains(err.Error(), "move it aside: accepted events not yet processed in it are lost, links are rebuilt") {
				t.Errorf("got error %v, want the way out", err)
			}
		})
	}
}

func TestUnknownFieldsAreTolerated(t *testing.T) {
	r := newRig(t)
	if err := r.db.Commit(changes{string(linkKey("r1")): []byte("\x01" + `{"request":"r1","later":{"a":1}}`)}); err != nil {
		t.Fatal(err)
	}
	r.reopen()
	if got := must[access.Link](t)(r.Link(t.Context(), "r1")); got.Request != "r1" {
		t.Errorf("got link %+v, want r1", got)
	}
}

func TestOptionsKeepEveryEventOutOfTheValueLog(t *testing.T) {
	o := smallOptions("", nil)
	if o.ValueThreshold < maxBatch || o.MemTableSize*15/100 <= maxBatch+portion {
		t.Errorf("options: threshold %d, memtable %d", o.ValueThreshold, o.MemTableSize)
	}
	db := must[*badger.DB](t)(badger.Open(smallOptions(t.TempDir(), badgerLog{newRig(t).log, func(error) {}})))
	defer db.Close()
	if db.MaxBatchSize() <= maxBatch+portion || db.MaxBatchCount() <= maxBatch/perChange+portion/perChange {
		t.Errorf("Badger takes %d bytes and %d changes", db.MaxBatchSize(), db.MaxBatchCount())
	}
}
