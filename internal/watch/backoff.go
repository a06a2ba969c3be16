package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Bounds of the pauses between tries.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 30 * time.Second
)

// backoff gives pauses that double from firstPause to longestPause, the second half of each at random.
type backoff struct{ pause time.Duration }

func (b *backoff) next() time.Duration {
	b.pause = min(max(2*b.pause, firstPause), longestPause)
	return b.pause/2 + rand.N(b.pause/2+1)
}

func (b *backoff) reset() { b.pause = 0 }

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// failureLog logs a failure once, and again when its text changes.
type failureLog struct {
	log  *slog.Logger
	said string
}

func (f *failureLog) report(msg string, err error) {
	if err.Error() == f.said {
		return
	}
	f.said = err.Error()
	if access.IsPermanent(err) {
		f.log.Error(msg, "error", err, "hint", "the role of pdhook's Teleport user needs the rule access_request: [list, read]")
		return
	}
	f.log.Warn(msg, "error", err)
}

func (f *failureLog) forget() { f.said = "" }
