package teleporttest

import (
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

// inParallel calls f n times at once.
func inParallel(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = f(i) })
	}
	all.Wait()
	return errs
}

func swap(id string, expect, set map[string]string) types.PluginDataUpdateParams {
	return types.PluginDataUpdateParams{Kind: types.KindAccessRequest, Resource: id, Plugin: Plugin, Expect: expect, Set: set}
}

func entry(t *testing.T, c *client.Client, id string) map[string]string {
	t.Helper()
	data, err := c.GetPluginData(brief(t), types.PluginDataFilter{Kind: types.KindAccessRequest, Resource: id, Plugin: Plugin})
	must(t, err)
	if len(data) == 0 {
		return nil
	}
	return data[0].Entries()[Plugin].Data
}

func TestPluginDataIsComparedAndSwapped(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	if got := entry(t, c, id); got != nil {
		t.Errorf("at first: got %v, want nothing and no error", got)
	}
	for _, step := range []struct {
		name        string
		expect, set map[string]string
		conflicts   bool
		want        map[string]string
	}{
		{"first write", map[string]string{"a": ""}, map[string]string{"a": "1"}, false, map[string]string{"a": "1"}},
		{"stale expectation", map[string]string{"a": ""}, map[string]string{"a": "2"}, true, map[string]string{"a": "1"}},
		{"other keys stay", map[string]string{"a": "1"}, map[string]string{"b": "2"}, false, map[string]string{"a": "1", "b": "2"}},
		{"empty deletes", nil, map[string]string{"a": ""}, false, map[string]string{"b": "2"}},
		{"the entry goes with its last key", nil, map[string]string{"b": ""}, false, nil},
	} {
		err := c.UpdatePluginData(brief(t), swap(id, step.expect, step.set))
		if trace.IsCompareFailed(err) != step.conflicts || err != nil && !step.conflicts {
			t.Errorf("%s: got %v, want conflict %v", step.name, err, step.conflicts)
		}
		if got := entry(t, c, id); !maps.Equal(got, step.want) || !maps.Equal(s.PluginData(id), step.want) {
			t.Errorf("%s: got %v, want %v", step.name, got, step.want)
		}
	}
}

func TestOneOfTwentyClaimersWins(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	errs := inParallel(20, func(i int) error {
		return c.UpdatePluginData(brief(t), swap(id, map[string]string{"claim": ""}, map[string]string{"claim": strconv.Itoa(i + 1)}))
	})
	var won []string
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, strconv.Itoa(i+1))
		case !trace.IsCompareFailed(err) || err.Error() != `expectations not met for field "claim"`:
			t.Errorf("claimer %d: got %v, want a failed comparison", i+1, err)
		}
	}
	if len(won) != 1 || s.PluginData(id)["claim"] != won[0] {
		t.Errorf("winners: got %v, stored %v, want one", won, s.PluginData(id))
	}
}

func TestPluginDataOutlivesTheRequestByAnHourAfterTheAccess(t *testing.T) {
	now := time.Now()
	s := start(t, Options{Now: func() time.Time { return now }})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}, AccessExpiry: now.Add(2 * time.Hour)})
	must(t, s.SetPluginData(id, map[string]string{"incident_id": "PT4KHLK"}))
	must(t, s.Expire(id))

	now = now.Add(3*time.Hour - time.Second)
	must(t, c.UpdatePluginData(brief(t), swap(id, nil, map[string]string{"resolution": "expired"})))
	if got := entry(t, c, id)["incident_id"]; got != "PT4KHLK" {
		t.Errorf("before its end: got %q", got)
	}
	now = now.Add(time.Second)
	if got := entry(t, c, id); got != nil {
		t.Errorf("after its end: got %v, want nothing", got)
	}
	if err := c.UpdatePluginData(brief(t), swap(id, nil, map[string]string{"a": "1"})); !trace.IsNotFound(err) {
		t.Errorf("writing for a request that is gone: got %v, want not found", err)
	}
}

func TestPluginDataRefusals(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, s, plugin)
	id := s.CreateRequest(Request{User: engineer, Roles: []string{"prod"}})
	if err := c.UpdatePluginData(brief(t), swap(id, nil, map[string]string{"a": strings.Repeat("x", 1<<20)})); !trace.IsBadParameter(err) {
		t.Errorf("too much data: got %v, want bad parameter", err)
	}
	s.Deny(plugin, WritePluginData, ReadRequests)
	if err := c.UpdatePluginData(brief(t), swap(id, nil, map[string]string{"a": "1"})); !trace.IsAccessDenied(err) {
		t.Errorf("writing without permission: got %v, want access denied", err)
	}
	if _, err := c.GetPluginData(brief(t), types.PluginDataFilter{Resource: id}); !trace.IsAccessDenied(err) {
		t.Errorf("reading without permission: got %v, want access denied", err)
	}
	s.Allow(plugin, WritePluginData, ReadRequests)
	must(t, c.UpdatePluginData(brief(t), swap(id, nil, map[string]string{"a": "1"})))
}

func TestLocks(t *testing.T) {
	now := time.Now().UTC()
	s := start(t, Options{Now: func() time.Time { return now }})
	c := connect(t, s, plugin)
	until := now.Add(time.Hour)
	lock, err := types.NewLock("pdhook-1", types.LockSpecV2{Target: types.LockTarget{AccessRequest: "1"}, Message: "resolved", Expires: &until})
	must(t, err)
	must(t, c.UpsertLock(brief(t), lock))
	must(t, c.UpsertLock(brief(t), lock))
	if got := s.Locks(); len(got) != 1 || got[0].CreatedBy() != plugin || !got[0].CreatedAt().Equal(now) {
		t.Errorf("got %v, want one by the plugin", got)
	}
	inForce := func(request string) int {
		locks, err := c.GetLocks(brief(t), true, types.LockTarget{AccessRequest: request})
		must(t, err)
		return len(locks)
	}
	if inForce("1") != 1 || inForce("2") != 0 {
		t.Errorf("in force: got %d and %d, want 1 and 0", inForce("1"), inForce("2"))
	}
	now = until
	if inForce("1") != 0 {
		t.Error("the lock outlives its time")
	}
	must(t, c.DeleteLock(brief(t), "pdhook-1"))
	if _, err := c.GetLock(brief(t), "pdhook-1"); !trace.IsNotFound(err) {
		t.Errorf("got %v, want not found", err)
	}
	s.Deny(plugin, UseLocks)
	if err := c.UpsertLock(brief(t), lock); !trace.IsAccessDenied(err) {
		t.Errorf("got %v, want access denied", err)
	}
}
