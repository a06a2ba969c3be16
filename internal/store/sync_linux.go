package store

import (
	"os"
	"syscall"
)

// syncData brings a file's content to disk, and of the rest only what is needed to read it back: not, as
// fsync(2) would, the time at which it was changed.
func syncData(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
