package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

// childDir names, in the environment, the directory on which the test binary accepts events until it is killed.
const childDir = "PDHOOK_STORE_TEST_CHILD"

// acceptUntilKilled prints the ID of each event after Accept returned for it.
func acceptUntilKilled(dir string) {
	s, err := Open(Config{Path: dir, Retention: month, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		fmt.Fprintln(os.Stderr, s.Run(context.Background()))
		os.Exit(1)
	}()
	for worker := range 8 {
		go func() {
			for i := 0; ; i++ {
				e := event(access.EventID(fmt.Sprintf("%d-%d-%d", os.Getpid(), worker, i)))
				e.Body = make([]byte, 4<<10)
				if _, err := s.Accept(context.Background(), e); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Println(e.ID)
			}
		}()
	}
	select {}
}

func TestAcceptedEventsSurviveSIGKILL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var acked []access.EventID
	for range 3 { // each child starts from what the one before left
		acked = append(acked, killAfter(t, dir, 300)...)
	}
	s := must[*Store](t)(Open(Config{Path: dir, Retention: month, Log: slog.New(slog.DiscardHandler)}))
	defer s.Close()
	kept := map[access.EventID]bool{}
	for _, e := range must[[]access.Event](t)(s.Undispatched(t.Context())) {
		kept[e.ID] = true
	}
	for _, id := range acked {
		if !kept[id] {
			t.Errorf("event %s was acknowledged and is lost", id)
		}
	}
}

// killAfter runs a child, kills it after so many acknowledgements and gives all that it printed.
func killAfter(t *testing.T, dir string, acks int) []access.EventID {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	out := must[io.ReadCloser](t)(child.StdoutPipe())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []access.EventID
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if acked = append(acked, access.EventID(lines.Text())); len(acked) == acks {
			if err := child.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(acked) < acks {
		t.Fatalf("child ended after %d events with %v, want it killed after %d", len(acked), err, acks)
	}
	return acked
}
