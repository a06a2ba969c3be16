package webhook_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
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
