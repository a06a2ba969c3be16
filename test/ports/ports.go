// Package ports gives the servers of a test ports that stay theirs while they do not listen: what stops and
// starts again must not find a stranger on its port, and who calls meanwhile must be refused.
package ports

import (
	"fmt"
	"testing"
)

// Hold gives an address of 127.0.0.1 where the caller, or a process that it starts, may listen as often as it
// likes. Until release is called nobody else is given the port. Only Linux holds it; elsewhere it is merely free.
func Hold() (address string, release func(), err error) {
	address, release, err = hold()
	if err != nil {
		return "", nil, fmt.Errorf("holding a port: %w", err)
	}
	return address, release, nil
}

// Held is Hold for the length of a test.
func Held(t testing.TB) (address string) {
	t.Helper()
	address, release, err := Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}
