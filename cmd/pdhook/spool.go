package main

import (
	"bytes"
	"log/slog"
	"sync/atomic"
	"time"
)

// Bounds of a spool: how many lines wait in it, how long somebody who logs waits for room before lines are left out, and
// how long the end waits for what is left.
const (
	spoolLines = 1024
	spoolRoom  = time.Second
	spoolEnd   = time.Second
)

// A spool writes log lines in place of those who log. Who reads the log may stand still, such as a terminal after Ctrl-S
// or a journald whose disk does: approvals must not wait for that.
type spool struct {
	write func(line []byte) // may take as long as it likes
	json  func() bool       // the format of the spool's own line

	lines chan []byte
	stuck atomic.Bool  // nobody has read for spoolRoom
	lost  atomic.Int64 // lines left out since the last one written
	stop  chan struct{}
	ended chan struct{}
}

// startSpool begins to write; end has to be called.
func startSpool(write func([]byte), json func() bool) *spool {
	s := &spool{write: write, json: json, lines: make(chan []byte, spoolLines), stop: make(chan struct{}), ended: make(chan struct{})}
	go s.run()
	return s
}

// add takes a line, or leaves it out.
func (s *spool) add(line []byte) {
	select {
	case s.lines <- line:
		return
	default:
	}
	if !s.stuck.Load() {
		select {
		case s.lines <- line:
			return
		case <-time.After(spoolRoom):
			s.stuck.Store(true)
		}
	}
	s.lost.Add(1)
}

func (s *spool) run() {
	defer close(s.ended)
	for {
		select {
		case line := <-s.lines:
			s.put(line)
			continue
		default:
		}
		select {
		case line := <-s.lines:
			s.put(line)
		case <-s.stop:
			return
		}
	}
}

func (s *spool) put(line []byte) {
	s.write(line)
	s.stuck.Store(false)
	if n := s.lost.Swap(0); n > 0 {
		s.write(s.gap(n))
	}
}

// gap is the line that tells of lines left out.
func (s *spool) gap(n int64) []byte {
	var line bytes.Buffer
	var handler slog.Handler = slog.NewTextHandler(&line, nil)
	if s.json() {
		handler = slog.NewJSONHandler(&line, nil)
	}
	slog.New(handler).Warn("Log lines were left out, as nobody read the log", "lines", n)
	return line.Bytes()
}

// end writes what is left, unless that takes long.
func (s *spool) end() {
	close(s.stop)
	select {
	case <-s.ended:
	case <-time.After(spoolEnd):
	}
}
