//go:build torture

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/test/ports"
)

// smuggled is what an attacker would hide behind the end of his own request. It is signed, as no attacker could
// sign it, so that it shows when it is taken for a request.
var smuggled = delivery(event("01SMUGGLED", "incident.triggered"))

// elsewhere is a request that ends its connection.
const elsewhere = "GET /elsewhere HTTP/1.1\r\nHost: h\r\n" + lastOne + "\r\n\r\n"

// smuggling holds requests of which two readers may see different ends.
func smuggling() map[string]string {
	post := func(lines ...string) string {
		return "POST /webhooks/pagerduty HTTP/1.1\r\nHost: pdhook\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
	}
	ended := "0\r\n\r\n" + smuggled // for whoever reads chunks
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d", len(body)) }
	inAChunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(smuggled), smuggled)
	shapes := map[string]string{
		"length before chunks":     post(length(ended), "Transfer-Encoding: chunked") + ended,
		"chunks before length":     post("Transfer-Encoding: chunked", "Content-Length: 4") + inAChunk,
		"no length, then a second": post("Content-Length: 0", length(smuggled)) + smuggled,
		"two lengths in one":       post("Content-Length: 0, "+fmt.Sprint(len(smuggled))) + smuggled,
		"a length with a plus":     post("Content-Length: +"+fmt.Sprint(len(smuggled))) + smuggled,
		"a length in hex":          post(fmt.Sprintf("Content-Length: 0x%x", len(smuggled))) + smuggled,
		"a space before the colon": post("Content-Length : 0", length(smuggled)) + smuggled,
		"a length in the trailer":  post("Transfer-Encoding: chunked", "Trailer: Content-Length") + "0\r\n" + length(smuggled) + "\r\n\r\n",
		"chunks end by line feed":  post("Transfer-Encoding: chunked") + "2;a\nb\r\n{}\r\n0\r\n\r\n",
		"a chunk that is too long": post("Transfer-Encoding: chunked") + "1\r\n{}" + inAChunk,
		"a chunk over all":         post("Transfer-Encoding: chunked") + "10000000000000002\r\n{}\r\n" + ended,
		"chunks in HTTP/1.0":       strings.Replace(post(length(ended), "Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1) + ended,
		"a GET with a body":        strings.Replace(post(length(smuggled)), "POST", "GET", 1) + smuggled,
		"a body that is expected":  post(length(smuggled), "Expect: 100-continue") + smuggled,
		"a length to be dropped":   post(length(smuggled), "Connection: keep-alive, Content-Length") + smuggled,
		"an upgrade":               post(length(smuggled), "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA") + smuggled,
		"bare line feeds":          strings.ReplaceAll(post(length(smuggled)), "\r\n", "\n") + smuggled,
		"a bare carriage return":   post("X: a\rContent-Length: 0", length(smuggled)) + smuggled,
		"a line in the path":       strings.Replace(post(length(smuggled)), "/pagerduty", "/pagerduty%0d%0aContent-Length:%200%0d%0a%0d%0a", 1) + smuggled,
		"an absolute target":       strings.Replace(post(length(smuggled)), "/webhooks", "http://elsewhere/webhooks", 1) + smuggled,
		"dots in the path":         strings.Replace(post(length(smuggled)), "/webhooks", "/x/../webhooks", 1) + smuggled,
		"two slashes":              strings.Replace(post(length(smuggled)), "/webhooks", "//webhooks", 1) + smuggled,
	}
	for i, coding := range []string{
		"Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding:\tchunked", "Transfer-Encoding: \x0bchunked",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: chunked, identity", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding:\r\n chunked", "X: y\nTransfer-Encoding: chunked",
		"X: y\rTransfer-Encoding: chunked", "transfer_encoding: chunked", "Transfer-Encoding: chunked\x00", "TRANSFER-ENCODING: CHUNKED",
	} {
		shapes[fmt.Sprintf("disguised chunks %d", i)] = post(length(ended), coding) + ended
	}
	return shapes
}

func TestTortureNothingIsSmuggledThroughAnIngress(t *testing.T) {
	t.Parallel()
	w := startWorld(t, without("webhook.tls_cert"), without("webhook.tls_key"), with("webhook.insecure_http", "true"))
	for _, buffering := range []string{"on", "off"} {
		ingress := startNginx(w, buffering)
		t.Run("request buffering "+buffering, func(t *testing.T) {
			for name, sent := range smuggling() {
				handled, before := w.handled(), ingress.passed()
				conn, err := net.Dial("tcp", ingress.addr)
				talk(t, conn, err, sent+elsewhere)
				ingress.answersAsItself(t, name)
				// The access log is written after the answer.
				w.eventually("nginx has logged "+name, func() bool { return ingress.passed()-before >= w.handled()-handled })
				if got := w.smuggled(); got != 0 {
					t.Fatalf("%s: %d smuggled events were accepted", name, got)
				}
			}
		})
	}
}

func TestTortureNothingIsSmuggledWithoutAnIngress(t *testing.T) {
	t.Parallel()
	w := startWorld(t, without("webhook.tls_cert"), without("webhook.tls_key"), with("webhook.insecure_http", "true"))
	for name, sent := range smuggling() {
		handled := w.handled()
		conn, err := w.dialTCP()
		answers := talk(t, conn, err, sent+elsewhere)
		if got := w.handled() - handled; got > 2 || w.smuggled() != 0 {
			t.Errorf("%s: %d requests were handled and %v answered, want this one and the next at most", name, got, answers)
		}
	}
}

// handled counts the requests that reached pdhook's handler.
func (w *world) handled() (n int) {
	_, body := w.get("/metrics")
	for _, line := range regexp.MustCompile(`(?m)^pdhook_webhooks_total\{.*\} (\d+)$`).FindAllSubmatch(body, -1) {
		count, _ := strconv.Atoi(string(line[1])) // digits
		n += count
	}
	return n
}

// smuggled counts the smuggled events that pdhook took; their data is empty.
func (w *world) smuggled() int {
	n, _ := strconv.Atoi(w.counted("incident.triggered", "malformed"))
	return n
}

// nginx is an ingress that ends TLS elsewhere, before pdhook. It keeps one connection to it.
type nginx struct {
	w      *world
	addr   string
	log    string // a line for each request: status, and the upstream's status or "-"
	events int
}

func startNginx(w *world, buffering string) *nginx {
	w.t.Helper()
	dir := w.t.TempDir()
	n := &nginx{w: w, addr: ports.Held(w.t), log: dir + "/access.log"}
	conf := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
	log_format statuses '$status $upstream_status';
	access_log %[2]s statuses;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	client_body_timeout 2s; client_header_timeout 2s; keepalive_timeout 2s;
	upstream pdhook { server %[3]s; keepalive 1; }
	server {
		listen %[4]s;
		location / {
			proxy_pass http://pdhook; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering %[5]s;
		}
	}
}`, dir, n.log, w.endpoint(), n.addr, buffering)
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", dir+"/nginx.conf")
	if err := cmd.Start(); err != nil {
		w.t.Fatalf("starting nginx: %v", err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(dir + "/error.log"); err == nil && w.t.Failed() {
			w.t.Logf("nginx said:\n%s", text)
		}
	})
	w.eventually("nginx listens", func() bool {
		conn, err := net.Dial("tcp", n.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return n
}

// passed counts the requests that nginx says it passed on.
func (n *nginx) passed() (count int) {
	text, err := os.ReadFile(n.log)
	if err != nil {
		n.w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if _, upstream, _ := strings.Cut(strings.TrimSpace(line), " "); upstream != "-" {
			count++
		}
	}
	return count
}

// answersAsItself sends three requests that differ in their answers over nginx's connection to pdhook, on
// which something may have been left behind.
func (n *nginx) answersAsItself(t *testing.T, after string) {
	t.Helper()
	n.events++
	for want, request := range map[int]string{
		http.StatusAccepted:         delivery(event(fmt.Sprintf("01NEXT%d", n.events), "service.updated"), lastOne),
		http.StatusNotFound:         elsewhere,
		http.StatusMethodNotAllowed: "GET /webhooks/pagerduty HTTP/1.1\r\nHost: h\r\n" + lastOne + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", n.addr)
		if got := talk(t, conn, err, request); len(got) != 1 || got[0] != want {
			t.Errorf("after %s: got %v, want %d", after, got, want)
		}
	}
}
