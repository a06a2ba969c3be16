// Package teleport speaks to a Teleport cluster in the words of internal/access. It promises a connection
// that heals: with the newest credentials on disk, never kept when it is dead, never given up for what the
// other side does. No type of Teleport's client, of gRPC or of trace leaves it; every error of a call is
// an *access.Failure.
package teleport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/pdhook/pdhook/internal/access"
)

// Config says where the cluster is and as whom to speak to it.
type Config struct {
	Addr     string // required: "host:port" of a proxy or an auth server
	Identity string // path of an identity file; or the three below, for an auth server only

	ClientKey string // path of the private key
	ClientCrt string // path of the TLS certificate
	RootCAs   string // path of the certificates of the cluster's authorities

	Refresh         bool          // read the files again while running; when they hold an expired certificate this is done anyway
	RefreshInterval time.Duration // between two looks at the files; default one minute
	Log             *slog.Logger  // required
}

// Deadlines of calls.
const (
	callTimeout = 10 * time.Second
	listTimeout = 30 * time.Second
)

// Client is a user of one Teleport cluster. Its calls work while Run runs; without a connection they fail
// at once with a Failure of class Retry.
type Client struct {
	cfg  Config
	pace pace

	mu        sync.Mutex
	identity  identity
	conn      *connection   // nil: not connected
	connected chan struct{} // closed while conn is set
	lastError string
	server    server
}

// server is what the cluster told of itself last.
type server struct {
	cluster, version, publicAddr string
}

// Status is what people see of the connection.
type Status struct {
	Connected       bool
	LastError       string    // why there is no (new) connection, in one line; "" when all is well
	IdentityExpires time.Time // end of life of the certificate in use
	RenewalOverdue  time.Time // from then on it should have been renewed
	ServerVersion   string    // "" before the first connection
	Cluster         string    // "" before the first connection
}

// New reads the credentials. One that is missing, unreadable or no credential is an error that names the
// file and the way out; one that has expired is none: Run waits for its renewal.
func New(cfg Config) (*Client, error) {
	if cfg.Addr == "" {
		return nil, errors.New("teleport.addr is empty: give host:port of the proxy or the auth server")
	}
	if cfg.Identity == "" && (cfg.ClientKey == "" || cfg.ClientCrt == "" || cfg.RootCAs == "") {
		return nil, errors.New("no Teleport credentials: give identity, or all of client_key, client_crt and root_cas")
	}
	if cfg.RefreshInterval <= 0 {
		cfg.RefreshInterval = time.Minute
	}
	id, err := cfg.readIdentity()
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, pace: defaultPace, identity: id, connected: make(chan struct{}),
		lastError: connecting}, nil
}

// User gives the Teleport user whom the credentials belong to.
func (c *Client) User() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.identity.user
}

// Cluster gives the cluster's name, "" before the first connection.
func (c *Client) Cluster() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server.cluster
}

// RequestURL gives the page of a request in Teleport's web interface, "" while the cluster has not told a
// public address.
func (c *Client) RequestURL(id access.RequestID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.publicAddr == "" {
		return ""
	}
	return "https://" + strings.TrimSuffix(c.server.publicAddr, ":443") + "/web/requests/" + string(id)
}

// Status tells how the connection is doing.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Status{
		Connected:       c.conn != nil,
		LastError:       c.lastError,
		IdentityExpires: c.identity.expires,
		RenewalOverdue:  c.identity.renewalOverdue(),
		ServerVersion:   c.server.version,
		Cluster:         c.server.cluster,
	}
}

// await waits for a connection, which Run makes, and counts a call on it, which the caller ends with
// calls.Done. When ctx ends first its error says what stands in the way.
func (c *Client) await(ctx context.Context) (*connection, error) {
	for {
		conn, err := c.acquire()
		if err == nil {
			return conn, nil
		}
		c.mu.Lock()
		connected := c.connected
		c.mu.Unlock()
		select {
		case <-connected:
		case <-ctx.Done():
			return nil, &access.Failure{Class: access.Retry, Err: fmt.Errorf("%w: %w", err, ctx.Err())}
		}
	}
}

// acquire counts a call on the current connection.
func (c *Client) acquire() (*connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil, &access.Failure{Class: access.Retry,
			Err: fmt.Errorf("not connected to Teleport at %s: %s", c.cfg.Addr, c.lastError)}
	}
	c.conn.calls.Add(1)
	return c.conn, nil
}

// read makes a call that changes nothing; doing says what for.
func (c *Client) read(ctx context.Context, timeout time.Duration, doing string, f func(context.Context, *client.Client) error) error {
	conn, err := c.acquire()
	if err != nil {
		return err
	}
	defer conn.calls.Done()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := f(ctx, conn.teleport); err != nil {
		return failure(ctx, doing, err)
	}
	return nil
}

// write makes a call that changes something: a failure that leaves open whether it did is marked.
func (c *Client) write(ctx context.Context, doing string, f func(context.Context, *client.Client) error) error {
	conn, err := c.acquire()
	if err != nil {
		return err
	}
	defer conn.calls.Done()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := f(ctx, conn.teleport); err != nil {
		fail := failure(ctx, doing, err)
		fail.Unclear = !refused(err)
		return fail
	}
	return nil
}
