package listen

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// quietLog writes a few lines a second and counts the rest: anybody who connects can cause one.
type quietLog struct {
	to      *slog.Logger
	limiter *rate.Limiter
	dropped atomic.Int64
}

func newQuietLog(to *slog.Logger) *quietLog {
	return &quietLog{to: to, limiter: rate.NewLimiter(1, 10)}
}

func (l *quietLog) warn(msg string, attrs ...slog.Attr) {
	if !l.limiter.Allow() {
		l.dropped.Add(1)
		return
	}
	if n := l.dropped.Swap(0); n > 0 {
		attrs = append(attrs, slog.Int64("not_logged", n))
	}
	l.to.LogAttrs(context.Background(), slog.LevelWarn, msg, attrs...)
}

// stdlib gives a logger for the standard library, whose lines become the attribute "error" of msg.
func (l *quietLog) stdlib(msg string) *log.Logger { return log.New(lines{l, msg}, "", 0) }

type lines struct {
	to  *quietLog
	msg string
}

// Write logs one line.
func (w lines) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if isProbe(text) {
		w.to.to.Debug(w.msg, "error", text)
	} else {
		w.to.warn(w.msg, slog.String("error", text))
	}
	return len(line), nil
}

// isProbe reports whether a client only looked whether somebody listens: load balancers do so every few seconds.
func isProbe(text string) bool {
	return strings.HasPrefix(text, "http: TLS handshake error ") && (strings.HasSuffix(text, ": EOF") || strings.HasSuffix(text, ": connection reset by peer"))
}
