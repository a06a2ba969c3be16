package oncall

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// duties is who is on call at the moment of one poll.
type duties struct {
	entries map[access.UserID][]access.OnCall
	unused  map[access.ScheduleID][]access.UserID // schedules that no policy uses; one that could not be read is missing

	unread    bool // the on-call entries
	errs      []error
	notBefore time.Time // PagerDuty's head-room is too small for polls until then
}

// ask puts all links into one query, and one more for each schedule that no policy uses: it is not among the
// on-call entries. A question that fails does not stop the others.
func ask(ctx context.Context, directory Directory, links []access.Link) *duties {
	users, unused := map[access.UserID]bool{}, map[access.ScheduleID]bool{}
	for _, l := range links {
		if byEntries(l) {
			users[l.Named.User] = true
		}
		for _, id := range l.Named.Unused {
			unused[id] = true
		}
	}
	d := &duties{entries: map[access.UserID][]access.OnCall{}, unused: map[access.ScheduleID][]access.UserID{}}
	if len(users) > 0 {
		d.askEntries(ctx, directory, slices.Sorted(maps.Keys(users)))
	}
	for _, id := range slices.Sorted(maps.Keys(unused)) {
		d.askSchedule(ctx, directory, id)
	}
	return d
}

// byEntries reports whether the requester may qualify by an on-call entry.
func byEntries(l access.Link) bool { return len(l.Named.Policies)+len(l.Named.Schedules) > 0 }

// waits reports whether the requester may come on call for what the request names.
func waits(l access.Link) bool {
	return l.State == access.Pending && !l.Reviewed && l.Named.User != "" && (byEntries(l) || len(l.Named.Unused) > 0)
}

func (d *duties) askEntries(ctx context.Context, directory Directory, users []access.UserID) {
	entries, now, err := directory.OnCalls(ctx, access.OnCallQuery{Users: users})
	if err != nil {
		d.unread = true
		d.failed(err)
		return
	}
	for _, e := range entries {
		if e.At(now) {
			d.entries[e.User.ID] = append(d.entries[e.User.ID], e)
		}
	}
}

func (d *duties) askSchedule(ctx context.Context, directory Directory, id access.ScheduleID) {
	schedule, now, err := directory.Schedule(ctx, "id:"+string(id), time.Time{})
	if err != nil {
		d.failed(err)
		return
	}
	var users []access.UserID
	for _, shift := range schedule.Shifts {
		if shift.At(now) {
			users = append(users, shift.User)
		}
	}
	d.unused[id] = users
}

func (d *duties) failed(err error) {
	d.errs = append(d.errs, err)
	if at := access.NotBefore(err); at.After(d.notBefore) {
		d.notBefore = at
	}
}

// posts gives where the requester stands of what the request names: policy and level, or schedule. Any new one
// may be the one that was missing.
func (d *duties) posts(l access.Link) []string {
	var posts []string
	for _, e := range d.entries[l.Named.User] {
		if slices.Contains(l.Named.Policies, e.Policy) {
			posts = append(posts, fmt.Sprintf("%s/%d", e.Policy, e.Level))
		}
		if slices.Contains(l.Named.Schedules, e.Schedule) {
			posts = append(posts, string(e.Schedule))
		}
	}
	for _, id := range l.Named.Unused {
		if slices.Contains(d.unused[id], l.Named.User) {
			posts = append(posts, string(id))
		}
	}
	return posts
}

// incompleteFor reports whether something that the request names could not be read.
func (d *duties) incompleteFor(l access.Link) bool {
	return d.unread && byEntries(l) || slices.ContainsFunc(l.Named.Unused, func(id access.ScheduleID) bool {
		_, read := d.unused[id]
		return !read
	})
}
