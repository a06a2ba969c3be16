package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

func TestTheLogTellsOnceWhyWebhooksCannotBeTakenAndWhenTheyCanAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reasons := make(chan []string)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = readiness{func() []string { return <-reasons }, slog.New(slog.NewTextHandler(&log, nil))}.Run(ctx)
		}()
		for _, step := range []struct {
			reasons []string
			want    string // in the one new line; "": there is none
		}{
			{nil, ""},
			{[]string{"volume has 1.0 MiB free"}, "level=WARN"},
			{[]string{"volume has 0.9 MiB free"}, ""},
			{[]string{"volume has 0.9 MiB free", "/a is not there yet"}, "/a is not there yet"},
			{[]string{"/b is not there yet"}, "/b is not there yet"},
			{nil, "level=INFO"},
		} {
			log.Reset()
			for range 3 { // looks
				reasons <- step.reasons
			}
			synctest.Wait()
			wantLines := 0
			if step.want != "" {
				wantLines = 1
			}
			if got := log.String(); strings.Count(got, "\n") != wantLines || !strings.Contains(got, step.want) {
				t.Errorf("%q: got %q, want %d line with %q", step.reasons, got, wantLines, step.want)
			}
		}
		log.Reset()
		stop()
		<-ended
		if log.Len() > 0 {
			t.Errorf("at the end: got %q, want nothing", log.String())
		}
	})
}
