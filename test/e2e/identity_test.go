package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestAnIdentityFileThatIsNotWholeIsNotTaken(t *testing.T) {
	for _, c := range []struct {
		name      string
		reconnect bool // Teleport restarts while the file is not whole
		part      func(whole []byte) []byte
	}{
		{"half, while connected", false, half},
		{"empty, while connected", false, none},
		{"without its authorities, while connected", false, noAuthorities},
		{"half, while reconnecting", true, half},
		{"empty, while reconnecting", true, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			old := w.identityExpires()
			next := time.Now().Add(3 * time.Hour).Truncate(time.Second)
			if err := w.teleport.WriteIdentity(w.path("next"), bot, teleporttest.IdentityOptions{NotAfter: next}); err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile(w.path("next"))
			if err != nil {
				t.Fatal(err)
			}
			if c.reconnect {
				w.teleport.Stop()
				w.proc.says("Connection to Teleport ended")
			}
			before := len(w.teleport.Handshakes())
			w.write("identity", string(c.part(whole)))
			w.complains(w.proc.says("reading Teleport identity "+w.path("identity")), "tbot", "tctl auth sign")
			if c.reconnect {
				if err := w.teleport.Start(); err != nil {
					t.Fatal(err)
				}
			}
			first := w.request("kim@example.com", "payments-admin")
			w.reaches(first, types.RequestState_APPROVED)
			if got := w.identityExpires(); !got.Equal(old) || w.status().Teleport.LastError == "" {
				t.Errorf("got an identity that ends at %s and no complaint, want the old one, %s, and a complaint", got, old)
			}
			for _, h := range w.teleport.Handshakes()[before:] {
				if !h.Expires.Equal(old) {
					t.Errorf("connected with an identity that ends at %s, want the old one, %s", h.Expires, old)
				}
			}

			w.write("identity", string(whole))
			w.usesIdentity(next)
			second := w.request("kim@example.com", "payments-admin")
			w.reaches(second, types.RequestState_APPROVED)
			w.eventually("/status is clean", func() bool { return w.status().Teleport.LastError == "" })
			if n := w.said("Teleport needs attention", w.path("identity")); n != 1 {
				t.Errorf("the file was complained of %d times, want once", n)
			}
			if n := w.said("Read renewed Teleport credentials", ""); n != 1 {
				t.Errorf("new credentials were taken %d times, want once", n)
			}
			w.ended(first, 1)
			w.ended(second, 1)
		})
	}
}

func half(whole []byte) []byte { return whole[:len(whole)/2] }
func none([]byte) []byte       { return nil }

// noAuthorities ends the file between two of its blocks.
func noAuthorities(whole []byte) []byte {
	return whole[:bytes.LastIndex(whole, []byte("-----BEGIN CERTIFICATE-----"))]
}

func TestAnIdentityRenewedOnlyAfterItsEndIsUsedWithinSeconds(t *testing.T) {
	for _, c := range []struct {
		name string
		life time.Duration
	}{
		{"expired at the start", -time.Hour},
		{"expired meanwhile", 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, with("teleport.refresh_identity_interval", `"1m"`)) // as it is by default
			end := time.Now().Add(c.life)
			w.writeIdentity(teleporttest.IdentityOptions{NotAfter: end})
			w.launch()
			w.complains(w.proc.says("expired at"), w.path("identity"), "renew it", "tbot", "tctl auth sign")
			w.teleport.Stop() // Teleport ends the connections of an expired certificate
			w.eventually("/status names the file", func() bool {
				s := w.status().Teleport
				return !s.Connected && strings.Contains(s.LastError, "identity "+w.path("identity")+" expired at")
			})
			if err := w.teleport.Start(); err != nil {
				t.Fatal(err)
			}
			id := w.request("kim@example.com", "payments-admin")
			if n := w.said("Teleport needs attention", ""); n != 1 {
				t.Errorf("complained %d times, want once", n)
			}

			began, next := time.Now(), time.Now().Add(time.Hour).Truncate(time.Second)
			w.writeIdentity(teleporttest.IdentityOptions{NotAfter: next})
			w.usesIdentity(next)
			w.reaches(id, types.RequestState_APPROVED)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s from the renewal to the approval, want seconds", took)
			}
			w.ended(id, 1)
			w.eventually("/status is clean", func() bool { return w.status().Teleport.LastError == "" })
		})
	}
}

func TestTheEndOfIdentityAndCertificateIsAMetricAndAWarningInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	w.writeIdentity(teleporttest.IdentityOptions{NotAfter: end})
	w.start()
	line := w.proc.says("The Teleport identity was not renewed in time")
	if line.text("level") != "WARN" || line.text("file") != w.path("identity") || line.text("left") == "" || !strings.Contains(line.text("hint"), "tbot") {
		t.Errorf("got %v, want a warning with file, time left and the way out", line)
	}
	if got := w.metric("pdhook_identity_expiry_timestamp_seconds"); got != end.Unix() {
		t.Errorf("got the metric %d, want %d", got, end.Unix())
	}
	if got := w.identityExpires(); !got.Equal(end) {
		t.Errorf("/status shows %s, want %s", got, end)
	}
	next := end.Add(time.Hour)
	w.writeIdentity(teleporttest.IdentityOptions{NotAfter: next})
	w.eventually("the metric shows the renewal", func() bool {
		return w.metric("pdhook_identity_expiry_timestamp_seconds") == next.Unix()
	})
	w.usesIdentity(next)
	if n := w.said("was not renewed in time", ""); n != 1 {
		t.Errorf("warned %d times, want once", n)
	}

	first := w.metric("pdhook_certificate_expiry_timestamp_seconds")
	if shown := w.expiry("webhook", "certificate_expires"); shown.Unix() != first || time.Until(shown) < 24*time.Hour {
		t.Errorf("the metric shows %d, /status %s: want the same, days ahead", first, shown)
	}
	w.eventually("a new certificate ends later", func() bool { return time.Now().Unix()+7*24*3600 > first })
	writeCertificate(t, w.path("tls.crt"), w.path("tls.key"))
	w.eventually("the metric shows the new certificate", func() bool {
		return w.metric("pdhook_certificate_expiry_timestamp_seconds") > first
	})
}

// usesIdentity waits until Teleport is spoken to with the identity that ends then, and checks that no older one
// is used from then on.
func (w *world) usesIdentity(end time.Time) {
	w.t.Helper()
	uses := func(h teleporttest.Handshake) bool { return h.Expires.Equal(end) }
	w.eventually("the new identity connects", func() bool {
		return slices.ContainsFunc(w.teleport.Handshakes(), uses) && w.status().Teleport.Connected
	})
	all := w.teleport.Handshakes()
	for _, h := range all[slices.IndexFunc(all, uses):] {
		if !uses(h) || h.User != bot {
			w.t.Errorf("%s connected with an identity that ends at %s, want the renewed one, %s", h.User, h.Expires, end)
		}
	}
	if got := w.identityExpires(); !got.Equal(end) {
		w.t.Errorf("/status shows an identity that ends at %s, want %s", got, end)
	}
}

func (w *world) identityExpires() time.Time { return w.expiry("teleport", "identity_expires") }

// expiry gives a time that /status shows.
func (w *world) expiry(section, key string) (at time.Time) {
	w.t.Helper()
	_, body := w.get("/status")
	var sections map[string]json.RawMessage
	var keys map[string]json.RawMessage
	if json.Unmarshal(body, &sections) != nil || json.Unmarshal(sections[section], &keys) != nil || json.Unmarshal(keys[key], &at) != nil {
		w.t.Fatalf("/status has no %s.%s:\n%s", section, key, body)
	}
	return at
}

// metric gives the value of a metric without labels, in whole numbers.
func (w *world) metric(name string) int64 {
	w.t.Helper()
	_, body := w.get("/metrics")
	for line := range strings.Lines(string(body)) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				w.t.Fatalf("the metric %s is %q", name, value)
			}
			return int64(number)
		}
	}
	w.t.Fatalf("there is no metric %s", name)
	return 0
}

// said counts the log lines with both texts, one in the message, the other in the error.
func (w *world) said(message, errorText string) int {
	return len(w.proc.find(func(l logLine) bool {
		return strings.Contains(l.text("msg"), message) && strings.Contains(l.text("error"), errorText)
	}))
}
