package watch

import (
	"cmp"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// goneMax bounds what is remembered of requests that are gone. One whose link is unfinished is found
// missing by every list anew.
const goneMax = 10_000

// roster is what is known of each request, from lists and changes. Every piece of knowledge has a number,
// so that a list never overrules what was learnt after it was begun.
type roster struct {
	entries map[access.RequestID]entry
	gone    int    // entries of requests that are gone
	learnt  uint64 // number of the newest knowledge
}

// entry is the last that was learnt of one request.
type entry struct {
	user   string
	seen   fingerprint
	gone   bool // Teleport holds it no more
	learnt uint64
}

// fingerprint holds what makes a request worth another look when it changes.
type fingerprint struct {
	state   access.State
	reviews int
	expires int64 // in Unix nanoseconds: == does not compare two time.Time
}

func fingerprintOf(r access.Request) fingerprint {
	return fingerprint{state: r.State, reviews: len(r.Reviews), expires: r.Expires.UnixNano()}
}

// list is one answer to "all requests".
type list struct {
	since    uint64 // number of the newest knowledge when the list was begun
	requests []access.Request
	links    []access.RequestID // with an unfinished link, read before the list
	complete bool               // proves that what it lacks is gone
	cause    string
}

func newRoster() roster {
	return roster{entries: make(map[access.RequestID]entry)}
}

// put enters a request that Teleport holds and says why it is to be looked at, "" when nothing is new.
func (r *roster) put(req access.Request) string {
	old, known := r.entries[req.ID]
	known = known && !old.gone
	seen := fingerprintOf(req)
	r.set(req.ID, entry{user: req.User, seen: seen})
	switch {
	case !known && req.State == access.Pending && len(req.Reviews) == 0:
		return access.CauseCreated
	case !known || old.seen != seen:
		return access.CauseChanged
	}
	return ""
}

// delete enters that a request is gone and says why it is to be looked at, "" when that was known.
func (r *roster) delete(id access.RequestID) string {
	old := r.entries[id]
	r.set(id, entry{user: old.user, seen: old.seen, gone: true})
	r.prune()
	if old.gone {
		return ""
	}
	return access.CauseGone
}

// merge enters a list and gives what is to be looked at: what is pending first, then what changed, then
// what is gone or unfinished.
func (r *roster) merge(l list) []hinted {
	listed := make(map[access.RequestID]bool, len(l.requests))
	var changed []access.RequestID
	for _, req := range l.requests {
		listed[req.ID] = true
		if r.entries[req.ID].learnt <= l.since && r.put(req) != "" {
			changed = append(changed, req.ID)
		}
	}
	var gone []access.RequestID
	if l.complete {
		for _, id := range r.missing(l, listed) {
			if r.delete(id) != "" {
				gone = append(gone, id)
			}
		}
	}
	var h hints
	h.add(l.cause, r.pending()...)
	h.add(l.cause, changed...)
	h.add(access.CauseGone, gone...)
	h.add(l.cause, l.links...)
	return h.list
}

// missing gives the requests that the list should have shown.
func (r *roster) missing(l list, listed map[access.RequestID]bool) []access.RequestID {
	var ids []access.RequestID
	for id, e := range r.entries {
		if !listed[id] && !e.gone && e.learnt <= l.since {
			ids = append(ids, id)
		}
	}
	for _, id := range l.links {
		if e, known := r.entries[id]; !listed[id] && e.learnt <= l.since && (!known || e.gone) {
			ids = append(ids, id)
		}
	}
	return ids
}

// pending gives the pending requests that Teleport holds, the oldest first: their IDs are UUIDs that
// begin with the time.
func (r *roster) pending() []access.RequestID {
	var ids []access.RequestID
	for id, e := range r.entries {
		if !e.gone && e.seen.state == access.Pending {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// waiting counts the pending requests; it is asked often.
func (r *roster) waiting() (n int) {
	for _, e := range r.entries {
		if !e.gone && e.seen.state == access.Pending {
			n++
		}
	}
	return n
}

func (r *roster) set(id access.RequestID, e entry) {
	if r.entries[id].gone {
		r.gone--
	}
	if e.gone {
		r.gone++
	}
	r.learnt++
	e.learnt = r.learnt
	r.entries[id] = e
}

// prune forgets what is gone longest when there is too much of it, a tenth at once so that it is seldom done.
func (r *roster) prune() {
	if r.gone <= goneMax {
		return
	}
	var gone []access.RequestID
	for id, e := range r.entries {
		if e.gone {
			gone = append(gone, id)
		}
	}
	slices.SortFunc(gone, func(a, b access.RequestID) int {
		return cmp.Compare(r.entries[a].learnt, r.entries[b].learnt)
	})
	for _, id := range gone[:len(gone)-goneMax*9/10] {
		delete(r.entries, id)
		r.gone--
	}
}

// hinted is a request to look at and why.
type hinted struct {
	id    access.RequestID
	cause string
}

// hints collects requests in order, each once.
type hints struct {
	list []hinted
	has  map[access.RequestID]bool
}

func (h *hints) add(cause string, ids ...access.RequestID) {
	if h.has == nil {
		h.has = make(map[access.RequestID]bool)
	}
	for _, id := range ids {
		if !h.has[id] {
			h.has[id] = true
			h.list = append(h.list, hinted{id, cause})
		}
	}
}
