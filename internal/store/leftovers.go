package store

import (
	"os"
	"path/filepath"
	"syscall"
)

// dropEmptyLogs removes logs without a byte. Badger makes a log empty and lets it grow in a second step, and
// empties one before it removes it; when a process is killed or finds no room in between, Badger refuses the
// directory for good because of a file that holds nothing.
func dropEmptyLogs(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // the lock that Badger takes as well: opening will say who has it
	}
	files, err := dir.ReadDir(0)
	for _, file := range files {
		if kind := filepath.Ext(file.Name()); err != nil || kind != ".mem" && kind != ".vlog" {
			continue
		}
		var info os.FileInfo
		if info, err = file.Info(); err == nil && info.Size() == 0 {
			err = os.Remove(filepath.Join(path, file.Name()))
		}
	}
	return err
}
