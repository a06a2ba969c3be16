package teleport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

// Unreachable says why there is no connection.
type Unreachable struct {
	Cause string // in one line
	Hint  string // what can be done about it
}

func (e *Unreachable) Error() string { return e.Cause }

// Once makes one connection with the credentials that New read, lets f make calls, and ends the connection. It is
// for who looks and goes; a client that runs keeps its own. Without a connection f is not called, and the error is
// an *Unreachable.
func (c *Client) Once(ctx context.Context, f func(context.Context)) error {
	if end := c.identity.expires; c.identity.expired(time.Now()) {
		return &Unreachable{
			Cause: fmt.Sprintf("not tried: the certificate in %s expired at %s", c.cfg.file(), end.UTC().Format(time.RFC3339)),
			Hint:  "renew it first",
		}
	}
	conn, s, err := connect(ctx, c.cfg.Addr, c.identity)
	if err != nil {
		cause := strings.ReplaceAll(err.Error(), "\n", "; ")
		return &Unreachable{Cause: cause, Hint: c.cfg.wayOut(cause)}
	}
	k := newKeeper(c)
	k.meet(s)
	k.connections.Go(conn.run)
	k.replace(conn, nil)
	f(ctx)
	k.replace(nil, errStopped)
	k.connections.Wait()
	return nil
}

// OwnRoles gives the Teleport roles of pdhook's user, as far as they concern requests.
func (c *Client) OwnRoles(ctx context.Context) ([]access.OwnRole, error) {
	var roles []types.Role
	err := c.read(ctx, callTimeout, "reading the roles of pdhook's user", func(ctx context.Context, t *client.Client) (err error) {
		roles, err = t.GetCurrentUserRoles(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	own := make([]access.OwnRole, len(roles))
	for i, r := range roles {
		allow := r.GetAccessReviewConditions(types.Allow)
		own[i] = access.OwnRole{
			Name: r.GetName(), Reviews: allow.Roles, Where: allow.Where, ByClaims: len(allow.ClaimsToRoles) > 0,
			Refuses: r.GetAccessReviewConditions(types.Deny).Roles,
		}
	}
	return own, nil
}

// errSeen ends a watch that was opened only to see that it can be.
var errSeen = errors.New("seen")

// TryWatch opens a watch of access requests, as Watch does, and closes it.
func (c *Client) TryWatch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := c.Watch(ctx, func() { cancel(errSeen) }, func(access.Change) {})
	if errors.Is(context.Cause(ctx), errSeen) {
		return nil
	}
	return err
}
