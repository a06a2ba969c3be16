package watch

import (
	"fmt"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestRequestsThatAreGoneAreForgottenOldestFirst(t *testing.T) {
	r := newRoster()
	r.put(pending("here"))
	id := func(i int) access.RequestID { return access.RequestID(fmt.Sprint(i)) }
	for i := range goneMax + 1 {
		r.delete(id(i))
	}
	if got, want := len(r.entries), goneMax*9/10+1; got != want {
		t.Errorf("%d entries kept, want %d", got, want)
	}
	if _, kept := r.entries[id(0)]; kept {
		t.Error("the oldest was kept")
	}
	if _, kept := r.entries[id(goneMax)]; !kept {
		t.Error("the newest was forgotten")
	}
	if _, kept := r.entries["here"]; !kept {
		t.Error("a request that Teleport holds was forgotten")
	}
	r.put(pending(id(goneMax)))
	if got, want := r.gone, goneMax*9/10-1; got != want {
		t.Errorf("counting %d as gone after one came back, want %d", got, want)
	}
}

func TestAnOlderListDoesNotOverruleANewerOne(t *testing.T) {
	r := newRoster()
	r.merge(list{requests: []access.Request{pending("a"), pending("b")}, complete: true, cause: access.CauseStart})
	begun := r.learnt
	r.merge(list{since: begun, requests: []access.Request{approved("a")}, complete: true, cause: access.CauseTimer})
	got := r.merge(list{since: begun, requests: []access.Request{pending("a"), pending("b")}, cause: access.CauseTimer})
	if len(got) != 0 {
		t.Errorf("hints of the older list: %v, want none", got)
	}
	if !r.entries["b"].gone {
		t.Error("the older list brought back what the newer one proved gone")
	}
}
