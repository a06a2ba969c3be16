package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// post is a request to the webhook endpoint; its zero value is an unsigned, empty POST on the path.
type post struct {
	method string   // "": POST
	path   string   // "": webhook.path
	body   string   //
	signed []string // lines of X-PagerDuty-Signature
	stream bool     // the length of the body is not declared
}

// signedBy is a delivery as PagerDuty makes it.
func signedBy(key, body string) post {
	return post{body: body, signed: []string{pagerdutytest.Sign(key, []byte(body))}}
}

// answered is what came back for a post.
type answered struct {
	status int
	header http.Header
	body   string
}

// event is a webhook body as short as one can be.
func event(id, kind string) string {
	return fmt.Sprintf(`{"event":{"id":%q,"event_type":%q,"data":{}}}`, id, kind)
}

// asPagerDuty is a client that speaks TLS 1.2 only, as PagerDuty's sender does, on a connection of its own.
func (w *world) asPagerDuty(config *tls.Config) *http.Client {
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if config.RootCAs == nil {
		config.RootCAs = w.roots
	}
	transport := &http.Transport{TLSClientConfig: config}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// try posts with a client and gives the answer, or why there was none.
func (w *world) try(client *http.Client, p post) (answered, error) {
	method, url := http.MethodPost, w.sub.URL
	if p.method != "" {
		method = p.method
	}
	if p.path != "" {
		url = strings.Replace(url, "/webhooks/pagerduty", p.path, 1)
	}
	var body io.Reader = bytes.NewBufferString(p.body)
	if p.stream {
		body = struct{ io.Reader }{body}
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, url, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header["X-Pagerduty-Signature"] = p.signed
	resp, err := client.Do(req)
	if err != nil {
		return answered{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(text)}, err
}

// post posts and wants an answer.
func (w *world) post(p post) answered {
	w.t.Helper()
	a, err := w.try(w.asPagerDuty(&tls.Config{}), p)
	if err != nil {
		w.t.Fatalf("posting to the webhook endpoint: %v", err)
	}
	return a
}

// accepts posts a signed body that has to be accepted.
func (w *world) accepts(body string) {
	w.t.Helper()
	w.accepted(signedBy(secret, body))
}

// accepted posts what has to be accepted.
func (w *world) accepted(p post) {
	w.t.Helper()
	if a := w.post(p); a.status != http.StatusAccepted {
		w.t.Fatalf("got %d %s for %.200s, want 202", a.status, a.body, p.body)
	}
}

// counted gives the value of pdhook_webhooks_total for an event type and an outcome.
func (w *world) counted(kind, outcome string) string {
	w.t.Helper()
	_, body := w.get("/metrics")
	line := regexp.MustCompile(fmt.Sprintf(`pdhook_webhooks_total\{event_type=%q,outcome=%q\} (\d+)`, kind, outcome))
	if found := line.FindSubmatch(body); found != nil {
		return string(found[1])
	}
	return "0"
}

// dispatched waits until an accepted event has been processed and gives its outcome; it needs log.severity DEBUG.
func (w *world) dispatched(event string) string {
	w.t.Helper()
	var found []logLine
	w.eventually("event "+event+" is dispatched", func() bool {
		found = w.proc.find(func(l logLine) bool { return l.text("msg") == "webhook dispatched" && l.text("event_id") == event })
		return len(found) > 0
	})
	return found[0].text("outcome")
}
