package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

var errNoDemo = errors.New("no demo is running: start it with `make demo` or `make sandbox` in another terminal")

// state is what `demo request` needs to find a running demo.
type state struct {
	Dir    string            `json:"dir"`
	Places places            `json:"places"`
	Status string            `json:"status"`
	Users  map[string]string `json:"users"`
}

func stateFile() string { return filepath.Join(os.TempDir(), "pdhook-demo.json") }

// stayUp leaves the demo running for requests until ctx ends.
func (t *teller) stayUp(ctx context.Context) error {
	return t.findable(ctx, func() {
		fmt.Print("\nThe demo stays up until Ctrl-C. In another terminal:\n\n")
		for _, try := range [][2]string{
			{"make demo-request USER=" + dana, "dana is on call now: approved"},
			{"make demo-request USER=" + kim, "kim is not any more: dana is paged"},
			{"bin/pdhook requests --all --addr " + strings.TrimPrefix(t.status, "http://"), "what became of all of them"},
			{"open " + t.status, "the status page"},
			{"tail -f " + t.path("pdhook.log"), "what pdhook logs"},
		} {
			fmt.Printf("  %-*s  %s\n", max(44, len("tail -f "+t.path("pdhook.log"))), try[0], try[1])
		}
	})
}

// findable lets `demo request` find the stage until ctx ends, and calls ready once it can.
func (s *stage) findable(ctx context.Context, ready func()) error {
	text, err := json.Marshal(state{s.dir, s.places, s.status, s.account.users})
	if err != nil {
		return err
	}
	if err := os.WriteFile(stateFile(), text, 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(stateFile()) }()
	ready()
	<-ctx.Done()
	return nil
}

// request asks for a role in the running demo and tells what becomes of it.
func request(ctx context.Context, user, role string) error {
	t, err := runningDemo(ctx)
	switch {
	case err != nil:
		return err
	case !slices.Contains(people, user):
		return fmt.Errorf("nobody here is called %q: ask as %s", user, strings.Join(people, ", "))
	case role != roleName:
		return fmt.Errorf("the role %q names no service here, so that nothing would come of it: ask for %s", role, roleName)
	}
	p, err := login(ctx, t.places.Teleport, identityOf(t.dir, user), user)
	if err != nil {
		return err
	}
	defer func() { _ = p.client.Close() }()
	began := time.Now()
	id, err := t.asks(ctx, p, role, "playing with the demo")
	if err != nil {
		return err
	}
	d, err := t.decided(ctx, id, "")
	switch {
	case errors.Is(err, admin.ErrNotRunning):
		return fmt.Errorf("%w: start pdhook", err)
	case err != nil:
		return err
	case d.Verdict != access.Approve:
		return t.paged(ctx, id)
	}
	if err := t.approved(ctx, p, id, began); err != nil {
		return err
	}
	return t.wroteBack(ctx, id)
}

// runningDemo finds the demo of another process. The file of one that was killed is still there.
func runningDemo(ctx context.Context) (*teller, error) {
	text, err := os.ReadFile(stateFile())
	if err != nil {
		return nil, errNoDemo
	}
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return nil, errNoDemo
	}
	if _, err := call[any](ctx, http.MethodGet, st.Places.Control+"/incidents", nil); err != nil {
		return nil, errNoDemo
	}
	return &teller{began: time.Now(), stage: &stage{dir: st.Dir, places: st.Places, status: st.Status,
		account: &account{places: st.Places, users: st.Users}}}, nil
}
