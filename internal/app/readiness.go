package app

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

// lookForReadiness is how often it is looked whether webhooks can be taken.
const lookForReadiness = time.Second

// readiness tells the log when webhooks cannot be taken and when they can again: nobody may be looking at
// /readyz.
type readiness struct {
	reasons func() []string // why webhooks cannot be taken; none when they can
	log     *slog.Logger
}

// figures change from one look to the next; they alone are no news.
var figures = regexp.MustCompile(`[0-9.]+ MiB`)

// Run looks until ctx ends, which is no news either.
func (r readiness) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookForReadiness)
	defer ticker.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		why := strings.Join(r.reasons(), "; ")
		now := figures.ReplaceAllString(why, "")
		switch {
		case now == told || ctx.Err() != nil:
			continue
		case now == "":
			r.log.Info("Webhooks are taken again")
		default:
			r.log.Warn("Webhooks cannot be taken, or not all of them", "reasons", why)
		}
		told = now
	}
}
