package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	remembered = time.Minute      // how long an answer is kept
	people     = time.Hour        // one about a person: who uses it later has it confirmed
	patience   = 30 * time.Second // how long an answer is waited for
	lately     = time.Second / 2  // longer ago than that, a question without an answer may hang: who comes asks anew
	many       = 1024             // answers to one kind of question are all forgotten rather than becoming more
)

// memory holds the answers to one kind of question.
type memory[T any] struct {
	lasts time.Duration // how long an answer is kept

	mu      sync.Mutex
	answers map[string]*question[T]
}

// query is what somebody wants to know: key, looking ahead to until, from an answer that was asked for at since
// or later.
type query struct {
	key          string
	until, since time.Time
}

// question is one that was asked of PagerDuty. It goes on while anybody waits for it, whoever asked first.
type question[T any] struct {
	query
	asked   time.Time
	end     context.CancelFunc
	waiting int // guarded by the memory's lock
	done    chan struct{}
	fact    access.Fact[T] // set before done is closed
}

// suffices reports whether what q finds out is good enough for a query that is made now.
func (m *memory[T]) suffices(q *question[T], wanted query, now time.Time) bool {
	age := now.Sub(q.asked)
	return !q.asked.Before(wanted.since) && age <= m.lasts && !q.until.Before(wanted.until) && (q.over() || age <= lately)
}

func (q *question[T]) over() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

func (m *memory[T]) get(ctx context.Context, wanted query, ask func(context.Context) (T, error)) access.Fact[T] {
	q := m.join(ctx, wanted, ask)
	select {
	case <-q.done:
	case <-ctx.Done():
		m.leave(q)
		return access.Fact[T]{Err: fmt.Errorf("asking PagerDuty: %w", context.Cause(ctx)), ReadAt: q.asked}
	}
	return q.fact
}

// join waits for a question that was asked already, or asks.
func (m *memory[T]) join(ctx context.Context, wanted query, ask func(context.Context) (T, error)) *question[T] {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	q, known := m.answers[wanted.key]
	if !known || !m.suffices(q, wanted, now) {
		q = &question[T]{query: wanted, asked: now, done: make(chan struct{})}
		ctx, q.end = context.WithTimeout(context.WithoutCancel(ctx), patience)
		m.keep(q)
		go m.run(ctx, q, ask)
	}
	q.waiting++
	return q
}

// run asks, for all who wait. A failure is told to them and then forgotten: it is no answer.
func (m *memory[T]) run(ctx context.Context, q *question[T], ask func(context.Context) (T, error)) {
	defer close(q.done)
	defer q.end()
	value, err := ask(ctx)
	q.fact = access.Fact[T]{Value: value, Err: err, ReadAt: q.asked}
	if err != nil && !errors.Is(err, access.ErrNotFound) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.drop(q)
	}
}

// leave gives up waiting. The last one to do so ends the question and sees it out.
func (m *memory[T]) leave(q *question[T]) {
	m.mu.Lock()
	q.waiting--
	last := q.waiting == 0
	if last {
		m.drop(q)
	}
	m.mu.Unlock()
	if last {
		q.end()
		<-q.done
	}
}

// keep remembers a question, and nothing that is too old.
func (m *memory[T]) keep(q *question[T]) {
	maps.DeleteFunc(m.answers, func(_ string, old *question[T]) bool { return q.asked.Sub(old.asked) > m.lasts })
	if m.answers == nil || len(m.answers) >= many {
		m.answers = map[string]*question[T]{}
	}
	m.answers[q.key] = q
}

// drop forgets q, unless another question has taken its place.
func (m *memory[T]) drop(q *question[T]) {
	if m.answers[q.key] == q {
		delete(m.answers, q.key)
	}
}

func (m *memory[T]) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.answers)
}
