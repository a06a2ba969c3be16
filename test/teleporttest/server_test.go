package teleporttest

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/breaker"
	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
	"go.uber.org/goleak"
)

const (
	plugin   = "access-plugin"
	engineer = "alice@example.com"
	reviewer = "bob@example.com"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start gives a running server.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(ctx context.Context, addr string, creds client.Credentials) (*client.Client, error) {
	return client.New(ctx, client.Config{
		Addrs:                []string{addr},
		Credentials:          []client.Credentials{creds},
		DialTimeout:          3 * time.Second,
		CircuitBreakerConfig: breaker.NoopBreakerConfig(),
	})
}

func connectTo(t *testing.T, addr string, creds client.Credentials) *client.Client {
	t.Helper()
	c, err := dial(t.Context(), addr, creds)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connect gives the real client, logged in as user by an identity file.
func connect(t *testing.T, s *Server, user string, roles ...string) *client.Client {
	t.Helper()
	return connectTo(t, s.Addr(), client.LoadIdentityFile(identity(t, s, user, IdentityOptions{Roles: roles})))
}

func identity(t *testing.T, s *Server, user string, o IdentityOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "identity")
	if err := s.WriteIdentity(path, user, o); err != nil {
		t.Fatal(err)
	}
	return path
}

// brief bounds one call.
func brief(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually tries again until try succeeds: a client needs a moment to find a restarted server.
func eventually(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx := brief(t)
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("still failing: %v", err)
		}
	}
}

func ping(c *client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.Ping(ctx)
		return err
	}
}

func TestPingTellsAboutTheCluster(t *testing.T) {
	s := start(t, Options{ClusterName: "prod", ProxyAddr: "prod.example.com:443", ServerVersion: "17.2.0"})
	got, err := connect(t, s, plugin).Ping(brief(t))
	must(t, err)
	if got.ClusterName != "prod" || got.ProxyPublicAddr != "prod.example.com:443" || got.ServerVersion != "17.2.0" {
		t.Errorf("got %+v", got)
	}
	if !got.ServerFeatures.GetAdvancedAccessWorkflows() {
		t.Error("the cluster has no advanced access workflows")
	}
}

func TestKeyPairConnects(t *testing.T) {
	s := start(t, Options{})
	crt, key, cas, err := s.WriteKeyPair(t.TempDir(), plugin, IdentityOptions{})
	must(t, err)
	must(t, ping(connectTo(t, s.Addr(), client.LoadKeyPair(crt, key, cas)))(brief(t)))
}

func TestDynamicIdentityTellsItsExpiry(t *testing.T) {
	s := start(t, Options{})
	want := time.Now().Add(3 * time.Minute).Truncate(time.Second)
	creds, err := client.NewDynamicIdentityFileCreds(identity(t, s, plugin, IdentityOptions{NotAfter: want}))
	must(t, err)
	if got, ok := creds.Expiry(); !ok || !got.Equal(want) {
		t.Errorf("expiry: got %v, %v, want %v", got, ok, want)
	}
	must(t, ping(connectTo(t, s.Addr(), creds))(brief(t)))
}

func TestExpiredIdentityIsRefused(t *testing.T) {
	s := start(t, Options{})
	path := identity(t, s, plugin, IdentityOptions{NotAfter: time.Now().Add(-time.Minute)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if c, err := dial(ctx, s.Addr(), client.LoadIdentityFile(path)); err == nil {
		c.Close()
		t.Error("an expired identity connects")
	}
	if n := s.Calls("Ping"); n != 0 {
		t.Errorf("got %d calls through, want none", n)
	}
}

func TestIdentityIsReplacedWhole(t *testing.T) {
	s := start(t, Options{})
	path := identity(t, s, plugin, IdentityOptions{})
	creds, err := client.NewDynamicIdentityFileCreds(path)
	must(t, err)
	writing := make(chan error, 1)
	go func() {
		var err error
		for range 50 {
			if err = s.WriteIdentity(path, plugin, IdentityOptions{}); err != nil {
				break
			}
		}
		writing <- err
	}()
	for {
		select {
		case err := <-writing:
			must(t, err)
			return
		default:
			must(t, creds.Reload())
		}
	}
}

func TestRestartKeepsAddressAndState(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	addr := s.Addr()

	s.Stop()
	if err := ping(c)(brief(t)); !trace.IsConnectionProblem(err) {
		t.Errorf("while stopped: got %v, want a connection problem", err)
	}
	must(t, s.Start())
	if s.Addr() != addr {
		t.Errorf("address: got %s, want %s", s.Addr(), addr)
	}
	eventually(t, ping(c))
	if got := list(t, c, types.AccessRequestFilter{ID: id}); len(got) != 1 {
		t.Errorf("got %d requests after the restart, want 1", len(got))
	}
}

func TestStartRefusesWhatMakesNoSense(t *testing.T) {
	s := start(t, Options{})
	if s.Start() == nil {
		t.Error("a running server starts again")
	}
	s.Close()
	if s.Start() == nil {
		t.Error("a closed server starts again")
	}
}

func TestRotatedCANeedsNewIdentities(t *testing.T) {
	s := start(t, Options{})
	path := identity(t, s, plugin, IdentityOptions{})
	creds, err := client.NewDynamicIdentityFileCreds(path)
	must(t, err)
	c := connectTo(t, s.Addr(), creds)

	must(t, s.RotateCA())
	must(t, ping(c)(brief(t))) // an open connection stays
	s.Stop()
	must(t, s.Start())
	if err := ping(c)(brief(t)); err == nil {
		t.Error("the old identity connects after the rotation")
	}
	must(t, s.WriteIdentity(path, plugin, IdentityOptions{}))
	must(t, creds.Reload())
	eventually(t, ping(c))
}

func TestAuthorityKeptInADirectoryOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	first := start(t, Options{Dir: dir})
	path := identity(t, first, plugin, IdentityOptions{})
	first.Close()
	second := start(t, Options{Dir: dir})
	must(t, ping(connectTo(t, second.Addr(), client.LoadIdentityFile(path)))(brief(t)))
}

func TestStrayConnectionsDisturbNobody(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	stray, err := net.Dial("tcp", s.Addr())
	must(t, err)
	defer stray.Close()
	_, err = stray.Write([]byte("SSH-2.0-Go\r\n"))
	must(t, err)
	must(t, ping(c)(brief(t)))
}
