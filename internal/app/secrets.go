package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pdhook/pdhook/config"
)

// lookForSecrets is how often webhook secrets whose file is not there yet are looked for.
const lookForSecrets = 3 * time.Second

// secrets holds the values behind api_key, webhook.secrets and admin.token, as last read.
type secrets struct {
	log *slog.Logger

	mu      sync.Mutex
	cfg     *config.Config
	values  secretValues
	missing []string // files of webhook secrets that are not there yet
}

type secretValues struct {
	key, token string
	webhook    [][]byte
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
	for _, file := range missing {
		s.log.Warn("The file of a webhook secret is not there yet; webhooks signed with it are refused until it is", "file", file)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg, s.values, s.missing = c, values, missing
	return nil
}

// Run looks for secrets whose file is not there yet.
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
	if len(s.missing) == 0 {
		return
	}
	found, missing, err := s.cfg.Webhook.ReadSecrets()
	if err != nil || len(missing) == len(s.missing) {
		return // a file that is being written is complete at the next look
	}
	s.values.webhook, s.missing = found, missing
	s.log.Info("A webhook secret is loaded", "secrets", len(found), "missing", len(missing))
}

func (s *secrets) now() secretValues {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values
}

func (s *secrets) key() string       { return s.now().key }
func (s *secrets) token() string     { return s.now().token }
func (s *secrets) webhook() [][]byte { return s.now().webhook }
