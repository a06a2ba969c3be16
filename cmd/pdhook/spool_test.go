package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoeverLogsDoesNotWaitForAReaderThatStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var written []string
		s := startSpool(func(line []byte) {
			<-goOn
			written = append(written, strings.TrimSpace(string(line)))
		}, func() bool { return false })
		began := time.Now()
		const left = 500
		for i := range 1 + spoolLines + left { // one is in the writer's hands
			s.add(fmt.Appendf(nil, "line %d\n", i))
			synctest.Wait()
		}
		if took := time.Since(began); took > spoolRoom {
			t.Errorf("logging took %s, want no more than %s for all lines together", took, spoolRoom)
		}
		close(goOn)
		synctest.Wait()
		s.add([]byte("the last\n"))
		s.end()
		if n := len(written); n != 1+spoolLines+1+1 || written[n-1] != "the last" || written[0] != "line 0" {
			t.Fatalf("got %d lines, want all that there was room for, the gap and the last", n)
		}
		gap := 0
		for _, line := range written {
			if strings.Contains(line, fmt.Sprintf(`msg="Log lines were left out, as nobody read the log" lines=%d`, left)) {
				gap++
			}
		}
		if gap != 1 {
			t.Errorf("the gap of %d lines is told %d times, want once", left, gap)
		}
	})
}

func TestTheEndOfTheLogIsWrittenUnlessNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := 0
		s := startSpool(func([]byte) { <-time.After(time.Millisecond); written++ }, func() bool { return true })
		for range 100 {
			s.add([]byte("{}\n"))
		}
		s.end()
		if written != 100 {
			t.Errorf("got %d lines, want all 100 before the end", written)
		}

		goOn := make(chan struct{})
		s = startSpool(func([]byte) { <-goOn }, func() bool { return true })
		s.add([]byte("{}\n"))
		began := time.Now()
		s.end()
		if took := time.Since(began); took != spoolEnd {
			t.Errorf("the end took %s, want %s", took, spoolEnd)
		}
		close(goOn)
	})
}
