package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/pagerduty"
	"github.com/pdhook/pdhook/internal/subscription"
	"github.com/pdhook/pdhook/internal/webhook"
)

// SubscribeOptions say which webhook subscription is wanted.
type SubscribeOptions struct {
	URL        string
	Filter     *subscription.Wanted // nil: as it is; for a new one the account
	SecretFile string               // "": the first file of webhook.secrets
	Rotate     bool
	Wait       time.Duration     // for the test ping
	Say        func(line string) // tells of each step
}

// Subscribe makes PagerDuty deliver to the URL, beside a running service or before there is one (spec §10).
func Subscribe(ctx context.Context, c *config.Config, o SubscribeOptions) (subscription.Result, error) {
	refused := subscription.Result{URL: o.URL, Done: []string{}, NotUndone: []string{}}
	if err := subscription.CheckURL(o.URL, simulated(c.PagerDuty.APIEndpoint)); err != nil {
		return refused, err
	}
	file, err := secretFile(c.Webhook.Secrets, o.SecretFile)
	if err != nil {
		return refused, err
	}
	refused.SecretFile = string(file)
	release, err := file.Lock()
	if err != nil {
		return refused, err
	}
	defer release()
	secrets, err := readSecrets(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return refused, err
	}
	client, err := pagerduty.New(pagerduty.Config{Endpoint: c.PagerDuty.APIEndpoint, From: c.PagerDuty.UserEmail, Key: secrets.key})
	if err != nil {
		return refused, err
	}
	defer client.Close()
	order := subscription.Order{URL: o.URL, Rotate: o.Rotate, Wait: o.Wait}
	if o.Filter != nil {
		if order.Filter, err = resolve(ctx, client, *o.Filter); err != nil {
			return refused, err
		}
	}
	if u, err := url.Parse(o.URL); err == nil && !strings.HasSuffix(u.Path, c.Webhook.Path) {
		o.Say(fmt.Sprintf("Note: the path of the URL does not end in %s (webhook.path): something in front of pdhook has to change it", c.Webhook.Path))
	}
	loaded, _ := secrets.webhook()
	return subscription.Subscribe(ctx, subscription.SubscribeConfig{
		PagerDuty: client, Running: running{admin.NewClient(c.Admin.Listen, secrets.token())},
		File: signing{file}, FileName: string(file), HaveSecret: len(loaded) > 0,
		Path: c.Webhook.Path, EventTypes: webhook.EventTypes(), Say: o.Say,
	}, order)
}

// simulated reports whether the PagerDuty that is asked can reach addresses of this machine.
func simulated(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// secretFile chooses the file that the signing secret goes into: one that the service reads.
func secretFile(configured []config.SecretSource, wanted string) (config.SecretFile, error) {
	var files []string
	for _, s := range configured {
		if path, isFile := s.File(); isFile {
			files = append(files, path)
		}
	}
	switch {
	case len(files) == 0:
		return "", errors.New(`webhook.secrets holds the signing secret itself, which pdhook cannot write: put a path there, such as "/var/lib/pdhook/webhook-secret"`)
	case wanted == "":
		return config.SecretFile(files[0]), nil
	case !slices.Contains(files, wanted):
		return "", fmt.Errorf("--secret-file %s is none of webhook.secrets (%s): pdhook would not read it", wanted, strings.Join(files, ", "))
	}
	return config.SecretFile(wanted), nil
}

// resolve finds the service or team of a filter.
func resolve(ctx context.Context, client *pagerduty.Client, w subscription.Wanted) (*access.SubscriptionFilter, error) {
	f := &access.SubscriptionFilter{Kind: w.Kind}
	var err error
	switch w.Kind {
	case access.FilterService:
		var found access.Service
		found, err = client.Service(ctx, w.Ref)
		f.ID = string(found.ID)
	case access.FilterTeam:
		var found access.Team
		found, err = client.Team(ctx, w.Ref)
		f.ID = found.ID
	case access.FilterAccount:
	}
	_, ambiguous := errors.AsType[*access.AmbiguousError](err)
	if ambiguous || errors.Is(err, access.ErrNotFound) {
		return nil, fmt.Errorf("%w. The whole name is needed, as PagerDuty shows it, or the ID at the end of its page's address: --filter %s:id:ID", err, w.Kind)
	}
	return f, err
}

// running is the service that the command works beside.
type running struct{ client *admin.Client }

// mostPings bounds how far back pings are looked for, in deliveries.
const mostPings = 1000

func (r running) Pings(ctx context.Context) ([]access.Event, error) {
	latest, err := r.client.Deliveries(ctx, mostPings)
	var pings []access.Event
	for _, d := range latest {
		if d.Type == subscription.TestEvent {
			pings = append(pings, access.Event{ID: d.ID, Type: d.Type, Occurred: d.Occurred, Received: d.Received})
		}
	}
	return pings, answered(err)
}

func (r running) Reload(ctx context.Context) error { return answered(r.client.Reload(ctx)) }

// answered tells that nobody answers in the words of internal/subscription.
func answered(err error) error {
	if errors.Is(err, admin.ErrNotRunning) {
		return fmt.Errorf("%w (%w)", subscription.ErrNotRunning, err)
	}
	return err
}

func (r running) NotReady(ctx context.Context) []string {
	if not, ok := errors.AsType[*admin.NotReadyError](r.client.Ready(ctx)); ok {
		return not.Reasons
	}
	return nil
}

// signing is a file of webhook.secrets in the words of internal/subscription.
type signing struct{ config.SecretFile }

func (s signing) Read() ([]string, error) {
	secrets, err := s.SecretFile.Read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	texts := make([]string, len(secrets))
	for i, secret := range secrets {
		texts[i] = secret.Reveal()
	}
	return texts, err
}

func (s signing) Write(texts []string) error {
	secrets := make([]config.Secret, len(texts))
	for i, text := range texts {
		secrets[i] = config.Secret(text)
	}
	return s.SecretFile.Write(secrets)
}
