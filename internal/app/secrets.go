package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/config"
)

// lookForSecrets is how often the files of secrets are read again. They are polled for the same reason as the TLS
// files: Kubernetes renews a mounted secret by swapping a symlink two levels up.
const lookForSecrets = 3 * time.Second

// secrets holds the values behind api_key, webhook.secrets and admin.token, as last read.
type secrets struct {
	log *slog.Logger

	mu     sync.Mutex
	cfg    *config.Config
	values secretValues

	// Of look alone.
	before secretValues // what the files held at the last look
	failed error        // why they could not be read then
	told   string       // what the log has of that
}

// secretValues is what the sources of all secrets hold at one moment.
type secretValues struct {
	key, token string
	webhook    [][]config.Secret // for each of webhook.secrets; nil: its file is not there
}

const keyOfPagerDuty = "pagerduty.api_key"

// names says in which keys of the configuration other differs.
func (v secretValues) names(other secretValues) []string {
	var names []string
	if v.key != other.key {
		names = append(names, keyOfPagerDuty)
	}
	if v.token != other.token {
		names = append(names, "admin.token")
	}
	if !slices.EqualFunc(v.webhook, other.webhook, slices.Equal) {
		names = append(names, "webhook.secrets")
	}
	return names
}

// readSecrets reads all secrets. A missing file of a webhook secret is no error: it is looked for until it
// comes (spec §8).
func readSecrets(c *config.Config, log *slog.Logger) (*secrets, error) {
	s := &secrets{log: log}
	return s, s.reload(c)
}

// reload reads all secrets again and takes them as they are; with an error the old ones stay.
func (s *secrets) reload(c *config.Config) error {
	values, err := valuesOf(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg, s.values, s.before, s.failed, s.told = c, values, values, nil, ""
	return nil
}

func valuesOf(c *config.Config) (secretValues, error) {
	var v secretValues
	key, err := c.PagerDuty.APIKey.Read()
	if err != nil {
		return v, fmt.Errorf("pagerduty.api_key: %w", err)
	}
	v.key = key.Reveal()
	if c.Admin.Token != "" {
		token, err := c.Admin.Token.Read()
		if err != nil {
			return v, fmt.Errorf("admin.token: %w", err)
		}
		v.token = token.Reveal()
	}
	if v.webhook, err = c.Webhook.ReadSecrets(); err != nil {
		return v, fmt.Errorf("webhook.secrets: %w", err)
	}
	return v, nil
}

// watch reads the files again and again until ctx ends, and calls newKey after it has taken another API key.
func (s *secrets) watch(ctx context.Context, newKey func(context.Context)) error {
	ticker := time.NewTicker(lookForSecrets)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if slices.Contains(s.look(), keyOfPagerDuty) {
				newKey(ctx)
			}
		}
	}
}

// look takes what the files hold when two looks in a row have found the same: one that is being written may hold half
// a secret, and a webhook that is refused for it is lost. For the same reason a file that is gone takes no secret with
// it; only a reload does. look gives the keys of the configuration that have other values now.
func (s *secrets) look() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := valuesOf(s.cfg)
	if err != nil {
		s.tell(err)
		s.before, s.failed = secretValues{}, err
		return nil
	}
	s.tell(s.gone(found))
	for i, entry := range found.webhook {
		if entry == nil {
			found.webhook[i] = s.values.webhook[i]
		}
	}
	steady := len(found.names(s.before)) == 0
	s.before, s.failed = found, nil
	names := found.names(s.values)
	if !steady || len(names) == 0 {
		return nil
	}
	s.values = found
	s.log.Info("Secrets have changed and were read again", "keys", strings.Join(names, ", "))
	return names
}

// gone names the files whose secrets are in use although they are there no more.
func (s *secrets) gone(found secretValues) error {
	var files []string
	for i, entry := range found.webhook {
		if entry == nil && s.values.webhook[i] != nil {
			files = append(files, s.cfg.Webhook.Secrets[i].String())
		}
	}
	if files == nil {
		return nil
	}
	return fmt.Errorf("webhook.secrets: %s: gone; put it back before the next reload or restart", strings.Join(files, ", "))
}

// tell logs why secrets cannot be read, when that is news, and that they can again.
func (s *secrets) tell(err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	switch {
	case why == s.told:
		return
	case err == nil:
		s.log.Info("Secrets can be read again")
	default:
		s.log.Warn("Secrets cannot be read again, the old ones stay", "error", err)
	}
	s.told = why
}

func (s *secrets) key() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values.key
}

func (s *secrets) token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values.token
}

// webhook gives the signing secrets, and why there may be others.
func (s *secrets) webhook() (loaded [][]byte, others error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for i, entry := range s.values.webhook {
		if entry == nil {
			missing = append(missing, s.cfg.Webhook.Secrets[i].String())
		}
		for _, secret := range entry {
			loaded = append(loaded, []byte(secret.Reveal()))
		}
	}
	switch {
	case missing == nil:
		return loaded, nil
	case s.failed != nil: // perhaps of one of them
		return loaded, s.failed
	}
	return loaded, fmt.Errorf("the file of webhook.secrets is not there yet (pdhook subscribe writes it): %s", strings.Join(missing, ", "))
}
