package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
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

// bot remembers the user of Config.From. Many who ask together share a call as for any other user, and none waits
// for a call that hangs.
type bot struct {
	mu   sync.Mutex
	user access.User
	read time.Time
}

func (b *bot) known(now time.Time) (access.User, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.user, !b.read.IsZero() && now.Sub(b.read) < botMemory
}

func (b *bot) remember(user access.User, asked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if asked.After(b.read) {
		b.user, b.read = user, asked
	}
}

// Bot gives the user in whose name pdhook writes to PagerDuty. It may have been read up to 5 minutes ago.
func (c *Client) Bot(ctx context.Context) (access.User, error) {
	asked := c.now()
	if user, known := c.bot.known(asked); known {
		return user, nil
	}
	user, err := c.User(ctx, c.from)
	if err != nil {
		return access.User{}, fmt.Errorf("finding the user of pagerduty.user_email: %w", err)
	}
	c.bot.remember(user, asked)
	return user, nil
}
