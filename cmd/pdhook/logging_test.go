package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/pdhook/pdhook/config"
)

func TestLoggingChangesUnderLoggersInUse(t *testing.T) {
	var stdout, stderr bytes.Buffer
	log, logging, err := newLogger(config.Log{Output: "stderr", Severity: slog.LevelInfo, Format: "text"}, false, &stdout, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log = log.With("request_id", "r1")
	log.Debug("one")
	log.Info("two")

	if err := logging.apply(config.Log{Output: "stdout", Severity: slog.LevelDebug, Format: "json"}); err != nil {
		t.Fatal(err)
	}
	log.WithGroup("g").Debug("three", "a", 1)

	if got := stderr.String(); strings.Contains(got, "one") || !strings.Contains(got, "level=INFO msg=two request_id=r1") {
		t.Errorf("got %q on stderr, want the second line as text", got)
	}
	if got := stdout.String(); !strings.Contains(got, `"level":"DEBUG","msg":"three","request_id":"r1","g":{"a":1}`) {
		t.Errorf("got %q on stdout, want the third line as JSON", got)
	}
}

func TestALogFileThatWasMovedAwayIsBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pdhook.log")
	cfg := config.Log{Output: path, Format: "text"}
	log, logging, err := newLogger(cfg, false, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("before")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := logging.apply(cfg); err != nil {
		t.Fatal(err)
	}
	log.Info("after")
	for name, want := range map[string]string{path + ".1": "before", path: "after"} {
		content, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(content), want) || strings.Count(string(content), "\n") != 1 {
			t.Errorf("%s: got %q, %v, want one line with %q", name, content, err, want)
		}
	}

	if err := logging.apply(config.Log{Output: filepath.Join(path, "below-a-file")}); err == nil {
		t.Error("got no error for an output that cannot be opened, want one")
	}
	log.Info("still here")
	if content, _ := os.ReadFile(path); !strings.Contains(string(content), "still here") {
		t.Errorf("got %q, want the old output to stay", content)
	}
	if err := logging.apply(config.Log{Output: "stderr"}); err != nil {
		t.Errorf("closing the file: got %v", err)
	}
}

func TestALineWhoseFileAReloadClosesGoesToTheNext(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next.log")
	closing := &closingOutput{}
	log, logging, err := newLogger(config.Log{Output: "stderr", Format: "text"}, false, nil, closing)
	if err != nil {
		t.Fatal(err)
	}
	closing.reload = func() {
		if err := logging.apply(config.Log{Output: next, Format: "text"}); err != nil {
			t.Error(err)
		}
	}
	log.Info("not lost")
	if content, err := os.ReadFile(next); err != nil || strings.Count(string(content), "not lost") != 1 {
		t.Errorf("got %q, %v, want the line", content, err)
	}
	if err := logging.apply(config.Log{Output: "stderr"}); err != nil {
		t.Errorf("closing the file: got %v", err)
	}
}

// closingOutput is a file that is replaced, and closed, before the line comes to it.
type closingOutput struct{ reload func() }

func (c *closingOutput) Write([]byte) (int, error) {
	c.reload()
	return 0, os.ErrClosed
}

func TestTheDebugFlagOutranksTheSeverity(t *testing.T) {
	var stderr bytes.Buffer
	cfg := config.Log{Output: "stderr", Severity: slog.LevelError, Format: "text"}
	log, logging, err := newLogger(cfg, true, nil, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug("before")
	if err := logging.apply(cfg); err != nil {
		t.Fatal(err)
	}
	log.Debug("after")
	if got := stderr.String(); !strings.Contains(got, "before") || !strings.Contains(got, "after") {
		t.Errorf("got %q, want both lines", got)
	}
}

func TestTextByOthersStaysOneShortLineThatNoTerminalObeys(t *testing.T) {
	hostile := "a\nb\x1b[31mc\u009b31md\x7fe\u202ef\u2066g\u200eh\xff é"
	for _, format := range []string{"text", "json"} {
		var stderr bytes.Buffer
		log, _, err := newLogger(config.Log{Output: "stderr", Format: format}, false, nil, &stderr)
		if err != nil {
			t.Fatal(err)
		}
		log = log.With("user", hostile)
		log.Error(hostile, "error", errors.New(hostile+strings.Repeat("ä", maxValue)), "why", strings.Repeat("x", 100_000), hostile, 1)
		line, found := strings.CutSuffix(stderr.String(), "\n")
		if !found || strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) || !utf8.ValidString(line) {
			t.Errorf("%s: got %q", format, line)
		}
		if len(line) > 16<<10 || !strings.Contains(line, "é") || !strings.Contains(line, "x…") {
			t.Errorf("%s: got %d bytes: %q", format, len(line), line)
		}
		var record struct{ User string }
		if format == "json" && (json.Unmarshal([]byte(line), &record) != nil || record.User != strings.ToValidUTF8(hostile, "\uFFFD")) {
			t.Errorf("got %q back from the JSON", record.User)
		}
	}
}
