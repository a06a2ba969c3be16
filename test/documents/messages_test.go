package documents

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// messages gives every text of pdhook's code, those that are put together in one expression whole.
func messages(t *testing.T) (all []string) {
	t.Helper()
	for _, folder := range []string{"cmd", "config", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				expression, isExpression := n.(ast.Expr)
				text := ""
				if isExpression {
					text = textOf(expression)
				}
				if text != "" {
					all = append(all, text)
				}
				return text == ""
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// textOf gives the text of a literal, or of several with what is between them; "" for anything else.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, _ := strconv.Unquote(e.Value) // the parser took it
			return text
		}
	case *ast.BinaryExpr:
		if left, right := textOf(e.X), textOf(e.Y); e.Op == token.ADD && left+right != "" {
			return left + "\x00" + right
		}
	}
	return ""
}

// said reports whether the code can say what is quoted: its parts, between which "…" stands for anything, in one text.
func said(quote string, texts []string) bool {
	parts := strings.Split(quote, "…")
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(strings.TrimSpace(part))
	}
	pattern := regexp.MustCompile(`(?s)` + strings.Join(parts, ".*"))
	for _, text := range texts {
		if pattern.MatchString(strings.ReplaceAll(text, "\x00", "")) {
			return true
		}
	}
	return false
}

func TestWhatTroubleshootingQuotesIsSaid(t *testing.T) {
	texts := messages(t)
	quotes := 0
	for _, d := range documents(t) {
		if d.Path != "docs/troubleshooting.md" && d.Path != "docs/migration.md" {
			continue
		}
		for _, row := range d.Rows {
			for _, quote := range code.FindAllStringSubmatch(row.Cells[0], -1) {
				quotes++
				if strings.Trim(quote[1], "… ") == "" || !said(quote[1], texts) {
					t.Errorf("%s: nothing in pdhook says %q", row.Where, quote[1])
				}
			}
		}
		for _, c := range d.Code { // log lines in sentences begin with a capital and have several words
			if regexp.MustCompile(`^[A-Z][a-z]+ \S+ `).MatchString(c.Text) && !said(c.Text, texts) && !strings.HasPrefix(c.Text, "Access request") {
				t.Errorf("%s: nothing in pdhook says %q", c.Where, c.Text)
			}
		}
	}
	if quotes < 60 {
		t.Errorf("only %d quotes were looked at", quotes)
	}
}

func TestAlertsThatAreNamedExist(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(root, "deploy/prometheus/alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents(t) {
		for _, c := range d.Code {
			if name := regexp.MustCompile(`^Pdhook\w+$`).FindString(c.Text); name != "" && !strings.Contains(string(rules), "alert: "+name+"\n") {
				t.Errorf("%s: there is no alert %s", c.Where, name)
			}
		}
	}
}
