package ports

import (
	"net/netip"
	"os"
	"syscall"
)

// hold binds a socket that never listens. With SO_REUSEADDR on both sockets, which Go sets where it listens,
// Linux lets others listen on the port if they name it, but hands it to nobody who asks for any.
func hold() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	release = func() { _ = syscall.Close(fd) }
	local := netip.MustParseAddr("127.0.0.1")
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		release()
		return "", nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: local.As4()}); err != nil {
		release()
		return "", nil, os.NewSyscallError("bind", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		release()
		return "", nil, os.NewSyscallError("getsockname", err)
	}
	return netip.AddrPortFrom(local, uint16(bound.(*syscall.SockaddrInet4).Port)).String(), release, nil
}
