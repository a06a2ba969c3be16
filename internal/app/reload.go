package app

import (
	"context"
	"strings"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/pagerduty"
)

// Reload reads configuration, secrets and certificates again. What can change while running changes, what
// cannot is named in a warning, and with an error everything stays as it was. All pending requests are then
// looked at again (spec §9). An error says what was refused; it is in the log already.
func (a *App) Reload(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	next, err := a.reread()
	if err == nil {
		err = a.secrets.reload(next)
	}
	if err != nil {
		a.log.Error("The new configuration is refused, the old one stays", "error", err)
		return err
	}
	refused := a.webhooks.Reload()
	if refused != nil {
		a.log.Error("The new certificate is refused, the old one stays", "error", refused)
	}
	if names := config.Restart(a.started, next); len(names) > 0 {
		a.log.Warn("Some changes take effect only after a restart", "keys", strings.Join(names, ", "))
	}
	a.current.Store(next)
	a.log.Info("The configuration was read again")
	a.watcher.Remind(ctx, access.CauseReload)
	a.subscription.Look()
	return refused
}

// watchSecrets takes secrets from files that have changed. Another key may show and allow what the old one did not.
func (a *App) watchSecrets(ctx context.Context) error {
	return a.secrets.watch(ctx, func(ctx context.Context) {
		a.watcher.Remind(ctx, access.CauseReload)
		a.subscription.Look()
	})
}

// status gathers what /status shows.
func (a *App) status() admin.Status {
	t, w, p, q := a.teleport.Status(), a.watcher.Status(), a.pagerduty.Status(), a.queue.Status()
	s := admin.Status{
		Version: a.version, DryRun: a.current.Load().Policy.DryRun,
		Teleport: admin.Teleport{Connected: t.Connected, Watching: w.Up, LastResync: w.LastResync, IdentityExpires: t.IdentityExpires,
			Cluster: t.Cluster, ServerVersion: t.ServerVersion, LastError: t.LastError},
		PagerDuty: admin.PagerDuty{Reachable: p.Reachable, Account: p.Account, LastError: p.LastError},
		Webhook: admin.Webhook{CertificateExpires: a.webhooks.CertificateExpires(), NotReady: a.handler.Ready(),
			Subscription: shown(a.subscription.Status())},
		Queue:   admin.Queue{Depth: q.Depth, OldestSeconds: q.Oldest.Seconds(), Failing: len(q.Failing)},
		Pending: w.Pending,
	}
	if p.Limit > 0 {
		s.PagerDuty.RateLimitLimit, s.PagerDuty.RateLimitRemaining = &p.Limit, &p.Remaining
	}
	if p.Skew.Abs() > pagerduty.TolerableSkew {
		s.PagerDuty.ClockSkewSeconds = p.Skew.Seconds()
	}
	return s
}
