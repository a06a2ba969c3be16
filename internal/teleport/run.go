package teleport

import (
	"context"
	"errors"
	"time"
)

// pace holds the times of Run.
type pace struct {
	ping       time.Duration // between two signs of life
	answer     time.Duration // how long one may take
	soon       time.Duration // between two looks at credential files from which something is expected
	firstPause time.Duration // bounds of the pauses between two tries to connect
	lastPause  time.Duration
}

var defaultPace = pace{
	ping:       30 * time.Second,
	answer:     callTimeout,
	soon:       time.Second,
	firstPause: time.Second,
	lastPause:  30 * time.Second,
}

var errStopped = errors.New("stopping")

// Run keeps a connection with the newest credentials until ctx ends, which is the only way it ends. It
// returns when all calls are over. Calls made after that fail, so let it outlive those who make them.
func (c *Client) Run(ctx context.Context) error {
	k := newKeeper(c)
	defer k.connections.Wait()
	for {
		wait := k.step(ctx)
		select {
		case <-ctx.Done():
			k.replace(nil, errStopped)
			return nil
		case <-k.lost():
		case <-time.After(wait):
		}
	}
}
