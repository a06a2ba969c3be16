package documents

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryLinkOfTheDocumentsLeadsSomewhere(t *testing.T) {
	all := documents(t)
	for _, d := range all {
		for _, l := range d.Links {
			u, err := url.Parse(l.Text)
			if err != nil {
				t.Errorf("%s: %v", l.Where, err)
				continue
			}
			if u.Scheme != "" {
				if u.Scheme != "https" {
					t.Errorf("%s: %s is not https", l.Where, l.Text)
				}
				continue
			}
			target := d.Path
			if u.Path != "" {
				target = path.Join(path.Dir(d.Path), u.Path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %s: there is no %s", l.Where, l.Text, target)
			} else if u.Fragment != "" && !hasAnchor(all, target, u.Fragment) {
				t.Errorf("%s: %s: no heading of %s is called so", l.Where, l.Text, target)
			}
		}
	}
}

func hasAnchor(all []Document, file, anchor string) bool {
	i := slices.IndexFunc(all, func(d Document) bool { return d.Path == file })
	return i >= 0 && slices.Contains(all[i].Anchors, anchor)
}

func TestEveryPageOfDocsIsReachedFromTheReadme(t *testing.T) {
	all := documents(t)
	reached := map[string]bool{"README.md": true}
	for range all { // each round may reach pages by those of the last
		for _, d := range all {
			for _, l := range d.Links {
				if target, _, _ := strings.Cut(l.Text, "#"); reached[d.Path] && target != "" {
					reached[path.Join(path.Dir(d.Path), target)] = true
				}
			}
		}
	}
	for _, d := range all {
		if strings.HasPrefix(d.Path, "docs/") && !reached[d.Path] {
			t.Errorf("no link leads to %s", d.Path)
		}
	}
}

func TestADocumentIsReadAsItIsShown(t *testing.T) {
	d := parse("docs/a.md", "# A `b`: c/d\n\n## A b cd\n## A b cd\nsee [x](y.md#z) and `pdhook [a](b)`\n\n"+
		"| a | b |\n| --- | --- |\n| `1` | 2\\|3 |\n\n   ```yaml\n   a:\n     - b\n   ```\n")
	if want := []string{"a-b-cd", "a-b-cd-1", "a-b-cd-2"}; !slices.Equal(d.Anchors, want) {
		t.Errorf("got anchors %q, want %q", d.Anchors, want)
	}
	if len(d.Links) != 1 || d.Links[0].Text != "y.md#z" || d.Links[0].Where != "docs/a.md:5" {
		t.Errorf("got links %v", d.Links)
	}
	if len(d.Code) != 2 || d.Code[0].Text != "pdhook [a](b)" {
		t.Errorf("got code %v", d.Code)
	}
	if len(d.Rows) != 1 || !slices.Equal(d.Rows[0].Cells, []string{"`1`", "2|3"}) || d.Rows[0].Heading != "A b cd" {
		t.Errorf("got rows %v", d.Rows)
	}
	if len(d.Blocks) != 1 || d.Blocks[0].Language != "yaml" || d.Blocks[0].Text != "a:\n  - b\n" {
		t.Errorf("got blocks %v", d.Blocks)
	}
}
