package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// writeAhead syncs Badger's write-ahead log: the newest of 00001.mem, 00002.mem and so on. When the log is
// full Badger begins the next one before it writes a transaction, so that each is in one log as a whole.
//
// Badger would sync its value log as well, which holds nothing of ours: two syncs for each commit.
type writeAhead struct {
	dir    string
	number int
	file   *os.File
}

// openWriteAhead finds the log that Badger writes to once it is open.
func openWriteAhead(dir string) (*writeAhead, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	newest := 0
	for _, entry := range entries {
		if digits, is := strings.CutSuffix(entry.Name(), ".mem"); is {
			number, _ := strconv.Atoi(digits) // Badger refuses a log without a number
			newest = max(newest, number)
		}
	}
	l := &writeAhead{dir: dir}
	return l, l.turnTo(newest)
}

// turnTo opens a log and makes its entry in the directory survive power loss, which Badger leaves to the
// file system.
func (l *writeAhead) turnTo(number int) error {
	file, err := os.Open(l.path(number))
	if err != nil {
		return err
	}
	if err := syncDirectory(l.dir); err != nil {
		return errors.Join(err, file.Close())
	}
	err = l.Close()
	l.number, l.file = number, file
	return err
}

func (l *writeAhead) path(number int) string {
	return filepath.Join(l.dir, fmt.Sprintf("%05d.mem", number))
}

// sync returns nil when the transaction that Badger wrote last is on disk. Without a new log it needs no
// descriptor: that there are none left is no failure of the disk.
func (l *writeAhead) sync() error {
	for {
		_, err := os.Stat(l.path(l.number + 1))
		if errors.Is(err, fs.ErrNotExist) {
			return syncData(l.file)
		}
		if err == nil {
			err = l.turnTo(l.number + 1)
		}
		if err != nil {
			return err
		}
	}
}

// Close leaves the log to Badger. It may be called when none is open.
func (l *writeAhead) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
