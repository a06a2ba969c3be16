package store

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// engine is what the store needs of Badger: all that a test has to stand in for to make a disk fail.
type engine interface {
	// View lets fn read one consistent state.
	View(fn func(*badger.Txn) error) error
	// Commit writes all of the changes or none, and returns nil when they are synced to disk.
	Commit(changes) error
	Close() error
}

// changes maps keys to their new values; nil deletes.
type changes map[string][]byte

// badgerEngine is the engine of every store that is no test.
type badgerEngine struct {
	*badger.DB
	log *writeAhead
}

// Commit is called by one goroutine at a time. Readers may see the changes a moment before they are synced.
func (b badgerEngine) Commit(c changes) error {
	err := b.Update(func(txn *badger.Txn) error {
		for k, v := range c {
			if err := change(txn, []byte(k), v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.log.sync()
}

func (b badgerEngine) Close() error { return errors.Join(b.DB.Close(), b.log.Close()) }

func change(txn *badger.Txn, k, v []byte) error {
	if v == nil {
		return txn.Delete(k)
	}
	return txn.Set(k, v)
}

// smallOptions suit a container with 128 MiB and a store of some thousand small records.
func smallOptions(path string, log badger.Logger) badger.Options {
	return badger.DefaultOptions(path).
		// What is committed has to survive power loss: writeAhead sees to it.
		WithSyncWrites(false).
		// The least that allows transactions of 1 MiB (15 % of it) next to the value threshold; each
		// costs this much memory and, in the log beside it, disk.
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		// Values below it stay in the tables. Ours all do, so the value log is empty: it needs neither
		// collection nor sync.
		WithValueThreshold(1 << 20).
		WithValueLogFileSize(16 << 20).
		// Without compression no cache of unpacked blocks is needed: the page cache does as well, and
		// the kernel takes it back when memory is short.
		WithCompression(options.None).
		WithBlockCacheSize(0).
		// Each event of 4 KiB would fill a block of its own, for which a table under way reserves three
		// times that: four of them in a block halve the memory of a flush.
		WithBlockSize(16 << 10).
		// Two is the least that Badger wants. Few tables on level 0: reads stay short, and the stall
		// at four bounds the memory and disk that unsorted tables take.
		WithNumCompactors(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(4).
		// Damage is found when a table is opened. While reading, Badger takes a damaged block for an
		// absent key.
		WithChecksumVerificationMode(options.OnTableRead).
		// One goroutine writes, so there are no conflicts to look for.
		WithDetectConflicts(false).
		// They are process-wide expvars that nobody reads.
		WithMetricsEnabled(false).
		WithLogger(log)
}

// badgerLog hands Badger's words to slog. What Badger reports as an error, or warns of with an error in
// hand, is a sync, flush or compaction that it would retry for ever or has dropped: broken hears of it.
type badgerLog struct {
	log    *slog.Logger
	broken func(error)
}

func (l badgerLog) Errorf(format string, args ...any) {
	text := l.warn(format, args)
	l.broken(errors.New(text))
}

func (l badgerLog) Warningf(format string, args ...any) {
	text := l.warn(format, args)
	for _, arg := range args {
		if _, failed := arg.(error); failed {
			l.broken(errors.New(text))
			return
		}
	}
}

func (l badgerLog) warn(format string, args []any) string {
	text := oneLine(fmt.Sprintf(format, args...))
	l.log.Warn("badger", "text", text)
	return text
}

func (l badgerLog) Infof(format string, args ...any) { l.Debugf(format, args...) }

func (l badgerLog) Debugf(format string, args ...any) {
	l.log.Debug("badger", "text", oneLine(fmt.Sprintf(format, args...)))
}

// oneLine puts on one line what Badger says on several.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
