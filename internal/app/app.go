// Package app is the only room where concrete types meet: it builds every part from the configuration, runs
// them, and stops them in order. What only the operator can mend here is an error of New, before anything
// listens; what the remote side does never ends Run.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/directory"
	"github.com/pdhook/pdhook/internal/listen"
	"github.com/pdhook/pdhook/internal/oncall"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/internal/policy"
	"github.com/pdhook/pdhook/internal/reconcile"
	"github.com/pdhook/pdhook/internal/rules"
	"github.com/pdhook/pdhook/internal/store"
	"github.com/pdhook/pdhook/internal/subscription"
	"github.com/pdhook/pdhook/internal/teleport"
	"github.com/pdhook/pdhook/internal/watch"
	"github.com/pdhook/pdhook/internal/webhook"
)

// Config is what an App needs. Every field is required.
type Config struct {
	Config  *config.Config
	Log     *slog.Logger
	Version string
	Reload  func() (*config.Config, error) // reads the configuration again
}

// App is the service.
type App struct {
	log     *slog.Logger
	version string
	reread  func() (*config.Config, error)

	reloading sync.Mutex
	started   *config.Config // what cannot change while running is still as it says
	current   atomic.Pointer[config.Config]
	secrets   *secrets

	store      *store.Store
	teleport   *teleport.Client
	pagerduty  *pagerduty.Client
	directory  *directory.Directory
	book       *rules.Book
	watcher    *watch.Watcher
	queue      *reconcile.Queue
	reconciler *reconcile.Reconciler
	poller     *oncall.Poller
	handler    *webhook.Handler
	dispatcher *webhook.Dispatcher
	webhooks   *listen.Server
	admin      *listen.Server

	subscription *subscription.Keeper
}

// workers look at different requests side by side. They mostly wait: with few of them, a PagerDuty that hangs
// on some requests would hold up the others.
const workers = 64

// How long the parts get to end: together less than the 20 s of spec §9, with what a pass takes to record what it did
// in a Teleport and a store that hang, 6 and 5 s.
const (
	passGrace  = 5 * time.Second
	drainGrace = 3 * time.Second
)

// New builds the service and binds its ports. An error names what the operator has to mend.
func New(cfg Config) (*App, error) {
	a := &App{log: cfg.Log, version: cfg.Version, reread: cfg.Reload, started: cfg.Config}
	a.current.Store(cfg.Config)
	var err error
	if a.secrets, err = readSecrets(cfg.Config, cfg.Log); err != nil {
		return nil, err
	}
	if a.teleport, err = newTeleport(cfg.Config, cfg.Log); err != nil {
		return nil, err
	}
	if a.store, err = store.Open(store.Config{Path: cfg.Config.Store.Path, Retention: cfg.Config.Store.Retention, Log: cfg.Log}); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	if err := a.assemble(cfg.Config); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	return a, nil
}

// newTeleport reads the credentials; nobody is called yet.
func newTeleport(c *config.Config, log *slog.Logger) (*teleport.Client, error) {
	client, err := teleport.New(teleport.Config{
		Addr: c.Teleport.Addr, Identity: c.Teleport.Identity,
		ClientKey: c.Teleport.ClientKey, ClientCrt: c.Teleport.ClientCrt, RootCAs: c.Teleport.RootCAs,
		Refresh: c.Teleport.RefreshIdentity, RefreshInterval: c.Teleport.RefreshIdentityInterval,
		Log: log,
	})
	switch {
	case err == nil:
		return client, nil
	case c.Teleport.Identity == "":
		return nil, fmt.Errorf("teleport.client_crt, teleport.client_key and teleport.root_cas: %w", err)
	}
	return nil, fmt.Errorf("teleport.identity: %w", err)
}

// assemble introduces the parts to each other and binds the ports.
func (a *App) assemble(c *config.Config) error {
	metrics := newMetrics(a.version)
	var err error
	a.pagerduty, err = pagerduty.New(pagerduty.Config{
		Endpoint: c.PagerDuty.APIEndpoint, From: c.PagerDuty.UserEmail, Key: a.secrets.key,
		Account: func() string { return a.current.Load().PagerDuty.Account },
		Observe: metrics.PagerDuty, Recovered: a.recovered, Answering: a.answering, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.subscription = subscription.New(subscription.Config{
		Source: a.pagerduty, Path: c.Webhook.Path, EventTypes: webhook.EventTypes(),
		DryRun: func() bool { return a.current.Load().Policy.DryRun }, Lost: a.lost, Log: a.log,
	})
	a.directory = directory.New(a.pagerduty)
	a.book = rules.New(a.teleport, a.rulesChanged, a.log)
	a.watcher = watch.New(watch.Config{
		Source: a.teleport, Hint: a.hint, Open: a.openRequests, Rules: a.book.Refresh, Log: a.log,
	})
	a.queue = reconcile.NewQueue(a.watcher.User, a.log)
	a.reconciler = reconcile.New(reconcile.Config{
		Requests: a.teleport, Presence: a.watcher, Directory: a.directory, Incidents: echoed{a.pagerduty, a.subscription.Wrote}, Links: a.store,
		Replica: a.store.Replica(), Rules: a.rules, Routes: a.book, Observer: metrics, Log: a.log,
	})
	a.poller = oncall.New(a.store, background{a.pagerduty}, a.pollInterval, a.polled, a.log)
	a.dispatcher = webhook.NewDispatcher(a.store, a.queue.Wake, a.log)
	a.handler, err = webhook.NewHandler(webhook.Config{
		Path: c.Webhook.Path, Inbox: a.store, Secrets: a.secrets.webhook,
		Accepted: a.accepted, Observe: metrics.Webhook, Log: a.log,
	})
	if err != nil {
		return fmt.Errorf("webhook.path: %w", err)
	}
	a.webhooks, err = listen.New(listen.Config{Section: "webhook", Addr: c.Webhook.Listen, Handler: a.handler, TLS: tlsOf(c, metrics), DrainTimeout: drainGrace, Log: a.log})
	if err != nil {
		return err
	}
	metrics.Watch(a.reading)
	a.admin, err = listen.New(listen.Config{
		Section: "admin", Addr: c.Admin.Listen, DrainTimeout: drainGrace, Log: a.log,
		Handler: admin.NewHandler(admin.Config{
			Listen: c.Admin.Listen, Token: a.secrets.token, Ready: a.handler.Ready, Status: a.status,
			Board: a.board(), Reload: a.Reload, Metrics: metrics.Handler(),
		}),
	})
	return err
}

func tlsOf(c *config.Config, metrics *admin.Metrics) *listen.TLS {
	if c.Webhook.InsecureHTTP {
		return nil
	}
	return &listen.TLS{
		CertFile: c.Webhook.TLSCert, KeyFile: c.Webhook.TLSKey,
		ClientCA: c.Webhook.ClientCA, ClientNames: c.Webhook.ClientNames, ClientAuth: c.Webhook.ClientAuth,
		Reported: func() { metrics.Webhook("", clientLetThrough) },
		Refused:  func() { metrics.Webhook("", clientRefused) },
	}
}

// Run serves until ctx ends, then stops in order: no new webhooks, no new hints, what is running finishes,
// the ports close, the store closes last. It returns an error only when pdhook cannot go on.
func (a *App) Run(ctx context.Context) error {
	a.log.Info("pdhook is starting", "version", a.version, "webhooks", a.webhooks.Addr().String(),
		"admin", a.admin.Addr().String(), "teleport", a.current.Load().Teleport.Addr)
	err := runInOrder(ctx,
		stage{a.stopTaking, readiness{a.handler.Ready, a.log}.Run, a.watcher.Run, a.book.Run, a.dispatcher.Run, a.poller.Run, a.watchSecrets, a.subscription.Run},
		stage{a.runQueue},
		stage{a.webhooks.Run, a.admin.Run, a.teleport.Run, a.pagerduty.Run},
		stage{a.store.Run},
	)
	a.pagerduty.Close()
	if closeErr := a.store.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("closing the store: %w", closeErr))
	}
	if err == nil {
		a.log.Info("pdhook has stopped")
	}
	return err
}

// stopTaking makes webhooks 503 the moment the end begins: PagerDuty brings them again.
func (a *App) stopTaking(ctx context.Context) error {
	<-ctx.Done()
	a.handler.Stop()
	return nil
}

func (a *App) runQueue(ctx context.Context) error {
	return a.queue.Run(ctx, workers, passGrace, a.reconciler.Reconcile)
}

func (a *App) hint(id access.RequestID, cause string) { a.queue.Add(id, cause) }

// rulesChanged brings back what is pending: rules may name other services for it now.
func (a *App) rulesChanged(ctx context.Context) { a.watcher.Remind(ctx, access.CauseRules) }

// accepted hands a webhook event on, after dropping what it may have made untrue.
func (a *App) accepted(e access.Event) {
	if strings.HasPrefix(e.Type, "incident.") {
		a.directory.ForgetIncidents()
	} else {
		a.directory.Forget()
	}
	a.subscription.Accepted(e)
	a.dispatcher.Accepted(e)
}

// polled brings back a request whose requester has come on call, unlike what is remembered.
func (a *App) polled(id access.RequestID, cause string) {
	a.directory.Forget()
	a.queue.Add(id, cause)
}

// recovered brings back what waits for PagerDuty, now that a trouble with it is over.
func (a *App) recovered(ctx context.Context) {
	a.watcher.Remind(ctx, access.CauseRecovered)
	a.subscription.Look()
}

// answering brings back what failed while PagerDuty did not answer.
func (a *App) answering() { a.queue.RetryFailing() }

// openRequests gives the requests with unfinished links.
func (a *App) openRequests(ctx context.Context) ([]access.RequestID, error) {
	links, err := a.store.OpenLinks(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]access.RequestID, len(links))
	for i, l := range links {
		ids[i] = l.Request
	}
	return ids, nil
}

func (a *App) pollInterval() time.Duration { return a.current.Load().Policy.OncallPollInterval }

func (a *App) rules() policy.Rules {
	c := a.current.Load()
	return policy.Rules{
		NotifyService: c.PagerDuty.NotifyService, Services: c.PagerDuty.Services,
		Schedules: c.PagerDuty.Schedules, UserEmail: c.PagerDuty.UserEmailAnnotation,
		AutoApproveRoles:   c.Policy.AutoApproveRoles,
		MaxEscalationLevel: c.Policy.MaxEscalationLevel,
		MaxAccess:          c.Policy.MaxAccess,
		MaxRequestAge:      c.Policy.MaxRequestAge,
		Notify:             policy.Notify(c.Policy.Notify),
		Account:            c.PagerDuty.Account,
		RequireIncident:    policy.RequireIncident(c.Policy.RequireIncident),
		OwnIncidents:       c.Policy.OwnIncidents,
		OnIncidentResolved: policy.OnIncidentResolved(c.Policy.OnIncidentResolved),
		DryRun:             c.Policy.DryRun,
	}
}

// background asks PagerDuty with what approvals and incidents leave of the call budget.
type background struct{ client *pagerduty.Client }

func (b background) OnCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	return b.client.OnCalls(pagerduty.WithPriority(ctx, pagerduty.Background), q)
}

func (b background) Schedule(ctx context.Context, ref string, until time.Time) (access.Schedule, time.Time, error) {
	return b.client.Schedule(pagerduty.WithPriority(ctx, pagerduty.Background), ref, until)
}
