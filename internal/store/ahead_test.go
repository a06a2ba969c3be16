package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestTheLogThatHoldsACommitIsTheOneThatIsSynced(t *testing.T) {
	r := newRig(t)
	turns, before := 0, ""
	for i := range 40 {
		if i == 20 {
			r.reopen()
		}
		e := event(access.EventID(fmt.Sprint("e", i)))
		e.Body = fmt.Appendf(nil, "event %d begins %s", i, strings.Repeat("x", 512<<10))
		r.accept(e)
		log := r.db.(badgerEngine).log.file.Name()
		if !bytes.Contains(must[[]byte](t)(os.ReadFile(log)), e.Body[:20]) {
			t.Fatalf("event %d is not in the log that was synced, %s", i, log)
		}
		if log != before {
			turns, before = turns+1, log
		}
	}
	if turns < 4 {
		t.Errorf("Badger wrote to %d logs, want one to become full before and after it is opened again", turns)
	}
}

func TestNothingIsWrittenToTheValueLog(t *testing.T) {
	r := newRig(t)
	e := event("e1")
	e.Body = slices.Repeat([]byte("value"), 100<<10)
	r.accept(e)
	logs := must[[]string](t)(filepath.Glob(filepath.Join(r.cfg.Path, "*.vlog")))
	for _, log := range logs {
		if strings.Contains(string(must[[]byte](t)(os.ReadFile(log))), "value") {
			t.Errorf("%s holds an event, and is not synced", log)
		}
	}
	if len(logs) == 0 {
		t.Error("there is no value log")
	}
}
