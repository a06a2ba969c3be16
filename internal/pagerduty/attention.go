package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Pauses between two looks at the connection.
const (
	firstCheck = time.Second // while something is wrong, doubled each time
	lastCheck  = 30 * time.Second
)

// Run asks PagerDuty for the user in whose name pdhook writes: at once, and again whenever calls fail, until
// it works. What is wrong is logged once, and again when its text changes. Only the end of ctx ends it.
func (c *Client) Run(ctx context.Context) error {
	said, pause := "", firstCheck
	for ctx.Err() == nil {
		err := c.check(ctx)
		if last := c.health.snapshot().LastError; errors.Is(err, errBlown) && said == "" && last != "" {
			err = errors.New(last) // others have met it before
		}
		switch {
		case err == nil:
			if said != "" {
				c.log.Info("PagerDuty does what it is asked again")
				c.recovered(ctx)
			}
			said, pause = "", firstCheck
			c.untilTrouble(ctx)
			continue
		case errors.Is(err, errBlown) || !access.NotBefore(err).IsZero(): // known already; the rate limit is nobody's trouble
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			c.log.Error("PagerDuty needs attention", "error", err, "endpoint", c.endpoint, "hint", wayOut(err))
		}
		c.untilMended(ctx, pause)
		pause = min(2*pause, lastCheck)
	}
	return nil
}

// check is a question whose answer shows that endpoint, key, user_email and account are right.
func (c *Client) check(ctx context.Context) error {
	user, err := c.User(WithPriority(ctx, Background), c.from)
	if errors.Is(err, access.ErrNotFound) {
		err = fmt.Errorf("pagerduty.user_email: %w", err)
	}
	if err == nil {
		return c.otherAccount(user.Account)
	}
	if ctx.Err() == nil {
		c.health.ended(err)
	}
	return err
}

// errOtherAccount says that approvals stop because of Config.Account.
var errOtherAccount = errors.New("nobody is approved")

// otherAccount holds the account that PagerDuty showed against the one that it should be.
func (c *Client) otherAccount(shown string) error {
	want := c.account()
	if want == "" || shown == "" || shown == want {
		return nil
	}
	return fmt.Errorf("pagerduty.account is %q, but the key of pagerduty.api_key belongs to account %q: %w", want, shown, errOtherAccount)
}

// wayOut says what an operator can do about a failed check.
func wayOut(err error) string {
	switch {
	case errors.Is(err, errOtherAccount):
		return "correct pagerduty.account, or put a key of that account where pagerduty.api_key says; then send SIGHUP"
	case errors.Is(err, access.ErrNotFound):
		return "set pagerduty.user_email to the login e-mail of a PagerDuty user"
	case access.IsPermanent(err):
		return "put a valid REST API key where pagerduty.api_key says; a file is read again by itself, else send SIGHUP"
	}
	return "check that pagerduty.api_endpoint is right and can be reached from here; it is tried again"
}

// untilTrouble returns when a call has failed or showed another account, without asking PagerDuty.
func (c *Client) untilTrouble(ctx context.Context) {
	for {
		sleep(ctx, lastCheck)
		if s := c.Status(); ctx.Err() != nil || s.LastError != "" || !s.Reachable {
			return
		}
	}
}

// untilMended returns after the pause, or earlier when calls are answered again: what waits for it has waited
// long enough.
func (c *Client) untilMended(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-c.mended:
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
