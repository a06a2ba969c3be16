package webhook_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// net/http itself has a part in these answers.
func TestRequestsAsTheyComeOverAConnection(t *testing.T) {
	body := fixture(t, "incident.acknowledged")
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	tests := []struct {
		name, request string
		want          int
	}{
		{"length declared", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nx-pagerduty-signature: v1=%s\r\nContent-Length: %d\r\n\r\n%s", path, acknowledgedDigest, len(body), body), 202},
		{"in chunks", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-PagerDuty-Signature: v1=%s\r\nTransfer-Encoding: chunked\r\n\r\n%s", path, acknowledgedDigest, chunked), 202},
		{"two header lines", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-PagerDuty-Signature: v2=1\r\nX-PagerDuty-Signature: v1=%s\r\nContent-Length: %d\r\n\r\n%s", path, acknowledgedDigest, len(body), body), 202},
		{"broken chunk", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-PagerDuty-Signature: v1=%s\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", path, acknowledgedDigest), 503},
		{"empty body", fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-PagerDuty-Signature: v1=%s\r\n\r\n", path, acknowledgedDigest), 403},
		{"escaped path", "POST /webhooks%2Fpagerduty HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"path with dots", "POST /x/../webhooks/pagerduty HTTP/1.1\r\nHost: h\r\n\r\n", 404},
		{"path with two slashes", "POST //webhooks/pagerduty HTTP/1.1\r\nHost: h\r\n\r\n", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(newEndpoint(t))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.request); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.StatusCode != tt.want {
				t.Errorf("status: got %d, want %d", answer.StatusCode, tt.want)
			}
		})
	}
}

// A proxy in front that went by the length instead would take the end of the body for the next request, and
// give PagerDuty the answer to somebody else's.
func TestNothingIsReadOnAConnectionAfterABodyInChunks(t *testing.T) {
	server := httptest.NewServer(newEndpoint(t))
	defer server.Close()
	for name, where := range map[string]string{"accepted": path, "refused": "/other"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", where)
		_, _ = io.WriteString(conn, request+request)
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if n := strings.Count(string(all), "HTTP/1.1 "); n != 1 || !strings.Contains(string(all), "Connection: close") {
			t.Errorf("%s: got %d answers, want one that ends the connection: %s", name, n, all)
		}
	}
}

func TestSlowLargeBodiesLeaveBeforeOthersHaveToComeAgain(t *testing.T) {
	server := httptest.NewServer(newEndpoint(t))
	defer server.Close()
	head := func(length int, signature string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nX-PagerDuty-Signature: %s\r\nContent-Length: %d\r\n\r\n", path, signature, length)
	}
	var senders sync.WaitGroup
	send := func(request string) (status int) {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return 0
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, request)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	begun := time.Now()
	for range 16 {
		senders.Go(func() {
			if got := send(head(64<<10, "v1=") + strings.Repeat("x", 32<<10)); got != 503 {
				t.Errorf("slow body: got %d, want 503", got)
			}
		})
	}
	body := padded(64 << 10)
	senders.Go(func() {
		if got := send(head(len(body), sign(secret, []byte(body))) + body); got != 202 {
			t.Errorf("event among the slow ones: got %d, want 202", got)
		}
	})
	senders.Wait()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the slow ones stayed %s, want some 2 s", took)
	}
}
