package documents

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// checks say of each language how a block of it is checked. What is checked elsewhere says where.
var checks = map[string]func(t *testing.T, b Block){
	"toml":  checkTOML,
	"yaml":  checkYAML,
	"json":  checkJSON,     // internal/app holds those of the reference against the types that are served
	"nginx": checkNginx,    // test/e2e runs that of the guide with nginx
	"sh":    checkCommands, // cmd/pdhook looks at the commands and flags of pdhook itself
	"":      checkCommands,
}

// pictures are plain blocks that are no commands, by a text in them, and why nothing is checked.
var pictures = map[string]string{
	"internal/reconcile: queue": "a drawing",
	"pdhook: basis=":            "the last line of a review, which internal/policy tests",
}

func TestEveryBlockOfTheDocumentsIsChecked(t *testing.T) {
	for _, d := range documents(t) {
		for _, b := range d.Blocks {
			t.Run(b.Where, func(t *testing.T) {
				check, known := checks[b.Language]
				switch {
				case !known:
					t.Errorf("nothing checks blocks of the language %q", b.Language)
				case b.Language != "" || !isPicture(b):
					check(t, b)
				}
			})
		}
	}
}

func isPicture(b Block) bool {
	for part := range pictures {
		if strings.Contains(b.Text, part) {
			return true
		}
	}
	return false
}

// programs are those that the documents let people run.
var programs = []string{
	"pdhook", "make", "install", "chmod", "chgrp", "journalctl", "systemctl", "systemd-sysusers", "curl", "openssl", "grep", "kill",
	"tctl", "tsh", "tbot", "kubectl", "helm", "docker", "nginx", "ssh", "go",
}

// asAnother matches what says as whom, and with which variables, a program runs.
var asAnother = regexp.MustCompile(`^(sudo (-u \w+ )?)?([A-Z_]+=\S* )*`)

// checkCommands checks that each line begins with a program that is known, and that targets of make and files of the
// repository exist. What a program says stands below a line that begins with "$ ", and is not looked at.
func checkCommands(t *testing.T, b Block) {
	transcript := strings.HasPrefix(b.Text, "$ ")
	for _, line := range Commands(b.Text) {
		words := strings.Fields(asAnother.ReplaceAllString(line, ""))
		switch {
		case len(words) == 0:
		case !slices.Contains(programs, words[0]):
			t.Errorf("%q begins with no program that is known", line)
		case words[0] == "make" && len(words) > 1:
			checkTarget(t, words[1])
		}
		for _, word := range words {
			if strings.HasPrefix(word, "deploy/") || strings.HasPrefix(word, "docs/") || strings.HasPrefix(word, "./test") {
				if _, err := os.Stat(filepath.Join(root, word)); err != nil {
					t.Errorf("%q: %v", line, err)
				}
			}
		}
	}
	if len(Commands(b.Text)) == 0 || transcript && strings.Count(b.Text, "\n") < 2 {
		t.Errorf("there is no command in\n%s", b.Text)
	}
}

func checkTarget(t *testing.T, target string) {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(makefile) {
		t.Errorf("make has no target %s", target)
	}
}

func TestTargetsOfMakeInTheTextExist(t *testing.T) {
	for _, d := range documents(t) {
		for _, c := range d.Code {
			if words := strings.Fields(c.Text); len(words) > 1 && words[0] == "make" {
				checkTarget(t, words[1])
			}
		}
	}
}

func checkJSON(t *testing.T, b Block) {
	var value any
	if err := json.Unmarshal([]byte(b.Text), &value); err != nil {
		t.Error(err)
	}
}

// checkNginx checks the form: each line is a comment, ends a statement, or opens or closes a block.
func checkNginx(t *testing.T, b Block) {
	depth := 0
	for line := range strings.Lines(b.Text) {
		line, _, _ = strings.Cut(line, " #")
		line = strings.TrimSpace(line)
		depth += strings.Count(line, "{") - strings.Count(line, "}")
		if line != "" && !strings.HasPrefix(line, "#") && !strings.ContainsAny(line[len(line)-1:], ";{}") {
			t.Errorf("%q ends nothing", line)
		}
		if depth < 0 {
			t.Errorf("%q closes what was not opened", line)
		}
	}
	if depth != 0 {
		t.Errorf("%d blocks stay open", depth)
	}
}
