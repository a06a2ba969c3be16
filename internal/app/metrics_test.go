package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/pdhook/pdhook/internal/admin"
)

// metric is one metric as /metrics shows it.
type metric struct {
	kind   string
	labels map[string][]string // with the values before anything has happened
}

// scrape gives the text of /metrics where everything is known.
func scrape(t *testing.T) string {
	t.Helper()
	m := newMetrics("v1")
	m.Watch(func() admin.Reading {
		return admin.Reading{
			Status: admin.Status{
				Teleport:  admin.Teleport{IdentityExpires: time.Unix(1, 0)},
				Webhook:   admin.Webhook{CertificateExpires: time.Unix(1, 0)},
				PagerDuty: admin.PagerDuty{RateLimitLimit: new(960), RateLimitRemaining: new(960)},
			},
			SubscriptionKnown: true, Store: &admin.Room{},
		}
	})
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// allMetrics gives everything that /metrics shows, by name.
func allMetrics(t *testing.T) map[string]metric {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scrape(t)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]metric{}
	for name, family := range families {
		s := metric{strings.ToLower(family.GetType().String()), map[string][]string{}}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				s.labels[l.GetName()] = append(s.labels[l.GetName()], l.GetValue())
			}
		}
		all[name] = s
		if s.kind == "histogram" {
			all[name+"_count"], all[name+"_sum"] = s, s
			all[name+"_bucket"] = metric{s.kind, map[string][]string{"le": {"0.25", "+Inf"}}}
		}
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheReferenceOfMetricsIsWhatIsServed(t *testing.T) {
	all := allMetrics(t)
	document := read(t, "docs/metrics.md")
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(pdhook_\\w+)` \\| (\\w+) \\|([^|]*)\\|").FindAllStringSubmatch(document, -1) {
		name, kind := row[1], row[2]
		documented[name] = true
		var labels []string
		for _, l := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, l[1])
		}
		served, there := all[name]
		if !there || served.kind != kind || len(labels) != len(served.labels) {
			t.Errorf("docs/metrics.md has %s, a %s with the labels %q; served is %+v", name, kind, labels, served)
		}
		for _, label := range labels {
			if served.labels[label] == nil {
				t.Errorf("docs/metrics.md gives %s the label %s, which it has not", name, label)
			}
		}
	}
	for name, served := range all {
		part := regexp.MustCompile(`_(bucket|count|sum)$`).MatchString(name)
		if strings.HasPrefix(name, "pdhook_") && !part && !documented[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
		for _, label := range []string{"outcome", "verdict", "failed_check", "kind"} {
			for _, value := range served.labels[label] {
				if value != "" && !strings.Contains(document, "`"+value+"`") {
					t.Errorf("docs/metrics.md does not explain %s=%q of %s", label, value, name)
				}
			}
		}
	}
}

// ours are the labels that Prometheus adds.
var ours = []string{"job", "instance"}

// checkQuery checks that a query names metrics, labels and values that exist, and is whole. promtool knows the rest
// (make check-rules).
func checkQuery(t *testing.T, where, query string, all map[string]metric) {
	t.Helper()
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(query, pair[:1]) != strings.Count(query, pair[1:]) {
			t.Errorf("%s: %s has not as many %q as %q", where, query, pair[:1], pair[1:])
		}
	}
	labels := slices.Clone(ours)
	found := regexp.MustCompile(`\b((?:pdhook|go|process)_\w+)(\{[^}]*\})?`).FindAllStringSubmatch(query, -1)
	if len(found) == 0 {
		t.Errorf("%s: %s names no metric", where, query)
	}
	for _, selector := range found {
		served, there := all[selector[1]]
		if !there {
			t.Errorf("%s: there is no metric %s", where, selector[1])
			continue
		}
		for label := range served.labels {
			labels = append(labels, label)
		}
		checkMatchers(t, where, selector[0], selector[2], served)
	}
	for _, group := range regexp.MustCompile(`\b(?:by|without|on) ?\(([^)]*)\)`).FindAllStringSubmatch(query, -1) {
		for _, label := range strings.Split(group[1], ",") {
			if !slices.Contains(labels, strings.TrimSpace(label)) {
				t.Errorf("%s: %s groups by %s, which none of its metrics has", where, query, label)
			}
		}
	}
}

// checkMatchers checks that each matcher of a selector can match something, and can match not everything.
func checkMatchers(t *testing.T, where, selector, matchers string, served metric) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`).FindAllStringSubmatch(matchers, -1) {
		label, pattern := m[1], m[3]
		if slices.Contains(ours, label) {
			continue
		}
		alternatives := []string{pattern}
		if strings.HasSuffix(m[2], "~") {
			alternatives = strings.Split(pattern, "|")
		}
		for _, a := range alternatives {
			matches := regexp.MustCompile("^(?:" + a + ")$").MatchString
			if !slices.ContainsFunc(served.labels[label], matches) && a != "404" { // any status code may come
				t.Errorf("%s: %s: no %s is %q", where, selector, label, a)
			}
		}
	}
}
