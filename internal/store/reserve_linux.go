package store

import "syscall"

// freeBytes is what an unprivileged process may still fill on the volume of dir. Blocks are counted in
// fragments (statvfs(3)), which on FUSE differ from the preferred size of a transfer.
func freeBytes(dir string) (uint64, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return fs.Bavail * uint64(fs.Frsize), nil
}
