package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// dial opens a TLS connection to the webhook endpoint, as PagerDuty does, for bytes that no client would send.
func (w *world) dial() (net.Conn, error) {
	conn, err := w.dialTCP()
	if err != nil {
		return nil, err
	}
	return tls.Client(conn, &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12}), nil
}

// dialTCP opens a connection to the webhook endpoint that is closed when the test ends.
func (w *world) dialTCP() (net.Conn, error) {
	conn, err := net.Dial("tcp", w.endpoint())
	if err == nil {
		w.t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// endpoint is host:port of the webhook endpoint.
func (w *world) endpoint() string { return strings.Trim(w.conf["webhook.listen"], `"`) }

// head is the beginning of a delivery up to its body, with further header lines.
func head(signature string, more ...string) string {
	lines := append([]string{"POST /webhooks/pagerduty HTTP/1.1", "Host: pdhook", "X-PagerDuty-Signature: " + signature}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// delivery is a whole delivery.
func delivery(body string, more ...string) string {
	return head(pagerdutytest.Sign(secret, []byte(body)), append(more, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

// talk sends bytes and gives the statuses of all answers until pdhook closes the connection.
func talk(t *testing.T, conn net.Conn, err error, sent string) (statuses []int) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { _, _ = io.WriteString(conn, sent) })
	answers := bufio.NewReader(conn)
	for {
		answer, err := http.ReadResponse(answers, nil)
		if err == nil && answer.StatusCode != http.StatusContinue {
			_, err = io.Copy(io.Discard, answer.Body)
		}
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("pdhook keeps the connection after answering %v", statuses)
			}
			return statuses
		}
		statuses = append(statuses, answer.StatusCode)
	}
}

const lastOne = "Connection: close"

func TestShapesOfRequests(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	good := event("01SHAPE", "service.updated")
	sign := func(body string) string { return pagerdutytest.Sign(secret, []byte(body)) }
	chunks := func(body string, size int) string {
		var all strings.Builder
		for len(body) > 0 {
			n := min(size, len(body))
			fmt.Fprintf(&all, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		return all.String() + "0\r\n\r\n"
	}
	const chunked = "Transfer-Encoding: chunked"
	most := good + strings.Repeat(" ", 512<<10-len(good))
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zip, good)
	_ = zip.Close()
	taken := 0
	for name, c := range map[string]struct {
		sent string
		want string // the statuses of all answers
	}{
		"a delivery":                     {delivery(good, lastOne), "[202]"},
		"two at once":                    {delivery(good) + delivery(good, lastOne), "[202 202]"},
		"one good, one bad, one good":    {delivery(good) + head(sign("other"), "Content-Length: 2") + "{}" + delivery(good, lastOne), "[202 403 202]"},
		"after a body that is not read":  {"POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nPOST " + delivery(good, lastOne), "[404 202]"},
		"Expect: 100-continue":           {delivery(good, "Expect: 100-continue", lastOne), "[100 202]"},
		"another expectation":            {delivery(good, "Expect: a-miracle", lastOne), "[417]"},
		"in chunks":                      {head(sign(good), chunked, lastOne) + chunks(good, 7), "[202]"},
		"512 KiB in chunks":              {head(sign(most), chunked, lastOne) + chunks(most, 5000), "[202]"},
		"a byte more in chunks":          {head(sign(most+" "), chunked, lastOne) + chunks(most+" ", 5000), "[413]"},
		"a chunk that never ends":        {head(sign(good), chunked) + "fffffffffffffff\r\n" + most + most, "[413]"},
		"chunks in a trailer's disguise": {head(sign(good), chunked, "Trailer: X-PagerDuty-Signature", lastOne) + strings.TrimSuffix(chunks(good, 9), "\r\n") + "X-PagerDuty-Signature: v1=00\r\n\r\n", "[202]"},
		"signature in the trailer only":  {"POST /webhooks/pagerduty HTTP/1.1\r\nHost: h\r\n" + chunked + "\r\nTrailer: X-PagerDuty-Signature\r\n" + lastOne + "\r\n\r\n" + strings.TrimSuffix(chunks(good, 9), "\r\n") + "X-PagerDuty-Signature: " + sign(good) + "\r\n\r\n", "[400]"},
		"a longer body than is declared": {head(sign(good), fmt.Sprintf("Content-Length: %d", len(good)-1), lastOne) + good, "[403]"},
		"length and chunks":              {head(sign(good), chunked, fmt.Sprintf("Content-Length: %d", len(good))) + chunks(good, 7) + delivery(good), "[202]"},
		"more after chunks":              {head(sign(good), chunked) + chunks(good, 7) + delivery(good), "[202]"},
		"two lengths":                    {head(sign(good), "Content-Length: 5", fmt.Sprintf("Content-Length: %d", len(good)), lastOne) + good, "[400]"},
		"a negative length":              {head(sign(good), "Content-Length: -1", lastOne) + good, "[400]"},
		"a length over all":              {head(sign(good), "Content-Length: 9223372036854775808", lastOne) + good, "[400]"},
		"chunks told twice":              {head(sign(good), chunked, chunked, lastOne) + chunks(good, 7), "[501]"},
		"an unknown coding":              {head(sign(good), "Transfer-Encoding: xchunked", lastOne) + chunks(good, 7), "[501]"},
		"a header with a space in it":    {delivery(good, "Content-Length : 3", lastOne), "[400]"},
		"a folded header":                {delivery(good, "X-A: b\r\n c", lastOne), "[202]"},
		"a null in a header":             {delivery(good, "X-A: \x00", lastOne), "[400]"},
		"no host":                        {"POST /webhooks/pagerduty HTTP/1.1\r\n\r\n", "[400]"},
		"no HTTP":                        {"hello\r\n\r\n", "[400]"},
		"huge header":                    {delivery(good, "X-Huge: "+strings.Repeat("x", 64<<10), lastOne), "[431]"},
		"many headers":                   {delivery(good, strings.Repeat("X: y\r\n", 10000)+lastOne), "[431]"},
		"a huge target":                  {"POST /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", "[431]"},
		"many signatures":                {head(strings.Repeat("v1="+strings.Repeat("0", 64)+",", 200)+sign(good), fmt.Sprintf("Content-Length: %d", len(good)), lastOne) + good, "[202]"},
		// Nothing is unpacked: the signature is over the bytes as they come, and nothing is read before it fits.
		"packed, the packed bytes signed": {delivery(packed.String(), "Content-Encoding: gzip", lastOne), "[400]"},
		"packed, the plain bytes signed":  {head(sign(good), "Content-Encoding: gzip", fmt.Sprintf("Content-Length: %d", packed.Len()), lastOne) + packed.String(), "[403]"},
		"called packed, but plain":        {delivery(good, "Content-Encoding: gzip", lastOne), "[202]"},
		"an upgrade to HTTP/2":            {delivery(good, "Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), "[202]"},
		"HTTP/2 at once":                  {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "[404]"},
		"HTTP/1.0":                        {strings.Replace(delivery(good), "HTTP/1.1", "HTTP/1.0", 1), "[202]"},
		"another method in a header":      {strings.Replace(delivery(good, "X-HTTP-Method-Override: POST", lastOne), "POST", "GET", 1), "[405]"},
		"an absolute target":              {strings.Replace(delivery(good, lastOne), "POST /", "POST https://elsewhere/", 1), "[202]"},
		"dots in the path":                {strings.Replace(delivery(good, lastOne), "POST /", "POST /x/../", 1), "[404]"},
		"two slashes":                     {strings.Replace(delivery(good, lastOne), "POST /", "POST //", 1), "[404]"},
		"an escaped path":                 {strings.Replace(delivery(good, lastOne), "/pagerduty", "%2Fpagerduty", 1), "[404]"},
		"a path in capitals":              {strings.Replace(delivery(good, lastOne), "/pagerduty", "/PagerDuty", 1), "[404]"},
		"bare line feeds":                 {strings.ReplaceAll(delivery(good, lastOne), "\r\n", "\n"), "[202]"},
	} {
		t.Run(name, func(t *testing.T) {
			taken += strings.Count(c.want, "202")
			conn, err := w.dial()
			if got := fmt.Sprint(talk(t, conn, err, c.sent)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	fresh, again := w.counted("service.updated", "malformed"), w.counted("service.updated", "duplicate") // data is empty
	if fresh != "1" || again != fmt.Sprint(taken-1) {
		t.Errorf("%s events were new and %s known, want 1 and %d: what was answered 202, and nothing else", fresh, again, taken-1)
	}
}

func TestHTTP2IsNotSpoken(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, c := range []struct {
		offered []string
		want    string // "": no connection
	}{{[]string{"h2", "http/1.1"}, "http/1.1"}, {[]string{"h2"}, ""}} {
		conn, err := tls.Dial("tcp", w.endpoint(), &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1", NextProtos: c.offered})
		if (err == nil) != (c.want != "") {
			t.Errorf("%v: got %v", c.offered, err)
		}
		if err == nil {
			if got := conn.ConnectionState().NegotiatedProtocol; got != c.want {
				t.Errorf("%v: got %q, want %q", c.offered, got, c.want)
			}
			_ = conn.Close()
		}
	}
}
