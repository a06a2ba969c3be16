package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// counted is a service that works until it is told to stop, and then until it may.
type counted struct {
	reloads chan struct{}
	stopped chan struct{}
	finish  chan error
}

func newCounted() *counted {
	return &counted{make(chan struct{}), make(chan struct{}), make(chan error, 1)}
}

func (c *counted) Run(ctx context.Context) error {
	select {
	case err := <-c.finish:
		return err
	case <-ctx.Done():
	}
	close(c.stopped)
	return <-c.finish
}

func (c *counted) Reload(context.Context) error { c.reloads <- struct{}{}; return nil }

// served runs the service and gives where to send signals and where the outcome comes.
func served(t *testing.T, c *counted) (chan<- os.Signal, <-chan error) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	signals, outcome := make(chan os.Signal), make(chan error, 1)
	go func() { outcome <- serve(t.Context(), c, signals) }()
	return signals, outcome
}

func TestTheFirstSignalLetsTheServiceFinish(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		c := newCounted()
		signals, outcome := served(t, c)
		signals <- sig
		<-c.stopped
		signals <- syscall.SIGHUP // too late, and no second signal to stop
		select {
		case err := <-outcome:
			t.Errorf("%v: got end %v before the service finished", sig, err)
		default:
		}
		c.finish <- nil
		if err := <-outcome; err != nil {
			t.Errorf("%v: got %v, want an orderly end", sig, err)
		}
	}
}

func TestTheSecondSignalEndsAtOnce(t *testing.T) {
	c := newCounted()
	signals, outcome := served(t, c)
	signals <- syscall.SIGTERM
	<-c.stopped
	signals <- syscall.SIGINT
	if err := <-outcome; !errors.Is(err, errSecondSignal) {
		t.Errorf("got %v, want %v", err, errSecondSignal)
	}
	c.finish <- nil
}

func TestSighupReloadsAndStopsNothing(t *testing.T) {
	c := newCounted()
	signals, outcome := served(t, c)
	for range 2 {
		signals <- syscall.SIGHUP
		<-c.reloads
	}
	c.finish <- nil
	if err := <-outcome; err != nil {
		t.Errorf("got %v, want an orderly end", err)
	}
}

func TestAServiceThatFailsEndsTheProgram(t *testing.T) {
	c := newCounted()
	_, outcome := served(t, c)
	broken := errors.New("corruption in /store")
	c.finish <- broken
	if err := <-outcome; !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
