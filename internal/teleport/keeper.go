package teleport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gravitational/teleport/api"
)

// connecting is told while there is no connection and nothing is known to stand in its way.
const connecting = "connecting"

var (
	errLost    = errors.New("the connection was lost")
	errRenewed = errors.New("the credentials were renewed")
)

// keeper is what Run works with. Only Run's goroutine uses it; it alone changes the Client.
type keeper struct {
	*Client
	renewal     renewal
	connections sync.WaitGroup

	nextLook, nextPing, nextDial time.Time
	pause                        time.Duration // the last before nextDial
	fileTrouble                  string        // what is wrong with the credentials, "" when nothing is
	connTrouble                  string        // the same of the connection
	saidFile, saidConn           string        // the same as logged last
	warned                       bool          // that the identity ends soon
}

func newKeeper(c *Client) *keeper {
	return &keeper{Client: c, renewal: renewal{
		read:      c.cfg.readIdentity,
		settle:    c.pace.soon,
		settleOld: c.cfg.RefreshInterval,
	}}
}

// step does what is due and says how long nothing will be.
func (k *keeper) step(ctx context.Context) time.Duration {
	k.checkLost()
	k.look()
	k.ping(ctx)
	k.dial(ctx)
	k.logTrouble()

	next := k.nextLook
	if k.conn != nil {
		next = earliest(next, k.nextPing)
	}
	if k.outdated() && !k.identity.expired(time.Now()) {
		next = earliest(next, k.nextDial)
	}
	return time.Until(next)
}

// outdated reports whether there is no connection with the current credentials.
func (k *keeper) outdated() bool { return k.conn == nil || k.conn.sum != k.identity.sum }

func (k *keeper) checkLost() {
	select {
	case <-k.lost():
		k.drop(errLost)
	default:
	}
}

// lost is closed when the current connection is; nil when there is none.
func (k *keeper) lost() <-chan struct{} {
	if k.conn == nil {
		return nil
	}
	return k.conn.lost
}

// look reads the credential files again when it is time.
func (k *keeper) look() {
	now := time.Now()
	k.warn(now)
	if !k.cfg.Refresh && !k.identity.expired(now) {
		k.nextLook = k.identity.nextTurn(now)
		return
	}
	if now.Before(k.nextLook) {
		return
	}
	id, err := k.renewal.look(now, k.identity)
	if id.sum != k.identity.sum {
		k.renew(id)
	}
	k.warn(now)
	expired := k.identity.expired(now)
	switch {
	case expired:
		k.fileTrouble = fmt.Sprintf("identity %s expired at %s: renew it (tbot, or tctl auth sign)",
			k.cfg.file(), k.identity.expires.UTC().Format(time.RFC3339))
	case err != nil:
		k.fileTrouble = err.Error()
	default:
		k.fileTrouble = ""
	}
	k.tellTrouble()

	k.nextLook = now.Add(k.cfg.RefreshInterval)
	if expired || k.renewal.unsettled() || k.conn == nil {
		k.nextLook = earliest(k.nextLook, now.Add(k.pace.soon))
	}
	if !expired {
		k.nextLook = earliest(k.nextLook, k.identity.nextTurn(now))
	}
}

// warn tells once of each identity that should have been renewed by now. What has expired is trouble.
func (k *keeper) warn(now time.Time) {
	if k.warned || now.Before(k.identity.renewalOverdue()) || k.identity.expired(now) {
		return
	}
	k.warned = true
	k.cfg.Log.Warn("The Teleport identity was not renewed in time, it ends soon", "file", k.cfg.file(), "user", k.identity.user,
		"expires", k.identity.expires, "left", k.identity.expires.Sub(now).Round(time.Second).String(),
		"hint", "does tbot run, and may it write there? Without tbot: tctl auth sign")
}

// renew takes new credentials; the next dial uses them, and is due at once.
func (k *keeper) renew(id identity) {
	k.mu.Lock()
	k.identity = id
	k.mu.Unlock()
	k.nextDial, k.pause, k.warned = time.Time{}, 0, false
	k.cfg.Log.Info("Read renewed Teleport credentials", "file", k.cfg.file(), "user", id.user, "expires", id.expires)
}

// ping gives up a connection that does not answer, however alive it looks.
func (k *keeper) ping(ctx context.Context) {
	if k.conn == nil || time.Now().Before(k.nextPing) {
		return
	}
	s, err := k.conn.ping(ctx, k.pace.answer)
	if err != nil {
		if ctx.Err() == nil {
			k.drop(err)
		}
		return
	}
	k.meet(s)
	k.nextPing = time.Now().Add(k.pace.ping)
}

// dial connects when there is no connection or an older identity's. That one is kept until the new one stands.
func (k *keeper) dial(ctx context.Context) {
	now := time.Now()
	if !k.outdated() || now.Before(k.nextDial) {
		return
	}
	if k.identity.expired(now) {
		k.connTrouble = "" // what counts is in fileTrouble
		k.tellTrouble()
		return
	}
	conn, s, err := connect(ctx, k.cfg.Addr, k.identity)
	k.pause = min(max(2*k.pause, k.pace.firstPause), k.pace.lastPause)
	k.nextDial = time.Now().Add(k.pause/2 + rand.N(k.pause/2+1))
	if err != nil {
		if ctx.Err() == nil {
			k.connTrouble = fmt.Sprintf("connecting to Teleport at %s: %v", k.cfg.Addr, err)
			k.tellTrouble()
		}
		return
	}
	k.pause = 0
	k.nextPing = time.Now().Add(k.pace.ping)
	k.meet(s)
	k.connections.Go(conn.run)
	k.replace(conn, errRenewed)
	k.connTrouble = ""
	k.tellTrouble()
	k.cfg.Log.Info("Connected to Teleport", "addr", k.cfg.Addr, "cluster", s.cluster, "user", k.identity.user,
		"server_version", s.version, "client_version", api.Version, "identity_expires", k.identity.expires)
}

// drop gives up the current connection because of err.
func (k *keeper) drop(err error) {
	k.cfg.Log.Warn("Connection to Teleport ended", "addr", k.cfg.Addr, "error", err)
	k.connTrouble = err.Error()
	k.tellTrouble()
	k.replace(nil, err)
	k.nextLook = time.Time{} // newer credentials may be what it takes
}

// replace makes conn the current connection, nil for none. The one before ends, because of cause, once the
// calls on it are over.
func (k *keeper) replace(conn *connection, cause error) {
	k.mu.Lock()
	old := k.conn
	k.conn = conn
	switch {
	case old == nil && conn != nil:
		close(k.connected)
	case old != nil && conn == nil:
		k.connected = make(chan struct{})
	}
	k.mu.Unlock()
	if old != nil {
		old.end(cause)
	}
}

// meet remembers what the cluster told of itself.
func (k *keeper) meet(s server) {
	k.mu.Lock()
	known := k.server.version
	k.server = s
	k.mu.Unlock()
	if s.version != known && major(s.version) > major(api.Version) {
		k.cfg.Log.Warn("Teleport is newer than pdhook's client for it: the version after the next may refuse it, update pdhook before",
			"server_version", s.version, "client_version", api.Version)
	}
}

// tellTrouble lets others see what is wrong.
func (k *keeper) tellTrouble() {
	trouble := k.fileTrouble
	if k.connTrouble != "" {
		trouble = strings.TrimPrefix(k.fileTrouble+"; "+k.connTrouble, "; ")
	}
	if trouble == "" && k.conn == nil {
		trouble = connecting
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lastError = trouble
}

// logTrouble logs what is wrong, and the way out, when it is not what was wrong before. Trouble with the
// credentials' files says the way out itself.
func (k *keeper) logTrouble() {
	const needsAttention = "Teleport needs attention"
	if k.fileTrouble != k.saidFile && k.fileTrouble != "" {
		k.cfg.Log.Error(needsAttention, "error", k.fileTrouble)
	}
	if k.connTrouble != k.saidConn && k.connTrouble != "" {
		k.cfg.Log.Error(needsAttention, "error", k.connTrouble, "hint", k.cfg.wayOut(k.connTrouble))
	}
	k.saidFile, k.saidConn = k.fileTrouble, k.connTrouble
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// major gives the major version of a semantic version, 0 when it is none.
func major(version string) int {
	first, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	n, _ := strconv.Atoi(first) // 0 is the answer wanted for no number
	return n
}
