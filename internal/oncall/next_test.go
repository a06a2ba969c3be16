package oncall

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestThePollerTellsWhenItAsksNextForARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rota{links: []access.Link{waiting("R1", "U1", "P1")}}
		p := New(r, r, func() time.Duration { return interval }, func(access.RequestID, string) {}, slog.New(slog.DiscardHandler))
		began := time.Now()
		is := func(when string, l access.Link, want time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := p.Next(l); !got.Equal(began.Add(want)) {
				t.Errorf("%s: the next poll for %s is after %s, want %s", when, l.Request, got.Sub(began), want)
			}
		}
		if got := p.Next(r.links[0]); !got.IsZero() {
			t.Errorf("before Run: got %s, want none", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		is("at the start", r.links[0], interval)
		reviewed := waiting("R2", "U1", "P1")
		reviewed.Reviewed = true
		for _, l := range []access.Link{reviewed, waiting("R3", "", "P1"), waiting("R4", "U1")} {
			if got := p.Next(l); !got.IsZero() {
				t.Errorf("%s waits for no shift: got %s, want none", l.Request, got)
			}
		}
		is("one by a schedule that no policy uses", waitingBySchedule("R5", "U1", "S1"), interval)
		time.Sleep(interval)
		is("after the first poll", r.links[0], 2*interval)
		r.mu.Lock()
		r.failing = &access.Failure{Class: access.Wait, NotBefore: began.Add(10 * interval), Err: errors.New("429")}
		r.mu.Unlock()
		time.Sleep(interval)
		is("while PagerDuty's head-room is too small", r.links[0], 10*interval)
	})
}
