package reconcile

import (
	"container/list"

	"github.com/pdhook/pdhook/internal/access"
)

// fair is the order of waiting requests: requesters take turns, each with the oldest of theirs. The work
// queue calls it under its own lock.
type fair struct {
	owner  func(access.RequestID) string
	turns  *list.List // of string: requesters with waiting requests, the next one first
	queued map[string][]access.RequestID
	length int
}

func newFair(owner func(access.RequestID) string) *fair {
	return &fair{owner: owner, turns: list.New(), queued: map[string][]access.RequestID{}}
}

// Touch is called for a request that waits already: its place does not change.
func (f *fair) Touch(access.RequestID) {}

// Push puts a request behind the others of its requester.
func (f *fair) Push(id access.RequestID) {
	user := f.owner(id)
	if len(f.queued[user]) == 0 {
		f.turns.PushBack(user)
	}
	f.queued[user] = append(f.queued[user], id)
	f.length++
}

// Len is the number of waiting requests.
func (f *fair) Len() int { return f.length }

// Pop takes the oldest request of the requester whose turn it is.
func (f *fair) Pop() access.RequestID {
	front := f.turns.Front()
	user := f.turns.Remove(front).(string)
	waiting := f.queued[user]
	id := waiting[0]
	f.length--
	if len(waiting) == 1 {
		delete(f.queued, user)
		return id
	}
	f.queued[user] = waiting[1:]
	f.turns.PushBack(user)
	return id
}
