package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/pdhook/pdhook/config"
)

// logging is where log lines go, from which level on and in which format. All of it can change while
// loggers are in use; a log file that was moved away is begun anew by the next apply.
type logging struct {
	debug          bool // everything is logged, whatever the configuration says
	stdout, stderr io.Writer

	level slog.LevelVar
	json  atomic.Bool
	spool *spool // writes the lines; nil: who logs writes them

	mu     sync.Mutex
	output io.Writer
	file   *os.File // output, when it is a file
}

// newLogger makes a logger that does as cfg says, and the logging behind it.
func newLogger(cfg config.Log, debug bool, stdout, stderr io.Writer) (*slog.Logger, *logging, error) {
	l := &logging{debug: debug, stdout: stdout, stderr: stderr}
	if err := l.apply(cfg); err != nil {
		return nil, nil, err
	}
	options := &slog.HandlerOptions{Level: &l.level, ReplaceAttr: shortened}
	return slog.New(handler{l, slog.NewTextHandler(l, options), slog.NewJSONHandler(l, options)}), l, nil
}

// apply makes the configuration hold from the next line on. With an error everything stays as it was.
func (l *logging) apply(cfg config.Log) error {
	output, file, err := l.open(cfg.Output)
	if err != nil {
		return err
	}
	l.mu.Lock()
	old := l.file
	l.output, l.file = output, file
	l.mu.Unlock()

	l.json.Store(cfg.Format == "json")
	l.level.Set(cfg.Severity)
	if l.debug {
		l.level.Set(slog.LevelDebug)
	}
	if old != nil {
		return old.Close()
	}
	return nil
}

func (l *logging) open(output string) (io.Writer, *os.File, error) {
	switch output {
	case "stdout":
		return l.stdout, nil, nil
	case "stderr":
		return l.stderr, nil, nil
	}
	file, err := os.OpenFile(output, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, nil, fmt.Errorf("log.output: opening the log (does its folder exist, and may this user write there?): %w", err)
	}
	return file, file, nil
}

// aside has lines written aside from who logs, until the function that it gives is called. Nobody may log yet.
func (l *logging) aside() (end func()) {
	l.spool = startSpool(func(line []byte) { _, _ = l.write(line) }, l.json.Load) // there is no place to tell that the log cannot be written
	return l.spool.end
}

// Write takes one line for the current output.
func (l *logging) Write(line []byte) (int, error) {
	if l.spool != nil {
		l.spool.add(bytes.Clone(escaped(line)))
		return len(line), nil
	}
	if _, err := l.write(escaped(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// write holds no lock meanwhile: a reload that brings another output must not wait for one that stands still. A line
// whose file is closed by such a reload goes to the next output.
func (l *logging) write(line []byte) (int, error) {
	for {
		output := l.current()
		n, err := output.Write(line)
		if !errors.Is(err, os.ErrClosed) || output == l.current() {
			return n, err
		}
	}
}

func (l *logging) current() io.Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.output
}

// A handler formats lines one way or the other, as its logging says.
type handler struct {
	*logging
	text, asJSON slog.Handler
}

// Enabled reports whether lines of the level are logged.
func (h handler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// Handle writes the line.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if h.json.Load() {
		return h.asJSON.Handle(ctx, r)
	}
	return h.text.Handle(ctx, r)
}

// WithAttrs gives a handler that adds the attributes to every line.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.logging, h.text.WithAttrs(attrs), h.asJSON.WithAttrs(attrs)}
}

// WithGroup gives a handler that puts later attributes into the group.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.logging, h.text.WithGroup(name), h.asJSON.WithGroup(name)}
}
