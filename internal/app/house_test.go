package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pdhook/pdhook/"

// mayImport says which rooms a room may import; see docs/architecture.md. Rooms that are not named may import
// internal/access only.
var mayImport = map[string][]string{
	"cmd/pdhook":         {"config", "internal/access", "internal/admin", "internal/app", "internal/check", "internal/subscription"},
	"config":             {},
	"internal/access":    {},
	"internal/app":       nil, // introduces all of them to each other
	"internal/reconcile": {"internal/access", "internal/policy"},
}

func TestImportsGoDownAndNeverSidewaysAndEveryPackageSaysWhatItIsFor(t *testing.T) {
	comments := map[string]int{}
	for _, root := range []string{"cmd", "config", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			room, err := filepath.Rel("../..", filepath.Dir(path))
			if err != nil {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			if !strings.HasSuffix(file.Name.Name, "_test") && (!strings.HasSuffix(path, "_test.go") || room == "test/e2e") {
				comments[room] += 0
				if file.Doc != nil {
					comments[room]++
				}
			}
			if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(room, "test") {
				return nil
			}
			allowed, named := mayImport[room]
			if !named {
				allowed = []string{"internal/access"}
			}
			for _, i := range file.Imports {
				to, ours := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module)
				if ours && room != "internal/app" && !slices.Contains(allowed, to) {
					t.Errorf("%s imports %s: below internal/app a room imports only internal/access", path, to)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for room, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d package comments, want one", room, n)
		}
	}
}

func TestEveryPackageLooksForLeakedGoroutines(t *testing.T) {
	looks := map[string]bool{}
	for _, root := range []string{"cmd", "config", "internal", "test"} {
		err := filepath.WalkDir(filepath.Join("../..", root), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			uses := slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"go.uber.org/goleak"` })
			looks[filepath.Dir(path)] = looks[filepath.Dir(path)] || uses
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for room, looking := range looks {
		if !looking {
			t.Errorf("the tests of %s do not end with a look for leaked goroutines: see main_test.go of others", room)
		}
	}
}

func TestEachPromiseOfReliabilityNamesTestsThatExist(t *testing.T) {
	document, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]bool{}
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok {
				functions[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(document)) {
		names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(line, -1)
		if promise := strings.HasPrefix(line, "| ") && len(names) > 0; !promise {
			continue
		}
		for _, name := range names {
			if !functions[name[1]] {
				t.Errorf("docs/reliability.md names %s, which does not exist", name[1])
			}
		}
	}
}
