package reconcile

import (
	"container/list"
	"slices"

	"github.com/pdhook/pdhook/internal/access"
)

// order is the order of waiting requests: those that something happened to before those that only time brings
// back, and in each of the two the requesters take turns. The work queue calls it under its own lock.
type order struct {
	owner  func(access.RequestID) string
	urgent func(access.RequestID) bool
	first  *turns
	second *turns
	passed int // requests of the first lane since one of the second had its turn
}

// secondEvery is how often the second lane has its turn while the first one is never empty.
const secondEvery = 8

func newOrder(owner func(access.RequestID) string, urgent func(access.RequestID) bool) *order {
	return &order{owner: owner, urgent: urgent, first: newTurns(), second: newTurns()}
}

// Touch is called for a request that waits already: what happened to it meanwhile may make it urgent.
func (o *order) Touch(id access.RequestID) {
	if o.urgent(id) && o.second.remove(o.owner(id), id) {
		o.first.push(o.owner(id), id)
	}
}

// Push puts a request behind the others of its requester.
func (o *order) Push(id access.RequestID) {
	if o.urgent(id) {
		o.first.push(o.owner(id), id)
		return
	}
	o.second.push(o.owner(id), id)
}

// Len is the number of waiting requests.
func (o *order) Len() int { return o.first.length + o.second.length }

// Pop takes the oldest request of the requester whose turn it is.
func (o *order) Pop() access.RequestID {
	if o.first.length == 0 || (o.second.length > 0 && o.passed >= secondEvery) {
		o.passed = 0
		return o.second.pop()
	}
	o.passed++
	return o.first.pop()
}

// turns is one lane.
type turns struct {
	users  *list.List // of string: requesters with waiting requests, the next one first
	queued map[string][]access.RequestID
	length int
}

func newTurns() *turns {
	return &turns{users: list.New(), queued: map[string][]access.RequestID{}}
}

func (t *turns) push(user string, id access.RequestID) {
	if len(t.queued[user]) == 0 {
		t.users.PushBack(user)
	}
	t.queued[user] = append(t.queued[user], id)
	t.length++
}

func (t *turns) pop() access.RequestID {
	user := t.users.Remove(t.users.Front()).(string)
	id := t.queued[user][0]
	t.keep(user, t.queued[user][1:])
	if len(t.queued[user]) > 0 {
		t.users.PushBack(user)
	}
	return id
}

// remove takes a request out of the lane, wherever it stands.
func (t *turns) remove(user string, id access.RequestID) bool {
	at := slices.Index(t.queued[user], id)
	if at < 0 {
		return false
	}
	t.keep(user, slices.Delete(slices.Clone(t.queued[user]), at, at+1))
	for e := t.users.Front(); len(t.queued[user]) == 0 && e != nil; e = e.Next() {
		if e.Value == user {
			t.users.Remove(e)
			break
		}
	}
	return true
}

// keep leaves a requester with the given requests, one fewer than before.
func (t *turns) keep(user string, rest []access.RequestID) {
	t.length--
	t.queued[user] = rest
	if len(rest) == 0 {
		delete(t.queued, user)
	}
}
