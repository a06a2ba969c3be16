package ports

import (
	"net"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAHeldPortIsListenedOnAgainAndAgain(t *testing.T) {
	address := Held(t)
	for range 3 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			t.Fatal("somebody answers while nobody listens")
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		_ = l.Close()
	}
}

func TestAHeldPortIsGivenToNobodyElse(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // only Linux holds ports
	}
	const some = 500
	held := map[string]bool{}
	for range some {
		held[Held(t)] = true
	}
	if len(held) != some {
		t.Errorf("got %d ports, want %d", len(held), some)
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	for range 1_000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // leaves nothing behind
		_, _ = conn.Close(), accepted.Close()
		for _, addr := range []net.Addr{l.Addr(), conn.LocalAddr()} {
			if held[addr.String()] {
				t.Fatalf("%s was given to somebody else", addr)
			}
		}
	}
}
