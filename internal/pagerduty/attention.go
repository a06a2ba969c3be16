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
	for {
		err := c.check(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if said != "" {
				c.log.Info("PagerDuty does what it is asked again")
			}
			said, pause = "", firstCheck
			c.untilTrouble(ctx)
			continue
		case access.NotBefore(err).IsZero() && err.Error() != said: // the rate limit is nobody's trouble
			said = err.Error()
			c.log.Error("PagerDuty needs attention", "error", err, "endpoint", c.endpoint, "hint", wayOut(err))
		}
		sleep(ctx, pause)
		pause = min(2*pause, lastCheck)
	}
}

// check is a question whose answer shows that endpoint, key and user_email are right.
func (c *Client) check(ctx context.Context) error {
	_, err := c.User(WithPriority(ctx, Background), c.from)
	if errors.Is(err, access.ErrNotFound) {
		err = fmt.Errorf("pagerduty.user_email: %w", err)
	}
	if err != nil && ctx.Err() == nil {
		c.health.ended(err)
	}
	return err
}

// wayOut says what an operator can do about a failed check.
func wayOut(err error) string {
	switch {
	case errors.Is(err, access.ErrNotFound):
		return "set pagerduty.user_email to the login e-mail of a PagerDuty user"
	case access.IsPermanent(err):
		return "put a valid REST API key where pagerduty.api_key says, then send SIGHUP"
	}
	return "check that pagerduty.api_endpoint is right and can be reached from here; it is tried again"
}

// untilTrouble returns when a call has failed, without asking PagerDuty.
func (c *Client) untilTrouble(ctx context.Context) {
	for {
		sleep(ctx, lastCheck)
		if s := c.health.snapshot(); ctx.Err() != nil || s.LastError != "" || !s.Reachable {
			return
		}
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
