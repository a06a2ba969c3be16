package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/check"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/internal/policy"
	"github.com/pdhook/pdhook/internal/store"
	"github.com/pdhook/pdhook/internal/subscription"
	"github.com/pdhook/pdhook/internal/teleport"
	"github.com/pdhook/pdhook/internal/webhook"
)

// CheckConfig says what Check looks at.
type CheckConfig struct {
	File      string // of the configuration; "": variables alone
	Examined  config.Examined
	Services  []string // names to look at, beside those that requests and rules name
	Schedules []string
}

// Check tries once all that the configuration says, as far as it has no mistakes, without starting the service. It
// changes nothing.
func Check(ctx context.Context, cfg CheckConfig) []check.Finding {
	it := check.Config{File: cfg.File, Mistakes: cfg.Examined.Mistakes}
	c, sound := cfg.Examined.Config, cfg.Examined.Sound
	if c == nil {
		return check.Run(ctx, it)
	}
	it.Secrets = secretFiles(c)
	it.Approval = approval(cfg, c)
	if sound("teleport") {
		it.Teleport = checkTeleport(c)
	}
	if sound("pagerduty") {
		it.PagerDuty = checkPagerDuty(c)
	}
	if sound("webhook") {
		it.Webhook = checkWebhook(c)
	}
	if sound("store") {
		it.Store = &check.Store{Path: c.Store.Path, Look: func(shared bool) (check.Place, error) {
			place, err := store.Look(c.Store.Path, shared)
			return check.Place(place), err
		}}
	}
	if sound("admin") {
		it.Admin = &check.Admin{Listen: c.Admin.Listen, Ask: func(ctx context.Context) check.Running { return ask(ctx, c.Admin) }}
	}
	if sound("log") && strings.HasPrefix(c.Log.Output, "/") {
		it.Log = c.Log.Output
	}
	findings := check.Run(ctx, it)
	if p := it.PagerDuty; p != nil && p.Client != nil {
		p.Client.Close()
	}
	return findings
}

// secretFiles names the files that hold secrets.
func secretFiles(c *config.Config) (files []check.SecretFile) {
	add := func(key, path string) {
		if path != "" {
			files = append(files, check.SecretFile{Key: key, Path: path})
		}
	}
	secret := func(key string, source config.SecretSource) {
		if path, isFile := source.File(); isFile {
			add(key, path)
		}
	}
	add("teleport.identity", c.Teleport.Identity)
	add("teleport.client_key", c.Teleport.ClientKey)
	secret("pagerduty.api_key", c.PagerDuty.APIKey)
	for _, s := range c.Webhook.Secrets {
		secret("webhook.secrets", s)
	}
	add("webhook.tls_key", c.Webhook.TLSKey)
	secret("admin.token", c.Admin.Token)
	return files
}

func approval(cfg CheckConfig, c *config.Config) check.Approval {
	rules := policy.Rules{NotifyService: c.PagerDuty.NotifyService, Services: c.PagerDuty.Services, Schedules: c.PagerDuty.Schedules}
	return check.Approval{
		MaxLevel: c.Policy.MaxEscalationLevel, DryRun: c.Policy.DryRun,
		Services: policy.Refs(cfg.Services), Schedules: policy.Refs(cfg.Schedules),
		Refs: func(r access.Request) (services, notified, schedules []string) {
			return policy.Refs(r.Annotations[rules.Services]), policy.Refs(r.Annotations[rules.NotifyService]), rules.ScheduleRefs(r)
		},
	}
}

func checkTeleport(c *config.Config) *check.Teleport {
	t := &check.Teleport{
		Addr: c.Teleport.Addr, File: cmp.Or(c.Teleport.Identity, c.Teleport.ClientCrt), DryRun: c.Policy.DryRun, Roles: c.Policy.AutoApproveRoles,
	}
	client, err := newTeleport(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Err = err
		return t
	}
	s := client.Status()
	t.Client, t.User, t.Expires, t.Overdue = cluster{client}, client.User(), s.IdentityExpires, s.RenewalOverdue
	return t
}

// cluster is Teleport as a check asks it.
type cluster struct{ *teleport.Client }

func (c cluster) Once(ctx context.Context, f func(context.Context)) (hint string, err error) {
	err = c.Client.Once(ctx, f)
	if no, is := errors.AsType[*teleport.Unreachable](err); is {
		hint = no.Hint
	}
	return hint, err
}

func (c cluster) Met() (name, version string) {
	s := c.Status()
	return s.Cluster, s.ServerVersion
}

func checkPagerDuty(c *config.Config) *check.PagerDuty {
	p := &check.PagerDuty{
		Endpoint: c.PagerDuty.APIEndpoint, Key: "pagerduty.api_key", UserEmail: c.PagerDuty.UserEmail,
		Account: c.PagerDuty.Account, Skew: pagerduty.TolerableSkew,
	}
	if file, isFile := c.PagerDuty.APIKey.File(); isFile {
		p.Key = file
	}
	key, err := c.PagerDuty.APIKey.Read()
	if err != nil {
		p.Err = fmt.Errorf("pagerduty.api_key: %w", err)
		return p
	}
	client, err := pagerduty.New(pagerduty.Config{Endpoint: p.Endpoint, From: p.UserEmail, Key: key.Reveal})
	if err != nil {
		p.Err = err
		return p
	}
	p.Client = account{client}
	return p
}

// account is PagerDuty as a check asks it.
type account struct{ *pagerduty.Client }

func (a account) Refused(err error) bool { return pagerduty.KeyRefused(err) }

func (a account) Measured() (limit, remaining int, skew time.Duration) {
	s := a.Status()
	return s.Limit, s.Remaining, s.Skew
}

func checkWebhook(c *config.Config) *check.Webhook {
	w := &check.Webhook{
		Listen: c.Webhook.Listen, Path: c.Webhook.Path, Insecure: c.Webhook.InsecureHTTP, CertFile: c.Webhook.TLSCert,
		ClientCA: c.Webhook.ClientCA, Report: c.Webhook.ClientAuth == config.ClientAuthReport,
		Ours: func(listed []access.Subscription) []access.Subscription {
			return subscription.Ours(listed, c.Webhook.Path)
		},
		Lacks: func(s access.Subscription) []string { return subscription.Missing(s, webhook.EventTypes()) },
	}
	secrets, _ := c.Webhook.ReadSecrets() // what cannot be read is a mistake of the configuration
	for i, secret := range secrets {
		path, isFile := c.Webhook.Secrets[i].File()
		switch _, err := os.Stat(path); {
		case secret != nil:
			w.Secrets++
		case isFile && errors.Is(err, fs.ErrNotExist):
			w.Missing = append(w.Missing, path)
		}
	}
	if files := tlsOf(c, nil); files != nil {
		w.Chain, w.ChainErr = files.Look()
	}
	return w
}

// ask asks the pdhook that may be running.
func ask(ctx context.Context, a config.Admin) (r check.Running) {
	var token string
	if a.Token != "" {
		secret, err := a.Token.Read()
		if err != nil {
			return check.Running{Err: err}
		}
		token = secret.Reveal()
	}
	client := admin.NewClient(a.Listen, token)
	err := client.Ready(ctx)
	if errors.Is(err, admin.ErrNotRunning) {
		return r
	}
	r.Up = true
	if no, is := errors.AsType[*admin.NotReadyError](err); is {
		r.Reasons = no.Reasons
	}
	status, err := client.Status(ctx)
	if err != nil {
		r.Err = err
		return r
	}
	r.Version, r.Subscription = status.Version, status.Webhook.Subscription.Problem
	for _, side := range []struct{ name, trouble string }{{"Teleport", status.Teleport.LastError}, {"PagerDuty", status.PagerDuty.LastError}} {
		if side.trouble != "" {
			r.Trouble = append(r.Trouble, side.name+": "+side.trouble)
		}
	}
	return r
}
