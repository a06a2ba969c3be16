package directory

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// moody answers late, wrongly or never, and says in the answer what it was asked and when.
type moody struct {
	source
	mu  sync.Mutex
	rng *rand.Rand
}

func (m *moody) between(low, high time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return low + time.Duration(m.rng.Int64N(int64(high-low)))
}

func (m *moody) OnCalls(ctx context.Context, q access.OnCallQuery) ([]access.OnCall, time.Time, error) {
	asked := time.Now()
	takes, mood := m.between(0, 2*time.Second), m.between(0, 10)
	if mood == 0 {
		takes = time.Hour
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	}
	switch mood {
	case 1, 2:
		return nil, time.Time{}, errors.New("503")
	case 3:
		return nil, time.Time{}, access.ErrNotFound
	}
	return []access.OnCall{{User: access.User{ID: q.Users[0]}, Start: q.Until}}, asked, nil
}

func TestAFactIsNeverOlderThanItsCallerAllowsWhateverTheInterleaving(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			m := &moody{rng: rand.New(rand.NewPCG(seed, 0))}
			d := New(m)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					for range 50 {
						time.Sleep(m.between(0, 5*time.Second))
						askAndCheck(t, d, m)
					}
				})
			}
			wg.Wait()
		})
	}
}

func askAndCheck(t *testing.T, d *Directory, m *moody) {
	began := time.Now()
	since := began.Add(-max(0, m.between(-30*time.Second, 2*time.Minute)))
	until := began.Add(m.between(0, 10*time.Hour))
	user := access.UserID(fmt.Sprintf("P%d", m.between(0, 3)))
	ctx, cancel := context.WithTimeout(t.Context(), m.between(0, time.Minute))
	defer cancel()
	if m.between(0, 20) == 0 {
		d.Forget()
	}
	f := d.OnCalls(ctx, user, until, since)
	switch {
	case f.ReadAt.Before(since):
		t.Errorf("got a fact of %s, want one of %s or later: %+v", f.ReadAt, since, f)
	case began.Sub(f.ReadAt) > remembered:
		t.Errorf("got a fact of %s at %s, want none older than %s: %+v", f.ReadAt, began, remembered, f)
	case f.ReadAt.After(time.Now()):
		t.Errorf("got a fact of the future: %+v", f)
	case !f.Known():
	case f.Value.Now.Before(f.ReadAt):
		t.Errorf("got a fact of %s whose question was sent before, at %s", f.ReadAt, f.Value.Now)
	case f.Value.Entries[0].User.ID != user || f.Value.Entries[0].Start.Before(until):
		t.Errorf("got %+v, want an answer for %s until %s", f, user, until)
	}
}
