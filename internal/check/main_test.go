package check

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wants checks findings against one text each: the mark of its status, then parts of what it says, separated by "…".
func wants(t *testing.T, got []Finding, want ...string) {
	t.Helper()
	marks := map[Status]string{OK: "✓", Warning: "!", Failed: "✗"}
	if len(got) != len(want) {
		t.Fatalf("got %d findings, want %d: %+v", len(got), len(want), got)
	}
	for i, f := range got {
		text := marks[f.Status] + " " + f.Check + ": " + f.Saw + "\n" + f.Mend
		for part := range strings.SplitSeq(want[i], "…") {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in %q", part, text)
			}
		}
		if f.Status != OK && strings.ContainsAny(f.Saw, "\n") {
			t.Errorf("%q is more than one line", f.Saw)
		}
	}
}
