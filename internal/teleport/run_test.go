package teleport

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestStatusTellsOfTheClusterOnceConnected(t *testing.T) {
	b := newBench(t, teleporttest.Options{ClusterName: "prod", ProxyAddr: "tp.example.com:443", ServerVersion: "17.2.0"})
	if got := b.RequestURL("r1"); got != "" {
		t.Errorf("URL before the cluster is known: got %q, want none", got)
	}
	b.start(t)
	b.connect(t)
	eventually(t, "the status is clean", func() bool { return b.Status().LastError == "" })
	got := b.Status()
	if !got.Connected || got.Cluster != "prod" || got.ServerVersion != "17.2.0" || time.Until(got.IdentityExpires) <= 0 {
		t.Errorf("got %+v", got)
	}
	if got, want := b.RequestURL("r1"), "https://tp.example.com/web/requests/r1"; got != want {
		t.Errorf("URL: got %q, want %q", got, want)
	}
}

func TestRequestURLKeepsAPortThatIsNotTheDefault(t *testing.T) {
	c := &Client{server: server{publicAddr: "tp.example.com:3080"}}
	if got, want := c.RequestURL("r1"), "https://tp.example.com:3080/web/requests/r1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestANewerClusterIsWarnedOfOnce(t *testing.T) {
	b := newBench(t, teleporttest.Options{ServerVersion: "19.1.0"})
	b.start(t)
	eventually(t, "some pings went by", func() bool { return b.cluster.Calls("Ping") > 3 })
	if got := b.logs.count("Teleport is newer"); got != 1 {
		t.Errorf("warned %d times, want once", got)
	}
}

func TestCallsFailAtOnceWithoutAConnection(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	_, err := b.Get(t.Context(), "r1")
	if err == nil || access.IsPermanent(err) || !strings.HasPrefix(err.Error(), "not connected to Teleport at "+b.cluster.Addr()+": ") {
		t.Errorf("got %v", err)
	}
	err = b.UpdatePluginData(t.Context(), "r1", nil, nil)
	if access.IsUnclear(err) {
		t.Errorf("a write that was not sent is unclear: %v", err)
	}
}

func TestARestartedServerIsFoundAgain(t *testing.T) {
	b := connected(t)
	b.cluster.Stop()
	eventually(t, "the loss is noticed", func() bool { return !b.Status().Connected })
	if _, err := b.List(t.Context()); err == nil || access.IsPermanent(err) {
		t.Errorf("list while away: got %v, want a failure to retry", err)
	}
	if err := b.cluster.Start(); err != nil {
		t.Fatal(err)
	}
	b.connect(t)
	if _, err := b.List(t.Context()); err != nil {
		t.Errorf("list after the restart: %v", err)
	}
}

func TestADeadConnectionIsGivenUp(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	proxy, err := b.cluster.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	b.Client = b.client(t, proxy.Addr())
	b.pace.answer = 100 * time.Millisecond
	b.start(t)
	w := b.watchInBackground(t.Context())
	receive(t, "the watch to be ready", w.ready)
	proxy.Pause()
	if err := receive(t, "the end of the watch", w.ended); err == nil || !strings.Contains(err.Error(), "ping") {
		t.Errorf("got %v, want it to name the ping", err)
	}
	proxy.Cut()
	proxy.Resume()
	b.connect(t)
}

func TestAStrandedConnectionIsReplaced(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	proxy, err := b.cluster.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	b.Client = b.client(t, proxy.Addr())
	b.pace.answer = 500 * time.Millisecond
	b.start(t)
	for range 2 {
		w := b.watchInBackground(t.Context())
		receive(t, "the watch to be ready", w.ready)
		proxy.Strand() // nobody tells: it stays open on both sides
		if err := receive(t, "the end of the watch", w.ended); err == nil || !strings.Contains(err.Error(), "ping") {
			t.Errorf("got %v, want it to name the ping", err)
		}
		b.connect(t)
	}
	if got := b.logs.count("Connection to Teleport ended"); got < 2 {
		t.Errorf("the loss was told %d times, want each time", got)
	}
}

func TestRenewedCredentialsTakeOverWithoutAGap(t *testing.T) {
	b := connected(t)
	w := b.watchInBackground(t.Context())
	receive(t, "the watch to be ready", w.ready)
	before := b.Status().IdentityExpires

	b.writeIdentity(t, teleporttest.IdentityOptions{TTL: 2 * time.Hour})
	if err := receive(t, "the end of the old watch", w.ended); err == nil || !strings.Contains(err.Error(), "renewed") {
		t.Errorf("got %v, want it to name the renewal", err)
	}
	if !b.Status().Connected || !b.Status().IdentityExpires.After(before) {
		t.Errorf("status after renewal: %+v", b.Status())
	}
	w = b.watchInBackground(t.Context())
	receive(t, "the new watch to be ready", w.ready)
}

func TestCallsUnderWaySurviveARenewal(t *testing.T) {
	b := connected(t)
	b.cluster.Fail("ListAccessRequests", teleporttest.Fault{Delay: 300 * time.Millisecond})
	calls := b.cluster.Calls("ListAccessRequests")
	done := make(chan error, 1)
	go func() {
		_, err := b.List(t.Context())
		done <- err
	}()
	if err := b.cluster.AwaitCalls(t.Context(), "ListAccessRequests", calls+1); err != nil {
		t.Fatal(err)
	}
	old := b.Status().IdentityExpires
	b.writeIdentity(t, teleporttest.IdentityOptions{TTL: 2 * time.Hour})
	eventually(t, "the renewal is seen", func() bool { return b.Status().IdentityExpires.After(old) })
	if err := receive(t, "the list", done); err != nil {
		t.Errorf("a call under way was cut: %v", err)
	}
}

func TestARotatedAuthorityIsFollowed(t *testing.T) {
	b := connected(t)
	if err := b.cluster.RotateCA(); err != nil {
		t.Fatal(err)
	}
	b.writeIdentity(t, teleporttest.IdentityOptions{TTL: 2 * time.Hour})
	eventually(t, "the new identity connected", func() bool { return b.logs.count("Connected to Teleport") == 2 && b.Status().LastError == "" })
	if got := b.Status(); !got.Connected || got.LastError != "" {
		t.Errorf("got %+v", got)
	}
}

func TestASymlinkSwapIsSeen(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	dir := t.TempDir()
	for name, ttl := range map[string]time.Duration{"..1": time.Hour, "..2": 2 * time.Hour, "..3": 3 * time.Hour} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := b.cluster.WriteIdentity(filepath.Join(dir, name, "identity"), user, teleporttest.IdentityOptions{TTL: ttl}); err != nil {
			t.Fatal(err)
		}
	}
	swap := func(to string) { // as Kubernetes renews a secret
		t.Helper()
		tmp := filepath.Join(dir, "..tmp")
		if err := errors.Join(os.Symlink(to, tmp), os.Rename(tmp, filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	swap("..1")
	if err := os.Symlink("..data/identity", filepath.Join(dir, "identity")); err != nil {
		t.Fatal(err)
	}
	b.file = filepath.Join(dir, "identity")
	b.Client = b.client(t, b.cluster.Addr())
	b.start(t)
	b.connect(t)
	for _, to := range []string{"..2", "..3"} {
		old := b.Status().IdentityExpires
		swap(to)
		eventually(t, "the swap to "+to+" is seen", func() bool { return b.Status().IdentityExpires.After(old) })
	}
}

func TestAnExpiredIdentityIsNamedAndItsRenewalFollowedAtOnce(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	b.writeIdentity(t, teleporttest.IdentityOptions{NotAfter: time.Now().Add(-time.Hour)})
	b.Client = b.client(t, b.cluster.Addr())
	b.cfg.Refresh = false // even then
	b.start(t)
	eventually(t, "the expiry is told", func() bool {
		return strings.HasPrefix(b.Status().LastError, "identity "+b.file+" expired at ")
	})
	if n := b.cluster.Calls("Ping"); n != 0 {
		t.Errorf("dialled with an expired identity")
	}
	b.writeIdentity(t, teleporttest.IdentityOptions{})
	b.connect(t)
	eventually(t, "the status is clean", func() bool { return b.Status().LastError == "" })
	if got := b.logs.count("level=ERROR"); got != 1 {
		t.Errorf("%d errors were logged, want one", got)
	}
}

func TestAnUnreadableFileLeavesTheConnectionAlone(t *testing.T) {
	b := connected(t)
	if err := os.WriteFile(b.file, []byte("-----BEGIN half"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the file is complained of", func() bool { return strings.Contains(b.Status().LastError, b.file) })
	if _, err := b.List(t.Context()); err != nil {
		t.Errorf("list with the old identity: %v", err)
	}
	b.writeIdentity(t, teleporttest.IdentityOptions{TTL: 2 * time.Hour})
	eventually(t, "the complaint is gone", func() bool { return b.Status().LastError == "" })
}

func TestAnUnreachableClusterIsLoggedOnce(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	b.cluster.Stop()
	b.start(t)
	eventually(t, "the cause is told", func() bool { return strings.Contains(b.Status().LastError, "connection refused") })
	if got := b.Status().LastError; strings.Contains(got, "webapi/find") || strings.Contains(got, "\n") {
		t.Errorf("noise in the error: %q", got)
	}
	if got := b.logs.count("level=ERROR"); got > 1 {
		t.Errorf("%d errors were logged, want one", got)
	}
}

func TestAKeyPairConnectsToAnAuthServer(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	crt, key, cas, err := b.cluster.WriteKeyPair(t.TempDir(), user, teleporttest.IdentityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := b.cfg
	cfg.Identity, cfg.ClientCrt, cfg.ClientKey, cfg.RootCAs = "", crt, key, cas
	if b.Client, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.connect(t)
	if got := b.User(); got != user {
		t.Errorf("user: got %q, want %q", got, user)
	}
}

func TestTroubleIsLoggedWhenItsTextChanges(t *testing.T) {
	b := newBench(t, teleporttest.Options{})
	k := newKeeper(b.Client)
	for _, trouble := range []string{"refused", "refused", "no route", "no route", "", "no route"} {
		k.connTrouble = trouble
		k.tellTrouble()
		k.logTrouble()
	}
	if got := b.logs.count("level=ERROR"); got != 3 {
		t.Errorf("%d errors were logged, want 3", got)
	}
}
