package pagerduty

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	blowsAfter = 6              // calls of one route in a row without an answer: two questions with their repeats
	probeEvery = time.Second    // one call of a blown route goes through
	probeHangs = 2 * probeEvery // then another may go: the first may hang because of what it asks for
)

// errBlown is why a call was not sent.
var errBlown = errors.New("is not asked again at once: PagerDuty does not answer it")

// fuses keep pdhook from asking a PagerDuty that does not answer again and again: that would use up the rate
// limit by the time it comes back, and hold up those who ask. Each route has a fuse of its own (their number is
// that of the API's operations), because one operation can be out of order while the others work.
type fuses struct {
	now func() time.Time

	mu sync.Mutex
	of map[string]*fuse
}

type fuse struct {
	failed int       // calls in a row
	next   time.Time // when the next probe may go
}

func newFuses(now func() time.Time) *fuses {
	return &fuses{now: now, of: map[string]*fuse{}}
}

func (f *fuse) blown() bool { return f.failed >= blowsAfter }

// pass lets a call go, as the probe where the fuse is blown, or refuses it.
func (f *fuses) pass(route string) (probe bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.of[route]
	switch now := f.now(); {
	case it == nil:
		it = &fuse{}
		f.of[route] = it
		return false, nil
	case !it.blown():
		return false, nil
	case it.next.After(now):
		return false, &access.Failure{Class: access.Retry, Err: fmt.Errorf("%s %w", route, errBlown)}
	default:
		it.next = now.Add(probeHangs)
		return true, nil
	}
}

// answered ends a call that PagerDuty answered, and reports whether it had not done so for a while. Then the other
// routes may be asked again, too: most outages end for all of them. One more failure blows their fuses again.
func (f *fuses) answered(route string) (mended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.of[route]
	mended = it.blown()
	*it = fuse{}
	for _, other := range f.of {
		if mended && other.blown() {
			*other = fuse{failed: blowsAfter - 1}
		}
	}
	return mended
}

// failed ends a call without an answer, and reports whether it is the one that blew the fuse.
func (f *fuses) failed(route string, probe bool) (blew bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	it := f.of[route]
	it.failed++
	blew = it.failed == blowsAfter
	f.end(it, probe || blew)
	return blew
}

// givenUp ends a call of which nothing is known, because the caller gave up.
func (f *fuses) givenUp(route string, probe bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end(f.of[route], probe)
}

func (f *fuses) end(it *fuse, wait bool) {
	if wait {
		it.next = f.now().Add(probeEvery)
	}
}
