package teleport

import (
	"crypto/sha256"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func (id identity) expired(now time.Time) bool { return !now.Before(id.expires) }

func (id identity) renewalOverdue() time.Time { return access.RenewalOverdue(id.issued, id.expires) }

// nextTurn is when something is to be said of the identity that was not true before.
func (id identity) nextTurn(now time.Time) time.Time {
	if at := id.renewalOverdue(); now.Before(at) {
		return at
	}
	return id.expires
}

// renewal follows the credential files. It compares their content, because a watch on a file misses the
// symlink swap by which Kubernetes renews a secret.
type renewal struct {
	read      func() (identity, error)
	settle    time.Duration // how long new content must stay the same: the writer may not be done
	settleOld time.Duration // the same for content that expires before the current one

	candidate [sha256.Size]byte
	since     time.Time // when candidate was first seen; zero: nothing is settling
	badSince  time.Time // since when the files cannot be read; zero: they can
}

// look reads the files and gives the identity to use from now on: current until something else has been
// there for long enough. An error says that the files have been unreadable for a while; current holds.
func (r *renewal) look(now time.Time, current identity) (identity, error) {
	id, err := r.read()
	if err != nil {
		if r.badSince.IsZero() {
			r.badSince = now
		}
		if now.Sub(r.badSince) < r.settle {
			err = nil
		}
		return current, err
	}
	r.badSince = time.Time{}
	if id.sum == current.sum {
		r.since = time.Time{}
		return current, nil
	}
	if r.since.IsZero() || id.sum != r.candidate {
		r.candidate, r.since = id.sum, now
		return current, nil
	}
	settle := r.settle
	if id.expires.Before(current.expires) && !current.expired(now) {
		settle = r.settleOld
	}
	if now.Sub(r.since) < settle {
		return current, nil
	}
	r.since = time.Time{}
	return id, nil
}

// unsettled reports whether the files should be looked at again soon.
func (r *renewal) unsettled() bool { return !r.since.IsZero() || !r.badSince.IsZero() }
