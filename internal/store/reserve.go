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
// returning an error. So nothing new is stored unless this much stays free: a fixed part for the logs and
// tables under way, and for compaction, which writes tables anew, a multiple of what the directory has.
const (
	reserveFixed = 64 << 20
	reserveTimes = 4
	// leastFixed and once what the directory has must be free for anything to be written, be it to finish or
	// to forget what is there: a table of each level, and one compaction of all there is. Others may fill the
	// volume faster than Badger's own work, which nothing can hold up once it began, uses the reserve.
	leastFixed = 16 << 20
	// measureEvery bounds how often the volume is measured. Before each commit what is free is read anew:
	// within a second a burst of large events could pass the reserve.
	measureEvery = time.Second
)

// room is what a volume has left and what the store takes of it, in bytes of real blocks: Badger's files
// are sparse, so their lengths say nothing.
type room struct {
	free, used uint64
	gone       uint64 // from the volume since used was measured: counts as the store's, whoever took it
}

func (r room) needed() uint64 { return reserveFixed + reserveTimes*(r.used+r.gone) }

func (r room) least() uint64 { return leastFixed + r.used + r.gone }

// after gives the room once free has changed.
func (r room) after(free uint64) room {
	return room{free: free, used: r.used, gone: r.gone + r.free - min(r.free, free)}
}

// reserve watches the free space of the store's volume.
type reserve struct {
	dir     string
	measure func(dir string) (room, error)
	free    func(dir string) (uint64, error) // a part of it, in a tenth of the time
	now     func() time.Time

	mu   sync.Mutex
	at   time.Time // of the measurement
	last room
	err  error
}

// check gives ErrFull, with the figures, when the volume is at its reserve.
func (r *reserve) check() error {
	last, err := r.look()
	switch {
	case err != nil:
		return err
	case last.free <= last.needed():
		return atReserve(r.dir, last)
	}
	return nil
}

func atReserve(dir string, last room) error {
	return fmt.Errorf("%w: volume of %s has %s free, more than %s are needed (64 MiB and four times the %s in use); free space or enlarge the volume",
		ErrFull, dir, size(last.free), size(last.needed()), size(last.used))
}

// checkLeast reads anew what is free and gives ErrFull, with the figures, when nothing at all may be written.
func (r *reserve) checkLeast() error {
	last, err := r.lookAgain()
	switch {
	case err != nil:
		return err
	case last.free <= last.least():
		return fmt.Errorf("%w: volume of %s has %s free, nothing is written below %s; free space or enlarge the volume",
			ErrFull, r.dir, size(last.free), size(last.least()))
	}
	return nil
}

func (r *reserve) used() (uint64, error) {
	last, err := r.look()
	return last.used, err
}

func (r *reserve) available() (uint64, error) {
	last, err := r.look()
	return last.free - min(last.free, last.needed()), err
}

// look gives what was read last, measured less than measureEvery ago.
func (r *reserve) look() (room, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outdated() {
		r.take()
	}
	return r.last, r.err
}

// lookAgain reads what is free, and measures when that might be too little.
func (r *reserve) lookAgain() (room, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	free, err := r.free(r.dir)
	r.last = r.last.after(free)
	if r.outdated() || err != nil || r.last.free <= r.last.needed() {
		r.take()
	}
	return r.last, r.err
}

func (r *reserve) outdated() bool {
	age := r.now().Sub(r.at)
	return r.at.IsZero() || r.err != nil || age < 0 || age >= measureEvery
}

// take measures.
func (r *reserve) take() {
	if r.last, r.err = r.measure(r.dir); r.err != nil {
		r.err = fmt.Errorf("measuring free space of %s: %w", r.dir, r.err)
	}
	r.at = r.now()
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
