package listen

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func TestConnectionsAreBounded(t *testing.T) {
	entered, finish := make(chan struct{}, 2), make(chan struct{})
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-finish })
	s, _ := start(t, Config{MaxConns: 1, Handler: handler}, func(s *Server) { s.crowd.patience = time.Hour })
	first := dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-entered
	second := dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") // the kernel takes it
	_ = second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("second connection: got %v, want it to wait", err)
	}
	close(finish)
	_ = first.Close()
	answered(t, second)
}

func TestWhoeverHasWaitedLongestForAnAnswerMakesRoom(t *testing.T) {
	for name, sent := range map[string]string{
		"nothing sent":    "",
		"half a header":   "GET / HTTP/1.1\r\nHost:",
		"half a body":     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf",
		"nothing further": "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			readAll := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
			s, log := start(t, Config{MaxConns: 4, Handler: readAll}, func(s *Server) { s.crowd.patience = 10 * time.Millisecond })
			for range 20 { // five times as many as there are places, each held open by its client
				dial(t, s, sent)
			}
			begun := time.Now()
			answered(t, dial(t, s, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("the answer took %s, as long as the time-outs of the others", took)
			}
			eventually(t, "a line in the log", func() bool { return strings.Contains(log.String(), "connection closed to make room") })
		})
	}
}

func TestAConnectionThatIsAnsweredAgainAndAgainStays(t *testing.T) {
	s, _ := start(t, Config{MaxConns: 8}, func(s *Server) { s.crowd.patience = time.Millisecond })
	busy := dial(t, s, "")
	for range 30 {
		for _, conn := range []net.Conn{busy, dial(t, s, "")} {
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			answered(t, conn)
		}
	}
}

// dial opens a connection until the test ends and sends something.
func dial(t *testing.T, s *Server, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, request)
	return conn
}

// answered wants one answer on the connection.
func answered(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatalf("half an answer: %v", err)
	}
}
