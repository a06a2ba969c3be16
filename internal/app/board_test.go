package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/reconcile"
	"github.com/pdhook/pdhook/internal/store"
)

// wall is a board over a real store.
type wall struct {
	board
	t     *testing.T
	noon  time.Time
	looks map[access.RequestID]reconcile.Outlook
	polls map[access.RequestID]time.Time
	next  time.Time // round
	dry   bool
}

func newWall(t *testing.T) *wall {
	t.Helper()
	s, err := store.Open(store.Config{Path: filepath.Join(t.TempDir(), "store"), Retention: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ran, s.Close()); err != nil {
			t.Error(err)
		}
	})
	w := &wall{t: t, noon: time.Now().Add(time.Hour).Truncate(time.Second), looks: map[access.RequestID]reconcile.Outlook{}, polls: map[access.RequestID]time.Time{}}
	w.board = board{
		store: s, outlook: func(id access.RequestID) reconcile.Outlook { return w.looks[id] },
		poll: func(l access.Link) time.Time { return w.polls[l.Request] }, round: func() time.Time { return w.next },
		url: func(id access.RequestID) string { return "https://teleport/" + string(id) }, user: func() string { return "pdhook" },
		dryRun: func() bool { return w.dry },
	}
	return w
}

// put stores a request that was made some minutes after noon; decided is when, in seconds, or 0.
func (w *wall) put(id access.RequestID, state access.State, made int, decided int) {
	w.t.Helper()
	l := access.Link{Request: id, User: "kim@example.com", Roles: []string{"dba"}, State: state, Created: w.noon.Add(time.Duration(made) * time.Minute),
		Suggested: []string{"bob"}, Updated: w.noon}
	if state != access.Pending {
		l.Finished = w.noon
	}
	o := access.Outcome{Link: &l}
	if decided > 0 {
		o.Decision = &access.Decision{Request: id, Verdict: access.No, Time: w.noon.Add(time.Duration(decided) * time.Second), Sentence: "not on call",
			Instead: "bob", Next: w.noon, Checks: []access.Check{{Name: "on call", Status: access.Failed, Remedy: "wait",
				Children: []access.Check{{Name: "service", Status: access.Failed, Remedy: "wait"}}}}}
	}
	if err := w.store.Record(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wall) request(id access.RequestID) admin.Request {
	w.t.Helper()
	r, err := w.Request(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestTheBoardShowsTheOldestPendingFirstAndThenTheLatestDecisions(t *testing.T) {
	w := newWall(t)
	w.put("c", access.Pending, 1, 9)
	w.put("b", access.Pending, 2, 0)
	w.put("a", access.Pending, 2, 1)
	w.put("y", access.Denied, 0, 2)
	w.put("z", access.Approved, 3, 5)
	for all, want := range map[bool]string{false: "c a b", true: "c a b z y"} {
		list, err := w.Requests(t.Context(), all)
		var got []string
		for _, r := range list {
			got = append(got, string(r.ID))
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("all %v: got %v, %v, want %s", all, got, err, want)
		}
	}
	if got := w.request("b"); got.Decision != nil || got.State != access.Pending || got.URL != "https://teleport/b" {
		t.Errorf("a request without a decision: got %+v", got)
	}
	if _, err := w.Request(t.Context(), "d"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("an unknown request: got %v, want not found", err)
	}
}

func TestTheBoardOfAnEmptyStoreIsEmpty(t *testing.T) {
	if list, err := newWall(t).Requests(t.Context(), true); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v, want nothing", list, err)
	}
}

func TestAdviceIsForThoseWhoWait(t *testing.T) {
	w := newWall(t)
	w.dry = true
	w.put("waits", access.Pending, 0, 1)
	w.put("denied", access.Denied, 0, 1)
	if r := w.request("waits"); r.Decision.Instead == "" || r.Decision.Checks[0].Children[0].Remedy == "" || !r.DryRun || len(r.SuggestedReviewers) != 1 {
		t.Errorf("a request that waits: got %+v, %+v", r, r.Decision)
	}
	r := w.request("denied")
	c := r.Decision.Checks[0]
	if r.Decision.Instead != "" || !r.Decision.Next.IsZero() || c.Remedy != "" || c.Children[0].Remedy != "" || r.DryRun || len(r.SuggestedReviewers) != 0 {
		t.Errorf("a request that was denied: got %+v, %+v", r, r.Decision)
	}
	if c.Status != access.Failed || r.Decision.Sentence == "" {
		t.Errorf("what was decided is gone: %+v", r.Decision)
	}
}

func TestTheNextLookIsTheFirstOfAllThatCome(t *testing.T) {
	w := newWall(t)
	w.put("r", access.Pending, 0, 1)
	w.put("done", access.Approved, 0, 1)
	at := func(minutes int) time.Time { return w.noon.Add(time.Duration(minutes) * time.Minute) }
	for _, tt := range []struct {
		name        string
		queue       reconcile.Outlook
		poll, round time.Time
		want        time.Time
		why         string
	}{
		{"nothing is known", reconcile.Outlook{}, time.Time{}, time.Time{}, time.Time{}, ""},
		{"the round alone", reconcile.Outlook{}, time.Time{}, at(5), at(5), access.CauseTimer},
		{"a poll before the round", reconcile.Outlook{}, at(1), at(5), at(1), access.CausePoll},
		{"a shift before both", reconcile.Outlook{Next: at(1), Cause: access.CauseShift}, at(2), at(5), at(1), access.CauseShift},
		{"a retry after the poll", reconcile.Outlook{Next: at(3), Cause: access.CauseRetry}, at(2), at(5), at(2), access.CausePoll},
		{"a shift after the round", reconcile.Outlook{Next: at(60), Cause: access.CauseShift}, time.Time{}, at(5), at(5), access.CauseTimer},
	} {
		w.looks["r"], w.looks["done"], w.polls["r"], w.polls["done"], w.next = tt.queue, tt.queue, tt.poll, tt.poll, tt.round
		if r := w.request("r"); !r.NextLook.Equal(tt.want) || r.NextLookWhy != tt.why {
			t.Errorf("%s: got %s because of %q, want %s because of %q", tt.name, r.NextLook, r.NextLookWhy, tt.want, tt.why)
		}
		if r := w.request("done"); !r.NextLook.IsZero() || r.NextLookWhy != "" {
			t.Errorf("%s: a finished request is looked at again at %s because of %q", tt.name, r.NextLook, r.NextLookWhy)
		}
	}
	w.polls["r"] = time.Now().Add(-time.Minute)
	if r := w.request("r"); time.Until(r.NextLook) < -time.Second || r.NextLookWhy != access.CausePoll {
		t.Errorf("a poll under way: got %s because of %q, want now", r.NextLook, r.NextLookWhy)
	}
}

func TestTheBoardShowsWhyALookFailedAndWhenItWas(t *testing.T) {
	w := newWall(t)
	w.put("r", access.Pending, 0, 1)
	w.looks["r"] = reconcile.Outlook{Looked: w.noon, Failing: "PagerDuty answers 503"}
	if r := w.request("r"); r.Failing != "PagerDuty answers 503" || !r.LastLook.Equal(w.noon) {
		t.Errorf("got %+v", r)
	}
}

func TestAThousandPendingRequestsAreShownAtOnce(t *testing.T) {
	w := newWall(t)
	var writes errgroup.Group
	for i := range 1000 {
		writes.Go(func() error {
			l := access.Link{Request: access.RequestID(fmt.Sprintf("r%04d", i)), State: access.Pending, Created: w.noon, Updated: w.noon}
			d := access.Decision{Request: l.Request, Verdict: access.No, Time: w.noon, Sentence: strings.Repeat("not on call ", 20)}
			return w.store.Record(t.Context(), access.Outcome{Link: &l, Decision: &d})
		})
	}
	if err := writes.Wait(); err != nil {
		t.Fatal(err)
	}
	list, err := w.Requests(t.Context(), true)
	if err != nil || len(list) != 1000 || list[999].Decision == nil {
		t.Fatalf("got %d requests, %v, want 1000 with their decisions", len(list), err)
	}
}

func TestOnlyTheApprovalOfPdhooksUserIsTakenForPdhooks(t *testing.T) {
	w := newWall(t)
	for i, tt := range []struct {
		review access.Review
		want   bool
	}{
		{access.Review{Author: "pdhook", State: access.Approved}, true},
		{access.Review{Author: "pdhook", State: access.Denied}, false},
		{access.Review{Author: "eve", State: access.Approved, Reason: "Approved by pdhook: kim is on call"}, false},
	} {
		l := access.Link{Request: access.RequestID(fmt.Sprint(i)), State: access.Pending, Reviews: []access.Review{tt.review}}
		if err := w.store.Record(t.Context(), access.Outcome{Link: &l}); err != nil {
			t.Fatal(err)
		}
		if got := w.request(l.Request).Reviewed; got != tt.want {
			t.Errorf("%+v: reviewed by pdhook is %t, want %t", tt.review, got, tt.want)
		}
	}
}
