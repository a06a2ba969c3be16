package chart_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	yaml3 "go.yaml.in/yaml/v3"

	"github.com/pdhook/pdhook/config"
)

var update = flag.Bool("update", false, "write the table of values into the chart's README")

// A value is a line of the table in the chart's README.
type value struct {
	name    string // as in "persistence.size"
	comment string
	preset  string // as JSON; "" for a section
}

// valuesOf lists values.yaml in its order, as deep as the schema names values.
func valuesOf(t *testing.T) []value {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml3.Node
	if err := yaml3.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	return listed(t, "", document.Content[0], properties(t))
}

// properties gives what the schema says of the values at the top.
func properties(t *testing.T) map[string]any {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	return schema["properties"].(map[string]any)
}

func listed(t *testing.T, prefix string, section *yaml3.Node, known map[string]any) []value {
	t.Helper()
	var all []value
	names := map[string]bool{}
	if prefix == "" {
		names = map[string]bool{"global": true, "enabled": true} // Helm's own, and the usual condition of a chart that includes this one
	}
	for i := 0; i < len(section.Content); i += 2 {
		key, node := section.Content[i], section.Content[i+1]
		names[key.Value] = true
		comment, first := strings.CutPrefix(key.HeadComment, "# Values of pdhook's chart.")
		if first {
			comment = ""
		}
		v := value{name: prefix + key.Value, comment: strings.Join(strings.Fields(strings.ReplaceAll("\n"+comment, "\n#", "\n")), " ")}
		schema, _ := known[key.Value].(map[string]any)
		if schema == nil {
			t.Errorf("the schema does not know %s", v.name)
		}
		if inner, isSection := schema["properties"].(map[string]any); isSection {
			all = append(append(all, v), listed(t, v.name+".", node, inner)...)
			continue
		}
		var preset any
		if err := node.Decode(&preset); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(preset)
		if err != nil {
			t.Fatal(err)
		}
		v.preset = string(text)
		all = append(all, v)
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !names[name] {
			t.Errorf("the schema knows %s%s, values.yaml does not", prefix, name)
		}
	}
	return all
}

func TestEveryValueIsExplained(t *testing.T) {
	for _, v := range valuesOf(t) {
		if v.preset != "" && v.comment == "" {
			t.Errorf("%s has no comment in values.yaml", v.name)
		}
	}
}

func TestTheReadmeTabulatesTheValues(t *testing.T) {
	var table strings.Builder
	table.WriteString("| value | default | |\n| --- | --- | --- |\n")
	for _, v := range valuesOf(t) {
		switch {
		case v.preset == "" && v.comment == "":
			continue
		case v.preset == "":
			fmt.Fprintf(&table, "| **%s** | | %s |\n", v.name, v.comment)
		case len(v.preset) > 60:
			fmt.Fprintf(&table, "| `%s` | [values.yaml](values.yaml) | %s |\n", v.name, v.comment)
		default:
			fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", v.name, v.preset, v.comment)
		}
	}
	path := filepath.Join(folder, "README.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(content), "| value | default | |\n")
	if *update && found {
		if err := os.WriteFile(path, []byte(before+table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := before + table.String(); string(content) != want {
		t.Error("the README's last part is not the table of values.yaml: make chart-files writes it")
	}
}

func TestTheReadmeNamesEveryExample(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range examples(t) {
		if !strings.Contains(string(readme), "](examples/"+name+".yaml)") {
			t.Errorf("the README does not name examples/%s.yaml", name)
		}
	}
}

// Values of keys of which this version of pdhook takes only the default say so, as long as its own example does.
func TestValuesThatPdhookDoesNotSupportYetSaySo(t *testing.T) {
	const sentence = "This version supports the default only."
	says := map[string]bool{}
	for _, v := range valuesOf(t) {
		says[v.name] = strings.Contains(v.comment, sentence)
	}
	_, policy, _ := strings.Cut(config.Example(), "\n[policy]\n")
	policy, _, _ = strings.Cut(policy, "\n[store]\n")
	for paragraph := range strings.SplitSeq(policy, "\n\n") {
		words := strings.Split(keys("[policy]\n" + paragraph)[0], "_")
		for i := 1; i < len(words); i++ {
			words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
		}
		name := strings.Join(words, "")
		if got, want := says[name], strings.Contains(paragraph, sentence); got != want {
			t.Errorf("%s: got %v that the default alone is supported, want %v", name, got, want)
		}
	}
}
