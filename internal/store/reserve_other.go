//go:build !linux

package store

import "syscall"

// freeBytes is what an unprivileged process may still fill on the volume of dir.
func freeBytes(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return uint64(fs.Bavail) * uint64(fs.Bsize), nil
}
