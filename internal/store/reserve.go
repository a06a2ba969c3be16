package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// Badger writes through memory maps: a volume without free blocks kills the process by SIGBUS instead of
// returning an error. So nothing is stored unless this much stays free: a fixed part for the logs and
// tables under way, and for compaction, which writes tables anew, a multiple of what the directory has.
const (
	reserveFixed = 64 << 20
	reserveTimes = 4
	// measureEvery bounds how often the volume is looked at.
	measureEvery = time.Second
)

// room is what a volume has left and what the store takes of it, in bytes of real blocks: Badger's files
// are sparse, so their lengths say nothing.
type room struct{ free, used uint64 }

func (r room) needed() uint64 { return reserveFixed + reserveTimes*r.used }

// reserve watches the free space of the store's volume.
type reserve struct {
	dir     string
	measure func(dir string) (room, error)
	now     func() time.Time

	mu   sync.Mutex
	at   time.Time
	last room
	err  error
}

// check gives ErrFull, with the figures, when the volume is at its reserve.
func (r *reserve) check() error {
	last, err := r.look()
	switch {
	case err != nil:
		return fmt.Errorf("measuring free space of %s: %w", r.dir, err)
	case last.free <= last.needed():
		return fmt.Errorf("%w: volume of %s has %s free, more than %s are needed (64 MiB and four times the %s in use); free space or enlarge the volume",
			ErrFull, r.dir, size(last.free), size(last.needed()), size(last.used))
	}
	return nil
}

func (r *reserve) used() (uint64, error) {
	last, err := r.look()
	return last.used, err
}

func (r *reserve) look() (room, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := r.now().Sub(r.at); r.at.IsZero() || age < 0 || age >= measureEvery {
		r.last, r.err = r.measure(r.dir)
		r.at = r.now()
	}
	return r.last, r.err
}

// measureRoom asks the file system. Badger keeps no folders below dir.
func measureRoom(dir string) (room, error) {
	free, err := freeBytes(dir)
	if err != nil {
		return room{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return room{}, err
	}
	r := room{free: free}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted away meanwhile
		}
		if err != nil {
			return room{}, err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			r.used += uint64(stat.Blocks) * 512 // stat(2): always in units of 512 bytes
		}
	}
	return r, nil
}

// size prints bytes for people.
func size(bytes uint64) string {
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
