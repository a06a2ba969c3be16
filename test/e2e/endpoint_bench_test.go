package e2e

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/ratio"
)

// The budgets of the webhook endpoint (spec §14), of the real binary over HTTPS, with the store on the disk
// that it is compared with. Those who send share the machine with pdhook.
const (
	connections = 64
	aRound      = 700 * time.Millisecond
)

func BenchmarkAcceptedWebhooksOverRawSyncs(b *testing.B) {
	l := newLoad(b)
	senders := l.senders(connections)
	var slowest []time.Duration
	accepted := func() float64 {
		took := l.deliver(senders, secret, http.StatusAccepted)
		slowest = append(slowest, quantile(took, 0.99))
		return perSecond(took)
	}
	ratio.Bench(b, ratio.AtLeast(1.8), accepted, func() float64 { return perSecond(rawSyncs(b, l.dir)) })
	p99 := quantile(slowest, 0.5)
	b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
	if p99 > 100*time.Millisecond {
		b.Errorf("99 %% are answered within %s, want 100 ms", p99)
	}
}

func BenchmarkLatencyOfAWebhookOverRawSync(b *testing.B) {
	l := newLoad(b)
	senders := l.senders(1)
	half := func(took []time.Duration) float64 { return quantile(took, 0.5).Seconds() }
	ratio.Bench(b, ratio.AtMost(2.5),
		func() float64 { return half(l.deliver(senders, secret, http.StatusAccepted)) },
		func() float64 { return half(rawSyncs(b, l.dir)) })
}

func BenchmarkRefusedWebhooksOverAccepted(b *testing.B) {
	l := newLoad(b)
	senders := l.senders(connections)
	ratio.Bench(b, ratio.AtLeast(3),
		func() float64 {
			return perSecond(l.deliver(senders, "nobody-gave-this-one-to-PagerDuty", http.StatusForbidden))
		},
		func() float64 { return perSecond(l.deliver(senders, secret, http.StatusAccepted)) })
}

// Half of the thousand are idle, having been answered once; half have sent a part of a request.
func BenchmarkAcceptedWebhooksBesideAThousandConnectionsOverAlone(b *testing.B) {
	l := newLoad(b)
	senders := l.senders(connections)
	signed := padded(secret)
	ratio.Bench(b, ratio.AtLeast(0.9), func() float64 {
		crowd := l.senders(1000)
		defer hangUp(crowd)
		for _, idle := range crowd[:500] { // no more: pdhook works off what it took while the others are measured
			idle.prepare(signed, l.events.Add(1))
			if got, err := idle.send(); err != nil || got != "202" {
				b.Fatalf("got %s, %v; want 202", got, err)
			}
		}
		for _, slow := range crowd[500:] {
			if _, err := io.WriteString(slow.conn, "POST /webhooks/pagerduty HTTP/1.1\r\nHost:"); err != nil {
				b.Fatal(err)
			}
		}
		return perSecond(l.deliver(senders, secret, http.StatusAccepted))
	}, func() float64 { return perSecond(l.deliver(senders, secret, http.StatusAccepted)) })
}

// load sends webhooks to a pdhook of its own.
type load struct {
	b      *testing.B
	dir    string // on the disk of the store
	addr   string
	config *tls.Config
	events atomic.Int64
}

func newLoad(b *testing.B) *load {
	w := startWorld(b)
	return &load{
		b: b, dir: w.dir, addr: strings.Trim(w.conf["webhook.listen"], `"`),
		config: &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12},
	}
}

// sender is a connection. It does without net/http and signs nothing twice: else it would take more of the
// machine than pdhook.
type sender struct {
	conn    net.Conn
	answers *bufio.Reader
	request []byte
}

func (l *load) senders(n int) []*sender {
	l.b.Helper()
	var all []*sender
	for range n {
		conn, err := tls.Dial("tcp", l.addr, l.config)
		if err != nil {
			l.b.Fatal(err)
		}
		l.b.Cleanup(func() { _ = conn.Close() })
		all = append(all, &sender{conn: conn, answers: bufio.NewReader(conn)})
	}
	return all
}

func hangUp(all []*sender) {
	for _, s := range all {
		_ = s.conn.Close()
	}
}

// deliver has all senders send new events of 4 KiB, one after the other, for one round, and gives how long each
// answer took.
func (l *load) deliver(senders []*sender, key string, want int) []time.Duration {
	l.b.Helper()
	took := make([][]time.Duration, len(senders))
	deadline := time.Now().Add(aRound)
	var group sync.WaitGroup
	signed := padded(key)
	for i, s := range senders {
		group.Go(func() {
			for time.Now().Before(deadline) {
				s.prepare(signed, l.events.Add(1))
				begun := time.Now()
				if got, err := s.send(); err != nil || got != fmt.Sprint(want) {
					l.b.Errorf("got %s, %v; want %d", got, err, want)
					return
				}
				took[i] = append(took[i], time.Since(begun))
			}
		})
	}
	group.Wait()
	return slices.Concat(took...)
}

// padding begins every event and is most of its 4 KiB.
var padding = `{"event":{"more":"` + strings.Repeat("x", 4000) + `",`

// padded is the signature of an event as far as its padding.
func padded(key string) hash.Hash {
	signed := hmac.New(sha256.New, []byte(key))
	_, _ = signed.Write([]byte(padding))
	return signed
}

// prepare makes the request for the n-th event; signed has the padding in it already.
func (s *sender) prepare(signed hash.Hash, n int64) {
	event := fmt.Appendf(nil, `"id":"01LOAD%012d","event_type":"service.updated","data":{"id":"PNOBODY"}}}`, n)
	own, _ := signed.(hash.Cloner).Clone() // fails only for hashes of others
	_, _ = own.Write(event)
	s.request = fmt.Appendf(s.request[:0], "POST /webhooks/pagerduty HTTP/1.1\r\nHost: pdhook\r\nX-PagerDuty-Signature: v1=%x\r\nContent-Length: %d\r\n\r\n",
		own.Sum(nil), len(padding)+len(event))
	s.request = append(append(s.request, padding...), event...)
}

// send sends the request and gives the status of the answer.
func (s *sender) send() (status string, err error) {
	if _, err := s.conn.Write(s.request); err != nil {
		return "", err
	}
	line, err := s.answers.ReadString('\n')
	if err != nil {
		return "", err
	}
	_, status, _ = strings.Cut(line, " ")
	length := 0
	for line != "\r\n" {
		if line, err = s.answers.ReadString('\n'); err != nil {
			return "", err
		}
		if digits, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(digits)) // pdhook's
		}
	}
	_, err = s.answers.Discard(length)
	return status[:3], err
}

// rawSyncs appends 4 KiB and syncs, again and again for one round, and gives how long each took.
func rawSyncs(b *testing.B, dir string) (took []time.Duration) {
	b.Helper()
	file, err := os.Create(filepath.Join(dir, "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	block := make([]byte, 4<<10)
	for deadline := time.Now().Add(aRound); time.Now().Before(deadline); {
		begun := time.Now()
		if _, err := file.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	return took
}

// perSecond is how many were done in one round.
func perSecond(took []time.Duration) float64 { return float64(len(took)) / aRound.Seconds() }

// quantile gives the duration that this part of them does not exceed.
func quantile(took []time.Duration, part float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	return took[int(float64(len(took)-1)*part)]
}
