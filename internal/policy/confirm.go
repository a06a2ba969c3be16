package policy

import (
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Confirmed reports whether answers about duty that were asked for at since or later show that the user who was
// found earlier is still the requester's, or that it does not matter who is; and when the oldest of them was asked
// for. Who has on-call entries is shown with the e-mail address in them. Who has none is refused whoever it is, if
// nobody with that address is on duty for any of the services.
func Confirmed(rules Rules, f Facts, since time.Time) (at time.Time, confirmed bool) {
	if len(f.Schedules) > 0 { // they show no addresses
		return time.Time{}, false
	}
	who, user := rules.Email(f.Request), f.User.Value
	seen, at := false, f.OnCalls.ReadAt
	known := f.OnCalls.Known() && !at.Before(since)
	look := func(entries []access.OnCall) {
		for _, e := range entries {
			same := access.SameName(e.User.Email, who)
			known = known && same == (e.User.ID == user.ID)
			seen = seen || same
		}
	}
	look(f.OnCalls.Value.Entries)
	if seen || !known {
		return at, known
	}
	for _, s := range f.Services {
		duty := f.OnDuty[s.Fact.Value.Policy]
		known = known && s.Fact.Known() && duty.Known() && !duty.ReadAt.Before(since)
		at = oldest(at, duty.ReadAt)
		look(duty.Value.Entries)
	}
	return at, known && !seen && len(f.Services) > 0
}
