package documents

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTestsThatAreNamedExist(t *testing.T) {
	declared := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range function.FindAllStringSubmatch(string(text), -1) {
			declared[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents(t) {
		for _, c := range d.Code {
			if name := regexp.MustCompile(`^(Test|Benchmark)[A-Z]\w+$`).FindString(c.Text); name != "" && name != "TestTorture" && !declared[name] {
				t.Errorf("%s: there is no %s", c.Where, name)
			}
		}
	}
}

func TestKeysThatAreNamedExist(t *testing.T) {
	known := map[string]bool{}
	all := documents(t)
	for _, d := range all {
		if d.Path != "docs/reference.md" { // which config and internal/app hold against the code
			continue
		}
		for _, row := range d.Rows {
			known[strings.Trim(row.Cells[0], "`")] = true
		}
		for _, b := range d.Blocks {
			status := map[string]any{}
			if b.Heading == "GET /status" && json.Unmarshal([]byte(b.Text), &status) == nil {
				for section, fields := range status {
					within, _ := fields.(map[string]any)
					for field := range within {
						known[section+"."+field] = true
					}
				}
			}
		}
	}
	for _, d := range all {
		for _, c := range d.Code {
			key := regexp.MustCompile(`^(teleport|pagerduty|webhook|policy|store|admin|log)\.[a-z_]+$`).FindString(strings.TrimSuffix(strings.SplitN(c.Text, " = ", 2)[0], " "))
			if key != "" && strings.HasPrefix(d.Path, "docs/") && !known[key] {
				t.Errorf("%s: %s is no key", c.Where, key)
			}
		}
	}
}
