package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLookLeavesNothingBehindAndSeesWhatOpenWould(t *testing.T) {
	cfg := newRig(t).cfg
	cfg.Path = t.TempDir()
	open := must[*Store](t)(Open(cfg))
	if place, err := Look(cfg.Path, true); err != nil || place.New || place.Free == 0 || place.Need < reserveFixed {
		t.Errorf("beside a service: got %+v, %v", place, err)
	}
	if _, err := Look(cfg.Path, false); !errors.Is(err, ErrInUse) {
		t.Errorf("beside another service: got %v, want ErrInUse", err)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Look(cfg.Path, false); err != nil {
		t.Errorf("after it: got %v", err)
	}
	if err := must[*Store](t)(Open(cfg)).Close(); err != nil {
		t.Errorf("closing after a look: %v", err)
	}

	dir := t.TempDir()
	fresh := filepath.Join(dir, "store")
	if place, err := Look(fresh, false); err != nil || !place.New || place.Need != reserveFixed {
		t.Errorf("a new one: got %+v, %v", place, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "file"):          "is not a directory; set it to one",
		filepath.Join(dir, "file", "store"): "not a directory",
		filepath.Join(dir, "no", "store"):   "create the directory " + filepath.Join(dir, "no"),
	} {
		if _, err := Look(path, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLookTellsOfAVolumeWithoutRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	place, err := look(path, false, func(string) (room, error) { return room{free: 64 << 20, used: 5 << 20}, nil })
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "free space or enlarge") || place.Free != 64<<20 {
		t.Errorf("got %+v, %v, want ErrFull", place, err)
	}
	if place, err = look(path, false, func(string) (room, error) { return room{free: 64<<20 + 1, used: 5 << 20}, nil }); err != nil || !place.New {
		t.Errorf("got %+v, %v: what others keep beside it does not count", place, err)
	}
}
