package app

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is what a test needs of deploy/grafana/pdhook.json.
type dashboard struct {
	ID          *int
	UID, Title  string
	Annotations struct {
		List []struct {
			Datasource source
			Expr       string
		}
	}
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
			Datasource source
		}
	}
	Panels []panel
}

type source struct{ Type, UID string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               source
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                source
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "deploy/grafana/pdhook.json")), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries gives every query of the dashboard, by where it stands.
func (d dashboard) queries() map[string]string {
	all := map[string]string{}
	for _, a := range d.Annotations.List {
		all["annotation"] = a.Expr
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			all[p.Title+" "+target.RefID] = target.Expr
		}
	}
	return all
}

func TestTheDashboardAsksForMetricsThatExist(t *testing.T) {
	all := allMetrics(t)
	d := readDashboard(t)
	for where, query := range d.queries() {
		checkQuery(t, where, query, all)
		for _, selector := range regexp.MustCompile(`\w+\{[^}]*\}`).FindAllString(query, -1) {
			if !strings.Contains(selector, `job=~"$job", instance=~"$instance"`) {
				t.Errorf("%s: %s does not heed the choice of job and instance", where, selector)
			}
		}
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			kept := regexp.MustCompile(`^(?:sum|min|max) by \(([^)]*)\)`).FindStringSubmatch(target.Expr)
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if kept != nil && !slices.Contains(strings.Split(kept[1], ", "), label[1]) || kept == nil && label[1] != "instance" {
					t.Errorf("%s: the legend names %s, which the query drops", p.Title, label[1])
				}
			}
		}
	}
	asked := strings.Join(slices.Collect(func(yield func(string) bool) {
		for _, query := range d.queries() {
			yield(query)
		}
	}), "\n")
	for name, served := range all {
		if strings.HasPrefix(name, "pdhook_") && served.kind != "histogram" && !strings.Contains(asked, name+"{") {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

func TestTheDashboardFitsIntoAnyInstallation(t *testing.T) {
	d := readDashboard(t)
	if d.ID != nil || d.UID != "pdhook" {
		t.Errorf("got ID %v and UID %q, want none and pdhook", d.ID, d.UID)
	}
	if v := d.Templating.List[0]; v.Name != "datasource" || v.Type != "datasource" || v.Query != "prometheus" {
		t.Errorf("the first variable is %+v, want the data source", v)
	}
	chosen := source{"prometheus", "${datasource}"}
	for _, v := range d.Templating.List[1:] {
		if v.Datasource != chosen {
			t.Errorf("variable %s does not ask the chosen data source", v.Name)
		}
	}
	for _, a := range d.Annotations.List {
		if a.Datasource != chosen {
			t.Error("the annotation does not ask the chosen data source")
		}
	}
	taken, ids := map[string]string{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %q: its ID %d is another's, or it has no title", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				place := fmt.Sprint(x, " ", y)
				if other := taken[place]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q or beyond the edge", p.Title, other)
				}
				taken[place] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("panel %q: description, unit, the chosen data source or a query is missing", p.Title)
		}
		for _, target := range p.Targets {
			if target.Datasource != chosen {
				t.Errorf("panel %q: a query does not ask the chosen data source", p.Title)
			}
		}
	}
}
