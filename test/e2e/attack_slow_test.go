package e2e

import (
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

// PagerDuty waits this long for an answer.
const pagerDutyWaits = 5 * time.Second

// sloth is how long pdhook bears a slow sender at most.
const sloth = 40 * time.Second

// stalling is what somebody may do who means to hold the endpoint up. Each keeps its connection as long as
// pdhook lets it.
var stalling = map[string]func(w *world, conn net.Conn){
	"a connection and no more": func(*world, net.Conn) {},
	"half a handshake": func(_ *world, conn net.Conn) {
		_, _ = conn.Write([]byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc}) // the first bytes of a ClientHello
	},
	"a handshake and no more": func(w *world, conn net.Conn) { _ = w.secured(conn).Handshake() },
	"a header byte by byte":   func(w *world, conn net.Conn) { drip(w.secured(conn), delivery(event("01DRIP", "service.updated"))) },
	"a body byte by byte": func(w *world, conn net.Conn) {
		over := w.secured(conn)
		_, _ = io.WriteString(over, head("v1="+strings.Repeat("0", 64), "Content-Length: 1000"))
		drip(over, strings.Repeat("x", 1000))
	},
	"a large body byte by byte": func(w *world, conn net.Conn) {
		over := w.secured(conn)
		_, _ = io.WriteString(over, head("v1="+strings.Repeat("0", 64), "Content-Length: 500000")+strings.Repeat("x", 20<<10))
		drip(over, strings.Repeat("x", 1000))
	},
}

func (w *world) secured(conn net.Conn) *tls.Conn {
	return tls.Client(conn, &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12})
}

// drip sends byte by byte until that fails.
func drip(conn net.Conn, text string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := range text {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return
		}
		<-tick.C
	}
}

func TestSlowSendersHoldNobodyUpAndAreCut(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	var stalled sync.WaitGroup
	for name, stall := range stalling {
		for range 20 {
			conn, err := w.dialTCP()
			if err != nil {
				t.Fatal(err)
			}
			stalled.Go(func() {
				_ = conn.SetDeadline(time.Now().Add(sloth))
				stall(w, conn)
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: pdhook keeps the connection for more than %s", name, sloth)
				}
			})
		}
	}
	cut := make(chan struct{})
	go func() { stalled.Wait(); close(cut) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-cut:
			return
		case <-tick.C:
			w.deliversInTime(fmt.Sprintf("01GOOD%d", n))
		}
	}
}

// deliversInTime has PagerDuty deliver an event, for whose answer it waits no longer than it does.
func (w *world) deliversInTime(id string) {
	w.t.Helper()
	client := w.asPagerDuty(&tls.Config{})
	client.Timeout = pagerDutyWaits
	defer client.CloseIdleConnections()
	if a, err := w.try(client, signedBy(secret, event(id, "service.updated"))); err != nil || a.status != http.StatusAccepted {
		w.t.Errorf("a delivery among them: got %d, %v; want 202 within %s", a.status, err, pagerDutyWaits)
	}
}

func TestAFloodOfBadSignaturesHoldsNobodyUpAndLeavesALogThatCanBeRead(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	const senders, each, good = 16, 250, 50
	var flood sync.WaitGroup
	forged := signedBy("nobody-gave-this-one-to-PagerDuty", event("01FORGED", "service.updated"))
	for range senders {
		flood.Go(func() {
			client := w.asPagerDuty(&tls.Config{})
			for range each {
				if a, err := w.try(client, forged); err != nil || a.status != http.StatusForbidden {
					t.Errorf("got %d, %v; want 403", a.status, err)
					return
				}
			}
		})
	}
	for n := range good {
		w.deliversInTime(fmt.Sprintf("01AMONG%d", n))
	}
	flood.Wait()
	refusals := func() (lines, told int) {
		for _, l := range w.proc.find(func(l logLine) bool { return l.text("msg") == "webhook refused" }) {
			left, _ := l["refused_and_not_logged"].(float64)
			lines, told = lines+1, told+1+int(left)
		}
		return lines, told
	}
	more := 0
	w.eventually("the log counts every refusal", func() bool {
		more++
		w.post(forged)
		_, told := refusals()
		return told == senders*each+more
	})
	if lines, _ := refusals(); lines > senders*each/10 {
		t.Errorf("the log has %d lines for %d forged webhooks", lines, senders*each)
	}
	if got, want := w.counted("", "bad signature"), fmt.Sprint(senders*each+more); got != want {
		t.Errorf("%s bad signatures are counted, want %s", got, want)
	}
	if got := w.counted("service.updated", "malformed"); got != fmt.Sprint(good) { // data is empty
		t.Errorf("%s events were accepted, want the %d that PagerDuty signed", got, good)
	}
	if out := w.proc.output(); strings.Contains(out, pagerdutytest.Sign(secret, []byte(event("01FORGED", "service.updated")))[3:]) {
		t.Error("the log tells the signature that would have been right")
	}
}
