package config

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Lock keeps other processes that change the file out until release is called, or this one ends. Where nothing can be
// written beside the file there is nothing to lock: Write tells why.
func (f SecretFile) Lock() (release func(), err error) {
	target, err := f.target()
	if err != nil {
		return nil, err
	}
	path := target + ".lock"
	for {
		lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return func() {}, nil //nolint:nilerr // see above
		}
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("another process is changing %s: run this again when it has ended", f), lock.Close())
		}
		if isAt(lock, path) {
			return func() {
				_ = os.Remove(path) // one that stays locks nobody out
				_ = lock.Close()
			}, nil
		}
		if err := lock.Close(); err != nil { // whoever held it has removed it
			return nil, fmt.Errorf("locking %s: %w", f, err)
		}
	}
}

// isAt reports whether an open file is still the one at path.
func isAt(open *os.File, path string) bool {
	this, err := open.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(this, there)
}
