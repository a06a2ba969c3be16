package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestARequestWithoutARunningDemoSaysSo(t *testing.T) {
	for name, file := range map[string]string{
		"no file":          "",
		"of a killed demo": `{"dir":"/nowhere","places":{"teleport":"127.0.0.1:1","control":"http://127.0.0.1:1"}}`,
		"another file":     "hello",
	} {
		t.Setenv("TMPDIR", t.TempDir())
		if file != "" {
			if err := os.WriteFile(stateFile(), []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := run(t.Context(), []string{"request"})
		if err == nil || !strings.HasPrefix(err.Error(), "no demo is running") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line that says that no demo is running", name, err)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"story", "--help"}, {"request", "-h"}} {
		if err := run(t.Context(), args); err != nil {
			t.Errorf("%v: got %v, want the usage", args, err)
		}
	}
	if err := run(t.Context(), []string{"dance"}); err == nil {
		t.Error("an unknown word: got no error")
	}
}

func TestLongTextsAreBrokenBetweenWords(t *testing.T) {
	long := strings.Repeat("word ", 40)
	got := wrapped(long)
	for _, l := range got {
		if len(l) > textWidth || strings.TrimSpace(l) != l {
			t.Errorf("got line %q", l)
		}
	}
	if strings.Join(got, " ") != strings.TrimSpace(long) {
		t.Errorf("got %q, want every word once", got)
	}
	if got := wrapped(""); !slices.Equal(got, []string{""}) {
		t.Errorf("nothing: got %q, want one empty line", got)
	}
}
