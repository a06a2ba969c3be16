package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// User gives the user whose login e-mail is email, upper and lower case of ASCII letters being equal.
// Nobody: access.ErrNotFound; two users: *access.AmbiguousError.
func (c *Client) User(ctx context.Context, email string) (access.User, error) {
	user, err := c.people.get(ctx, email, struct{}{})
	if err != nil {
		return access.User{}, fmt.Errorf("looking up PagerDuty user %q: %w", email, err)
	}
	return user, nil
}

func (c *Client) findUser(ctx context.Context, email string) (access.User, error) {
	if strings.TrimSpace(email) == "" {
		return access.User{}, permanent(errors.New("an empty e-mail is not looked up"))
	}
	// query= matches substrings of names and e-mails.
	q := call{route: "GET /users", path: "/users", query: url.Values{"query": {email}}}
	listed, _, err := list[reference](ctx, c, q, "users")
	if err != nil {
		return access.User{}, err
	}
	found := map[string]access.User{}
	for _, u := range listed {
		if u.ID == "" || u.Email == "" {
			return access.User{}, answer{call: q}.unreadable(errors.New("a user without id or email"))
		}
		if access.SameName(u.Email, email) {
			found[u.ID] = c.user(u)
		}
	}
	return only("user", email, found)
}

func (c *Client) user(u reference) access.User {
	account := accountOf(u.HTMLURL)
	c.health.saw(account)
	return access.User{ID: access.UserID(u.ID), Name: u.label(), Email: u.Email, Account: account}
}

// botMemory is how long the user behind From is remembered.
const botMemory = 5 * time.Minute

// bot remembers the user of Config.From. lock admits one at a time, so that many requests that arrive
// together ask PagerDuty once.
type bot struct {
	lock chan struct{}
	user access.User
	read time.Time
}

func newBot() bot { return bot{lock: make(chan struct{}, 1)} }

// Bot gives the user in whose name pdhook writes to PagerDuty. It may have been read up to 5 minutes ago.
func (c *Client) Bot(ctx context.Context) (access.User, error) {
	select {
	case c.bot.lock <- struct{}{}:
		defer func() { <-c.bot.lock }()
	case <-ctx.Done():
		return access.User{}, &access.Failure{Err: fmt.Errorf("waiting for pdhook's own PagerDuty user: %w", context.Cause(ctx))}
	}
	asked := c.now()
	if !c.bot.read.IsZero() && asked.Sub(c.bot.read) < botMemory {
		return c.bot.user, nil
	}
	user, err := c.User(ctx, c.from)
	if err != nil {
		return access.User{}, fmt.Errorf("finding the user of pagerduty.user_email: %w", err)
	}
	c.bot.user, c.bot.read = user, asked
	return user, nil
}
