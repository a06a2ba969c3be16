package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/pdhook/pdhook/internal/access"
)

func TestManyAcceptsShareACommit(t *testing.T) {
	stub := &engineStub{}
	r := newRig(t, stubbed(stub), func(r *rig) {
		wrap := r.cfg.wrap
		r.cfg.wrap = func(e engine) engine {
			stub.enter, stub.release = make(chan struct{}), make(chan struct{})
			return wrap(e)
		}
	})
	const many = 64
	var accepted sync.WaitGroup
	accept := func(id string) {
		accepted.Go(func() {
			if _, err := r.Accept(t.Context(), event(access.EventID(id))); err != nil {
				t.Errorf("accepting %s: %v", id, err)
			}
		})
	}
	accept("first")
	<-stub.enter // its commit is under way: the others gather
	for i := range many {
		accept(fmt.Sprint(i))
	}
	waitUntil(t, "all wait for the writer", func() bool { return len(r.queue) == many })
	stub.release <- struct{}{}
	<-stub.enter
	stub.release <- struct{}{}
	accepted.Wait()
	if got := stub.count(); got != 2 {
		t.Errorf("got %d commits for %d events, want 2", got, many+1)
	}
	r.releaseAll(stub)
	r.reopen()
	if got := r.deliveries(); len(got) != many+1 {
		t.Errorf("after reopening: got %d events, want %d", len(got), many+1)
	}
}

// releaseAll holds no further commit.
func (r *rig) releaseAll(stub *engineStub) {
	r.cfg.wrap = nil
	if err := r.stop(); err != nil { // the writer is idle: nothing races with it
		r.t.Fatal(err)
	}
	stub.enter = nil
}

func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	again, enough := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer again.Stop()
	for !condition() {
		select {
		case <-again.C:
		case <-enough:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestRepeatedEventInOneBatchIsFreshOnce(t *testing.T) {
	r := newRig(t)
	const times = 32
	fresh := make(chan bool)
	for range times {
		go func() {
			f, err := r.Accept(t.Context(), event("e1"))
			if err != nil {
				t.Error(err)
			}
			fresh <- f
		}()
	}
	count := 0
	for range times {
		if <-fresh {
			count++
		}
	}
	if count != 1 {
		t.Errorf("fresh %d times, want once", count)
	}
}

func TestBatchesOfLargeEventsStayBelowBadgersLimit(t *testing.T) {
	r := newRig(t)
	const many = 24
	var accepted sync.WaitGroup
	for i := range many {
		accepted.Go(func() {
			e := event(access.EventID(fmt.Sprint(i)))
			e.Body = make([]byte, 512<<10)
			if _, err := r.Accept(t.Context(), e); err != nil {
				t.Errorf("accepting %s: %v", e.ID, err)
			}
		})
	}
	accepted.Wait()
	r.reopen()
	if got := r.deliveries(); len(got) != many {
		t.Errorf("after reopening: got %d events, want %d", len(got), many)
	}
}

func TestReadersAndWritersWorkSideBySide(t *testing.T) {
	r := newRig(t)
	const workers, rounds = 8, 20
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			request := access.RequestID(fmt.Sprintf("r%d", w))
			for i := range rounds {
				e := event(access.EventID(fmt.Sprintf("%d-%d", w, i)))
				link, decision := pending(request, "P1"), no(request, fmt.Sprint(i), noon)
				link.Reason = fmt.Sprint(i)
				_, accepting := r.Accept(t.Context(), e)
				_, reading := r.OpenLinks(t.Context())
				err := errors.Join(accepting, reading,
					r.Concern(t.Context(), e.ID, []access.RequestID{request, "all"}, ""),
					r.Record(t.Context(), access.Outcome{Link: &link, Decision: &decision, Finished: []access.EventID{e.ID}}),
					r.Record(t.Context(), access.Outcome{Request: "all", Finished: []access.EventID{e.ID}}))
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	r.reopen()
	wantNothingWaits(t, r)
	if got := must[[]access.RequestID](t)(r.PendingForService(t.Context(), "P1", "")); len(got) != workers {
		t.Errorf("pending: got %v, want %d requests", got, workers)
	}
	for _, d := range must[[]Delivery](t)(r.Deliveries(t.Context(), 1000)) {
		if d.Finished.IsZero() {
			t.Errorf("%s is not finished", d.ID)
		}
	}
}

func TestFailedCommitEndsTheStore(t *testing.T) {
	stub := &engineStub{fail: errors.New("input/output error")}
	cfg := newRig(t).cfg
	cfg.Path = t.TempDir()
	cfg.wrap = func(e engine) engine { stub.engine = e; return stub }
	s := must[*Store](t)(Open(cfg))
	t.Cleanup(func() { _ = stub.engine.Close() }) // the process would end now
	ran := make(chan error, 1)
	go func() { ran <- s.Run(t.Context()) }()

	if _, err := s.Accept(t.Context(), event("e1")); err == nil || !strings.Contains(err.Error(), "input/output error") {
		t.Errorf("accept: got error %v, want the disk's", err)
	}
	var err error
	select {
	case err = <-ran:
	case <-time.After(time.Minute):
		t.Fatal("Run goes on after a commit that failed")
	}
	for _, part := range []string{cfg.Path, "input/output error", "check the disk", "start again"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Run: got error %v, want %q in it", err, part)
		}
	}
	if _, err := s.Accept(t.Context(), event("e2")); err == nil {
		t.Error("an event was accepted after the failure")
	}
	if got := s.Writable(); got == nil || got.Error() != err.Error() {
		t.Errorf("writable: got %v, want %v", got, err)
	}
	if got := stub.count(); got != 1 {
		t.Errorf("got %d commits, want none after the failed one", got)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

func TestWhatBadgerOnlyLogsEndsTheStore(t *testing.T) {
	for _, row := range []struct {
		name string
		log  func(badgerLog)
		want string // "": goes on
	}{
		{"error", func(l badgerLog) { l.Errorf("error flushing memtable to disk: %v, retrying", "no space") }, "no space"},
		{"warning with an error", func(l badgerLog) { l.Warningf("While running doCompact: %v\n", errors.New("checksum")) }, "checksum"},
		{"warning", func(l badgerLog) { l.Warningf("table %d has already been removed", 7) }, ""},
		{"information", func(l badgerLog) { l.Infof("compacted %v", errors.New("nothing")) }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t)
			row.log(badgerLog{r.log, r.report})
			if row.want == "" {
				r.accept(event("e1"))
				return
			}
			waitUntil(t, "the store ends", func() bool { return r.refused() != nil })
			if err := r.stop(); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Run: got error %v, want %q in it", err, row.want)
			}
			if _, err := r.Accept(t.Context(), event("e1")); err == nil {
				t.Error("an event was accepted after the failure")
			}
			r.stop = func() error { return nil }
			if err := r.db.Close(); err != nil { // the process would end now
				t.Error(err)
			}
		})
	}
}

func TestRunEndsThoughBadgerHoldsTheWriter(t *testing.T) {
	stub := &engineStub{enter: make(chan struct{}), release: make(chan struct{})}
	r := newRig(t, stubbed(stub))
	accepted := make(chan error)
	go func() {
		_, err := r.Accept(t.Context(), event("e1"))
		accepted <- err
	}()
	<-stub.enter
	r.report(errors.New("error flushing memtable to disk"))
	if err := <-accepted; err == nil || !strings.Contains(err.Error(), "flushing memtable") {
		t.Errorf("accept: got error %v, want what Badger reported", err)
	}
	if err := r.stop(); err == nil {
		t.Error("Run ended without an error")
	}
	r.stop = func() error { return nil }
	close(stub.release) // the process would end now
	waitUntil(t, "the writer is done", func() bool { return stub.count() == 1 })
	if err := stub.engine.Close(); err != nil {
		t.Error(err)
	}
}

func TestDamagedRecordEndsTheStore(t *testing.T) {
	for name, damage := range map[string]changes{
		"no JSON":      {string(linkKey("r1")): []byte("\x01{")},
		"unknown form": {string(linkKey("r1")): []byte("\x07{}")},
		"gone":         {string(linkKey("r1")): nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			link := pending("r1")
			r.record(access.Outcome{Link: &link})
			if err := r.db.Commit(damage); err != nil {
				t.Fatal(err)
			}
			if _, err := r.OpenLinks(t.Context()); err == nil {
				t.Error("damaged link was read")
			}
			<-r.ended
			if err := r.stop(); err == nil || !strings.Contains(err.Error(), "damaged data") {
				t.Errorf("Run: got error %v, want damaged data", err)
			}
			r.stop = func() error { return nil }
			if err := r.db.Close(); err != nil { // the process would end now
				t.Error(err)
			}
		})
	}
}

func TestRunWritesWhatIsQueuedWhenItIsStopped(t *testing.T) {
	stub := &engineStub{enter: make(chan struct{}), release: make(chan struct{})}
	r := newRig(t, stubbed(stub))
	accepted := make(chan error, 2)
	accept := func(id access.EventID) {
		_, err := r.Accept(t.Context(), event(id))
		accepted <- err
	}
	go accept("e1")
	<-stub.enter
	go accept("e2")
	waitUntil(t, "e2 is queued", func() bool { return len(r.queue) == 1 })
	stopped := make(chan error)
	go func() { stopped <- r.stop() }()
	stub.release <- struct{}{}
	<-stub.enter
	stub.release <- struct{}{}
	for _, err := range []error{<-stopped, <-accepted, <-accepted} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := r.Accept(t.Context(), event("e3")); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: got %v, want ErrClosed", err)
	}
	if err := r.Writable(); !errors.Is(err, ErrClosed) {
		t.Errorf("writable after the end: got %v, want ErrClosed", err)
	}
	stub.enter = nil
	r.reopen()
	if got := r.deliveries(); len(got) != 2 {
		t.Errorf("after reopening: got %d events, want 2", len(got))
	}
}

func TestCallsWithoutAWriterEndWithTheirContextOrTheStore(t *testing.T) {
	cfg := newRig(t).cfg
	cfg.Path = t.TempDir()
	s := must[*Store](t)(Open(cfg))
	if err := s.Writable(); err == nil {
		t.Error("writable although nobody writes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Accept(ctx, event("e1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	if _, err := s.OpenLinks(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reading: got %v, want the deadline", err)
	}
	left := len(s.queue) // e1, unless the deadline was faster
	waiting := make(chan error)
	go func() {
		_, err := s.Accept(t.Context(), event("e2"))
		waiting <- err
	}()
	waitUntil(t, "e2 is queued", func() bool { return len(s.queue) == left+1 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	if _, err := s.OpenLinks(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("reading: got %v, want ErrClosed", err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Run: got %v, want ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// lostLog is Badger after it could not begin a new log: it panics at whoever reads.
type lostLog struct{ engine }

func (lostLog) View(func(*badger.Txn) error) error { panic("invalid memory address") }

func TestReaderAtWhomBadgerPanicsEndsTheStore(t *testing.T) {
	r := newRig(t)
	whole := r.db
	r.Store.mu.Lock()
	r.db = lostLog{whole}
	r.Store.mu.Unlock()
	if _, err := r.OpenLinks(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid memory address") {
		t.Errorf("got error %v, want what Badger panicked with", err)
	}
	<-r.ended
	if err := r.stop(); err == nil || !strings.Contains(err.Error(), "invalid memory address") {
		t.Errorf("Run: got error %v, want what Badger panicked with", err)
	}
	r.stop = func() error { return nil }
	if err := whole.Close(); err != nil { // the process would end now
		t.Error(err)
	}
}
