package teleport

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestAnIdentityThatWasNotRenewedInTimeIsWarnedOfOnce(t *testing.T) {
	const day = 24 * time.Hour
	issued := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		life   time.Duration
		looks  []time.Duration // before the end
		warned int
		left   string
	}{
		{"renewed by tbot in time", time.Hour, []time.Duration{time.Hour, 40 * time.Minute, 11 * time.Minute}, 0, ""},
		{"tbot does not renew", time.Hour, []time.Duration{40 * time.Minute, 10 * time.Minute, 9 * time.Minute, time.Minute}, 1, "left=10m0s"},
		{"signed by hand", 365 * day, []time.Duration{365 * day, 8 * day}, 0, ""},
		{"signed by hand and forgotten", 365 * day, []time.Duration{8 * day, 7 * day, 6 * day, day, time.Second}, 1, "left=168h0m0s"},
		{"first seen shortly before its end", 365 * day, []time.Duration{time.Minute, time.Second}, 1, "left=1m0s"},
		{"expired, which is told otherwise", time.Hour, []time.Duration{0, -time.Hour}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l logs
			k := newKeeper(&Client{cfg: Config{Identity: "/etc/identity", Log: slog.New(slog.NewTextHandler(&l, nil))},
				identity: identity{user: user, issued: issued, expires: issued.Add(tt.life)}})
			for _, before := range tt.looks {
				k.warn(issued.Add(tt.life - before))
			}
			if got := l.count("level=WARN"); got != tt.warned {
				t.Errorf("warned %d times, want %d", got, tt.warned)
			}
			for _, part := range []string{tt.left, "/etc/identity", "does tbot run", "tctl auth sign"} {
				if tt.warned > 0 && l.count(part) != 1 {
					t.Errorf("%q is not in the warning", part)
				}
			}
		})
	}
}

func TestTheNextIdentityIsWarnedOfAgain(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	b.writeIdentity(t, teleporttest.IdentityOptions{TTL: time.Minute})
	b.Client = b.client(t, b.cluster.Addr())
	b.start(t)
	warned := func(times int) func() bool {
		return func() bool { return b.logs.count("was not renewed in time") == times }
	}
	eventually(t, "the first identity is warned of", warned(1))
	for i := range 2 {
		old := b.Status().IdentityExpires
		b.writeIdentity(t, teleporttest.IdentityOptions{TTL: time.Duration(i+2) * time.Minute})
		eventually(t, "the next identity is in use", func() bool { return b.Status().IdentityExpires.After(old) })
		eventually(t, "it is warned of", warned(i+2))
	}
	b.writeIdentity(t, teleporttest.IdentityOptions{})
	eventually(t, "a fresh one is in use", func() bool { return time.Until(b.Status().IdentityExpires) > 30*time.Minute })
	pings := b.cluster.Calls("Ping")
	eventually(t, "time goes by", func() bool { return b.cluster.Calls("Ping") > pings+3 })
	if !warned(3)() {
		t.Error("a fresh identity was warned of")
	}
}

func TestAnIdentityThatIsNotReadAgainIsWarnedOfInTime(t *testing.T) {
	now := time.Now()
	id := identity{issued: now.Add(-time.Hour), expires: now.Add(time.Hour)}
	k := newKeeper(&Client{cfg: Config{Log: slog.New(slog.DiscardHandler)}, identity: id})
	k.look()
	if want := id.expires.Add(-20 * time.Minute); !k.nextLook.Equal(want) {
		t.Errorf("the next look is at %s, want %s", k.nextLook, want)
	}
}

func TestTroubleWithFileAndConnectionIsLoggedApart(t *testing.T) {
	var l logs
	k := newKeeper(&Client{cfg: Config{Log: slog.New(slog.NewTextHandler(&l, nil))}})
	k.fileTrouble = "half a file"
	k.logTrouble()
	k.connTrouble = "refused"
	k.logTrouble()
	k.connTrouble = ""
	k.logTrouble()
	if l.count("half a file") != 1 || l.count("refused") != 1 {
		t.Errorf("want each trouble told once:\n%s", strings.TrimSpace(l.all()))
	}
}
