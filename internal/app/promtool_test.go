//go:build promtool

package app

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v2"
)

// promtool runs Prometheus' own checks.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestPromtoolFindsNothingWrongWithTheMetrics(t *testing.T) {
	promtool(t, scrape(t), "check", "metrics")
}

func TestPromtoolFindsNothingWrongWithTheAlerts(t *testing.T) {
	promtool(t, "", "check", "rules", "--lint-fatal", "../../deploy/prometheus/alerts.yaml")
	promtool(t, "", "test", "rules", "../../deploy/prometheus/alerts_test.yaml")
}

// The queries of the dashboard are handed over as rules: promtool checks no dashboards.
func TestPromtoolUnderstandsTheQueriesOfTheDashboard(t *testing.T) {
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	type group struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	}
	all := group{Name: "dashboard"}
	for _, query := range readDashboard(t).queries() {
		query = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*").Replace(query)
		all.Rules = append(all.Rules, rule{fmt.Sprintf("query:%d", len(all.Rules)), query})
	}
	text, err := yaml.Marshal(map[string][]group{"groups": {all}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", "--lint-fatal", file)
}
