package store

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// reader gives the value of a key, and nil without an error when there is none.
type reader interface {
	value(k key) ([]byte, error)
}

// snapshot reads one state of the disk.
type snapshot struct{ txn *badger.Txn }

func (s snapshot) value(k key) ([]byte, error) {
	item, err := s.txn.Get(k)
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: reading %q: %v", errDamaged, k, err)
	}
	value, err := item.ValueCopy([]byte{}) // not nil, which would say "not there"
	if err != nil {
		return nil, fmt.Errorf("%w: reading %q: %v", errDamaged, k, err)
	}
	return value, nil
}

// keys calls each with every key that begins with prefix, in order, until each returns false. The key
// is valid during the call only.
func (s snapshot) keys(prefix key, each func(k []byte) (more bool, err error)) error {
	return s.walk(prefix, prefix, false, each)
}

// keysBackwards is keys from the last to the first.
func (s snapshot) keysBackwards(prefix key, each func(k []byte) (more bool, err error)) error {
	end := append(append(key{}, prefix...), 0xff) // behind every time and every length of an ID
	return s.walk(prefix, end, true, each)
}

func (s snapshot) walk(prefix, from key, reverse bool, each func([]byte) (bool, error)) error {
	it := s.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: reverse})
	defer it.Close()
	for it.Seek(from); it.ValidForPrefix(prefix); it.Next() {
		if more, err := each(it.Item().Key()); err != nil || !more {
			return err
		}
	}
	return nil
}

// lookup gives the record at k, and false when there is none.
func lookup[T any](r reader, k key) (v T, found bool, err error) {
	value, err := r.value(k)
	if err != nil || value == nil {
		return v, false, err
	}
	v, err = decode[T](k, value)
	return v, err == nil, err
}

// need gives the record that an index led to: if there is none, the index or the record is damaged.
func need[T any](r reader, k key) (T, error) {
	v, found, err := lookup[T](r, k)
	if err == nil && !found {
		err = fmt.Errorf("%w: an index leads to %q, which is not there", errDamaged, k)
	}
	return v, err
}
