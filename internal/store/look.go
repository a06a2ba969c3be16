package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Place is a directory in which a store is, or would be.
type Place struct {
	New  bool   // it is not there yet, and Open would make it
	Free uint64 // bytes that its volume has left
	Need uint64 // bytes that have to be left for webhooks to be taken
}

// Look says whether Open could use the directory, and leaves nothing behind. With shared, another pdhook may be
// running on it. Its errors are those of Open.
func Look(path string, shared bool) (Place, error) { return look(path, shared, measureRoom) }

func look(path string, shared bool, measure func(string) (room, error)) (Place, error) {
	info, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	dir := path
	if missing {
		dir = filepath.Dir(path)
		info, err = os.Stat(dir)
	}
	switch {
	case missing && err != nil:
		return Place{}, fmt.Errorf("creating the store in %s: %w; create the directory %s for the user that runs pdhook, or set another store.path",
			path, err, dir)
	case err != nil:
		return Place{}, fmt.Errorf("looking for the store in %s: %w; set another store.path", path, err)
	case !info.IsDir():
		return Place{}, fmt.Errorf("store.path %s is not a directory; set it to one", path)
	}
	if err := tryWriting(dir); err != nil {
		return Place{}, err
	}
	if !missing && !shared {
		if err := tryLock(path); err != nil {
			return Place{}, err
		}
	}
	last, err := measure(dir)
	if err != nil {
		return Place{}, fmt.Errorf("measuring free space of the store in %s: %w", path, err)
	}
	if missing {
		last.used = 0 // that of others
	}
	place := Place{New: missing, Free: last.free, Need: last.needed()}
	if place.Free <= place.Need {
		return place, atReserve(path, last)
	}
	return place, nil
}

// tryLock takes for a moment the lock that Badger holds on its directory.
func tryLock(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("looking for the store in %s: %w; set another store.path", path, err)
	}
	defer dir.Close()
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return inUse(path)
	}
	return nil
}
