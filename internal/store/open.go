package store

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// schema is the version of the drawing in keys.go. It rises when an older pdhook would misread it.
const schema = 1

// Open opens the directory, and makes it when it is not there yet. Its errors are for people: what is
// wrong, with which path, and the way out. ErrInUse, ErrNewer and ErrFull can be told apart.
func Open(cfg Config) (*Store, error) {
	switch {
	case cfg.Path == "":
		return nil, errors.New("store.path is not set; name a directory")
	case cfg.Retention <= 0:
		return nil, errors.New("store.retention must be above zero")
	case cfg.Log == nil:
		return nil, errors.New("store needs a logger")
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.space == nil {
		cfg.space = measureRoom
	}
	if cfg.free == nil {
		cfg.free = freeBytes
	}
	if err := prepareDirectory(cfg.Path); err != nil {
		return nil, err
	}
	if err := roomToOpen(cfg); err != nil {
		return nil, err
	}
	s := &Store{
		path:      cfg.Path,
		retention: cfg.Retention,
		log:       cfg.Log,
		now:       cfg.now,
		reserve:   &reserve{dir: cfg.Path, measure: cfg.space, free: cfg.free, now: cfg.now},
		queue:     make(chan *operation, maxQueue),
		reported:  make(chan error, 1),
		ended:     make(chan struct{}),
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	if cfg.wrap != nil {
		s.db = cfg.wrap(s.db)
	}
	return s, nil
}

// prepareDirectory makes sure of a directory that can be written to.
func prepareDirectory(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		switch err := os.Mkdir(path, 0o700); {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("creating the store in %s: %w; create the directory %s for the user that runs pdhook, or set another store.path",
				path, err, filepath.Dir(path))
		case err != nil:
			return fmt.Errorf("creating the store in %s: %w; make %s writable for the user that runs pdhook, or set another store.path",
				path, err, filepath.Dir(path))
		}
		if err := syncDirectory(filepath.Dir(path)); err != nil {
			return fmt.Errorf("creating the store in %s: %w", path, err)
		}
	case err != nil:
		return fmt.Errorf("looking for the store in %s: %w; set another store.path", path, err)
	case !info.IsDir():
		return fmt.Errorf("store.path %s is not a directory; set it to one", path)
	}
	return tryWriting(path)
}

// tryWriting makes a file and removes it.
func tryWriting(path string) error {
	probe, err := os.CreateTemp(path, ".writable-*")
	if err != nil {
		return fmt.Errorf("writing to the store in %s: %w; make it writable for the user that runs pdhook, or set another store.path", path, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// syncDirectory makes a new entry of a directory survive power loss. Badger does so within its own only.
func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// roomToOpen: Badger replays its log into tables when it opens, and is killed by SIGBUS when the volume
// has no room for them. Better to say so.
func roomToOpen(cfg Config) error {
	r, err := cfg.space(cfg.Path)
	if err != nil {
		return fmt.Errorf("measuring free space of the store in %s: %w", cfg.Path, err)
	}
	if need := r.used + 4<<20; r.free < need {
		return fmt.Errorf("%w: opening %s needs %s free, there are %s; free space on its volume", ErrFull, cfg.Path, size(need), size(r.free))
	}
	return nil
}

// open opens Badger and checks whose directory it is.
func (s *Store) open() error {
	if err := dropEmptyLogs(s.path); err != nil {
		return s.openError(err)
	}
	db, err := badger.Open(smallOptions(s.path, badgerLog{s.log, s.report}))
	if err != nil {
		return s.openError(err)
	}
	log, err := openWriteAhead(s.path)
	if err != nil {
		return errors.Join(s.openError(err), db.Close())
	}
	s.db = badgerEngine{db, log}
	if s.directory, err = os.Stat(s.path); err == nil {
		err = s.checkIn()
	}
	select {
	case ignored := <-s.reported: // a damaged table that Badger would do without
		err = errors.Join(err, s.openError(ignored))
	default:
	}
	if err != nil {
		return errors.Join(err, s.release())
	}
	return nil
}

func inUse(path string) error {
	return fmt.Errorf("%w: another pdhook runs on %s; stop it or set another store.path", ErrInUse, path)
}

func (s *Store) openError(err error) error {
	if strings.Contains(err.Error(), "Another process is using this Badger database") {
		return inUse(s.path)
	}
	return fmt.Errorf("store in %s cannot be opened: %s; move it aside: accepted events not yet processed in it are lost, links are rebuilt", s.path, oneLine(err.Error()))
}

// checkIn reads what directory this is, and signs a new one.
func (s *Store) checkIn() error {
	var version, replica []byte
	foreign := false
	err := s.view(func(now snapshot) (err error) {
		if version, err = now.value(key(keySchema)); err != nil {
			return err
		}
		if replica, err = now.value(key(keyReplica)); err != nil {
			return err
		}
		return now.keys(nil, func([]byte) (bool, error) {
			foreign = version == nil
			return false, nil
		})
	})
	switch n, numeric := strconv.Atoi(string(version)); {
	case err != nil:
		return s.openError(err)
	case foreign:
		return fmt.Errorf("store.path %s holds a Badger database that is not pdhook's; set another store.path", s.path)
	case version == nil:
		return s.sign()
	case numeric != nil || n < 1 || len(replica) == 0:
		return s.openError(fmt.Errorf("%w: schema %q, replica %q", errDamaged, version, replica))
	case n > schema:
		return fmt.Errorf("%w: %s has schema %d, this pdhook knows %d; start the newer pdhook again, or move the directory aside: accepted events not yet processed in it are lost, links are rebuilt",
			ErrNewer, s.path, n, schema)
	}
	s.replica = string(replica)
	return nil
}

func (s *Store) sign() error {
	s.replica = strings.ToLower(rand.Text())
	err := s.db.Commit(changes{
		keySchema:  []byte(strconv.Itoa(schema)),
		keyReplica: []byte(s.replica),
	})
	if err != nil {
		return s.openError(err)
	}
	return nil
}
