package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/config"
)

// lookForSecrets is how often webhook secrets that could not be read are looked for.
const lookForSecrets = 3 * time.Second

// secrets holds the values behind api_key, webhook.secrets and admin.token, as last read.
type secrets struct {
	log *slog.Logger

	mu     sync.Mutex
	cfg    *config.Config
	values secretValues
}

type secretValues struct {
	key, token string
	webhook    [][]byte
	others     error // why there may be more webhook secrets; nil when all are read
}

// readSecrets reads all secrets. A missing file of a webhook secret is no error: it is looked for until it
// comes (spec §8).
func readSecrets(c *config.Config, log *slog.Logger) (*secrets, error) {
	s := &secrets{log: log}
	return s, s.reload(c)
}

// reload reads all secrets again; with an error the old ones stay.
func (s *secrets) reload(c *config.Config) error {
	key, err := c.PagerDuty.APIKey.Read()
	if err != nil {
		return fmt.Errorf("pagerduty.api_key: %w", err)
	}
	values := secretValues{key: key.Reveal()}
	if c.Admin.Token != "" {
		token, err := c.Admin.Token.Read()
		if err != nil {
			return fmt.Errorf("admin.token: %w", err)
		}
		values.token = token.Reveal()
	}
	var missing []string
	values.webhook, missing, err = c.Webhook.ReadSecrets()
	if err != nil {
		return fmt.Errorf("webhook.secrets: %w", err)
	}
	values.others = notThere(missing)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg, s.values = c, values
	return nil
}

// notThere is the reason to be not ready while files of webhook secrets are missing.
func notThere(files []string) error {
	if len(files) == 0 {
		return nil
	}
	return fmt.Errorf(`webhook.secrets: what begins with "/" names a file, and is not there yet: %s`, strings.Join(files, ", "))
}

// Run looks for secrets that could not be read.
func (s *secrets) Run(ctx context.Context) error {
	ticker := time.NewTicker(lookForSecrets)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.look()
		}
	}
}

func (s *secrets) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values.others == nil {
		return
	}
	found, missing, err := s.cfg.Webhook.ReadSecrets()
	if err != nil { // those that are loaded stay; a file that is being written is complete at the next look
		s.values.others = fmt.Errorf("webhook.secrets: %w", err)
		return
	}
	before := s.values.others.Error()
	s.values.webhook, s.values.others = found, notThere(missing)
	if s.values.others == nil || s.values.others.Error() != before {
		s.log.Info("A webhook secret is loaded", "secrets", len(found), "missing", len(missing))
	}
}

func (s *secrets) now() secretValues {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values
}

func (s *secrets) key() string   { return s.now().key }
func (s *secrets) token() string { return s.now().token }

func (s *secrets) webhook() (loaded [][]byte, others error) {
	v := s.now()
	return v.webhook, v.others
}
