package app

import (
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v2"
)

type alertRule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// alertRules gives the rules of deploy/prometheus/alerts.yaml.
func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string      `yaml:"name"`
			Rules []alertRule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "deploy/prometheus/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("there are no alerts")
	}
	return rules
}

func TestEachAlertIsAboutMetricsThatExistAndSaysHowToMendIt(t *testing.T) {
	all := allMetrics(t)
	for _, r := range alertRules(t) {
		checkQuery(t, r.Alert, r.Expr, all)
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: got severity %q", r.Alert, s)
		}
		for _, name := range []string{"summary", "description", "runbook"} {
			if text := r.Annotations[name]; len(text) < 20 {
				t.Errorf("%s: the %s is %q", r.Alert, name, text)
			}
		}
		for _, label := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
			if label[1] != "instance" {
				t.Errorf("%s: its texts name the label %s, which alerts do not have", r.Alert, label[1])
			}
		}
		for _, other := range regexp.MustCompile(`\bPdhook\w+`).FindAllString(r.Annotations["runbook"], -1) {
			if !strings.Contains(read(t, "deploy/prometheus/alerts.yaml"), "alert: "+other+"\n") {
				t.Errorf("%s: its runbook names %s, which is no alert", r.Alert, other)
			}
		}
	}
}

func TestEachAlertIsTestedAndInTheReference(t *testing.T) {
	var tests struct {
		Tests []struct {
			Queries []struct {
				Expected []struct {
					Labels string `yaml:"labels"`
				} `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "deploy/prometheus/alerts_test.yaml")), &tests); err != nil {
		t.Fatal(err)
	}
	fires := map[string]bool{}
	for _, test := range tests.Tests {
		for _, query := range test.Queries {
			for _, sample := range query.Expected {
				fires[regexp.MustCompile(`alertname="(\w+)"`).FindStringSubmatch(sample.Labels)[1]] = true
			}
		}
	}
	document := read(t, "docs/metrics.md")
	for _, r := range alertRules(t) {
		if !fires[r.Alert] {
			t.Errorf("no test makes %s fire", r.Alert)
		}
		if !strings.Contains(document, "| `"+r.Alert+"` | "+r.Labels["severity"]+" |") {
			t.Errorf("docs/metrics.md lacks %s with its severity", r.Alert)
		}
		delete(fires, r.Alert)
	}
	for name := range fires {
		t.Errorf("%s is tested, but no alert", name)
	}
	if rows := strings.Count(document, "| `Pdhook"); rows != len(alertRules(t)) {
		t.Errorf("docs/metrics.md has %d alerts, want %d", rows, len(alertRules(t)))
	}
}
