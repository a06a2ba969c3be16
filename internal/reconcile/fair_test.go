package reconcile

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestOneUsersBurstDoesNotHoldUpAnothersRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 1, takes(time.Second))
		defer d.close()
		for i := range 100 {
			d.Add(access.RequestID(fmt.Sprintf("mallory/%d", i)), access.CauseCreated)
		}
		synctest.Wait()
		d.Add("alice/1", access.CauseCreated)
		if s := d.Status(); s.Depth != 100 {
			t.Errorf("depth = %d, want 100", s.Depth)
		}
		time.Sleep(10 * time.Second)
		got := d.looks()
		if at := slices.IndexFunc(got, func(l looked) bool { return l.id == "alice/1" }); at < 1 || at > 2 {
			t.Errorf("alice's request was look number %d, want the second or third", at)
		}
		if s := d.Status(); s.Oldest < 9*time.Second {
			t.Errorf("the longest wait is %s, want 10s", s.Oldest)
		}
		time.Sleep(2 * time.Minute)
		if got := d.looks(); len(got) != 101 {
			t.Errorf("%d looks, want 101", len(got))
		}
	})
}

func TestTheTurnsAreFair(t *testing.T) {
	f := newOrder(func(id access.RequestID) string { return string(id[:1]) }, func(access.RequestID) bool { return true })
	for _, id := range []access.RequestID{"m1", "m2", "m3", "a1", "b1", "a2"} {
		f.Push(id)
	}
	var order []access.RequestID
	for f.Len() > 0 {
		order = append(order, f.Pop())
	}
	if want := []access.RequestID{"m1", "a1", "b1", "m2", "a2", "m3"}; !slices.Equal(order, want) {
		t.Errorf("order = %v, want %v", order, want)
	}
	if len(f.first.queued) != 0 || f.first.users.Len() != 0 {
		t.Errorf("something is kept: %v, %d turns", f.first.queued, f.first.users.Len())
	}
}

func TestWhatHappenedGoesBeforeWhatOnlyTimeBringsBack(t *testing.T) {
	happened := map[access.RequestID]bool{"new": true, "woken": false}
	f := newOrder(func(id access.RequestID) string { return "u" }, func(id access.RequestID) bool { return happened[id] })
	for _, id := range []access.RequestID{"old1", "woken", "old2", "new"} {
		f.Push(id)
	}
	happened["woken"] = true
	f.Touch("woken")
	var order []access.RequestID
	for f.Len() > 0 {
		order = append(order, f.Pop())
	}
	if want := []access.RequestID{"new", "woken", "old1", "old2"}; !slices.Equal(order, want) {
		t.Errorf("order = %v, want %v", order, want)
	}
}

func TestWhatOnlyTimeBringsBackHasItsTurnAllTheSame(t *testing.T) {
	f := newOrder(func(id access.RequestID) string { return string(id) }, func(id access.RequestID) bool { return id != "old" })
	f.Push("old")
	for i := range 3 * secondEvery {
		f.Push(access.RequestID(rune('A' + i)))
	}
	for n := 1; ; n++ {
		if f.Pop() == "old" {
			if n > secondEvery+1 {
				t.Errorf("its turn came after %d others", n-1)
			}
			return
		}
	}
}
