package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// lookEvery is how often a store that has nothing to do looks whether its directory is still there.
const lookEvery = time.Second

// errMoved: what Badger writes to its open files is found by no next start.
var errMoved = errors.New("the store directory was moved or replaced while running; restart pdhook")

// inPlace gives errMoved unless store.path leads to the directory that was opened, with Badger's files in it.
// The directory's number is not given to another one meanwhile, as Badger keeps it open.
func (s *Store) inPlace() error {
	now, err := os.Stat(s.path)
	if err == nil && !os.SameFile(s.directory, now) {
		return errMoved
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(s.path, badger.ManifestFilename)) // only ever replaced by a rename
	}
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return nil
}
