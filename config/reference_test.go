package config

import (
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/documents"
)

// typeWords are what the reference calls the Go types of keys.
var typeWords = map[reflect.Type]string{
	reflect.TypeFor[string]():         "text",
	reflect.TypeFor[bool]():           "boolean",
	reflect.TypeFor[int]():            "number",
	reflect.TypeFor[time.Duration]():  "duration",
	reflect.TypeFor[slog.Level]():     "severity",
	reflect.TypeFor[[]string]():       "list",
	reflect.TypeFor[SecretSource]():   "secret",
	reflect.TypeFor[[]SecretSource](): "list of secrets",
}

// inReference gives the cells of a key in the reference, but for what people say of it.
func (k key) inReference() []string {
	standard := "`" + inTOML(k, defaults()) + "`"
	switch k.name {
	case "policy.auto_approve_roles":
		standard = "any role"
	case "webhook.client_names":
		standard = "PagerDuty's two"
	}
	if comment, _ := entry(k.name); !strings.Contains(comment, "Default: ") {
		standard = "none"
	}
	effect := "restart"
	if isLive(k.name) {
		effect = "live"
	}
	return []string{"`" + k.name + "`", typeWords[reflect.TypeOf(k.of(defaults()))], standard, "`" + k.variable + "`", effect}
}

func TestTheReferenceHasEachKeyAsItIs(t *testing.T) {
	all, err := documents.All("..")
	if err != nil {
		t.Fatal(err)
	}
	page := all[slices.IndexFunc(all, func(d documents.Document) bool { return d.Path == "docs/reference.md" })]
	described := map[string][]string{}
	for _, row := range page.Rows {
		if name := strings.Trim(row.Cells[0], "`"); regexp.MustCompile(`^[a-z]+\.[a-z_]+$`).MatchString(name) && len(row.Cells) == 6 {
			described[name] = row.Cells
		}
	}
	for _, k := range keys {
		want, got := k.inReference(), described[k.name]
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) || got[5] == "" {
			t.Errorf("docs/reference.md: got %q, want | %s | and what it is", got, strings.Join(want, " | "))
		}
		delete(described, k.name)
	}
	for name := range described {
		t.Errorf("docs/reference.md has %s, which is no key", name)
	}
	for alias, name := range aliases {
		section, last := alias[:strings.LastIndex(alias, ".")], alias[strings.LastIndex(alias, ".")+1:]
		said := func(r documents.Row) bool {
			return strings.Contains(strings.ToLower(r.Cells[0]), section+"."+last) && strings.Contains(r.Cells[1], "`"+name+"`")
		}
		if !slices.ContainsFunc(page.Rows, said) {
			t.Errorf("docs/reference.md does not say that %s means %s", alias, name)
		}
	}
}
