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
	policies  map[access.UserID][]access.OnCall
	schedules map[string][]access.UserID // by "id:" and ID; one that could not be read is missing

	policiesUnread bool
	errs           []error
	notBefore      time.Time // PagerDuty's head-room is too small for polls until then
}

// ask puts all links into one query, and one more for each schedule: one that no policy uses is not among the
// on-call entries. A question that fails does not stop the others.
func ask(ctx context.Context, directory Directory, links []access.Link) *duties {
	users, schedules := map[access.UserID]bool{}, map[string]bool{}
	for _, l := range links {
		if len(l.Named.Policies) > 0 {
			users[l.Named.User] = true
		}
		for _, ref := range l.Named.Schedules {
			schedules[ref] = true
		}
	}
	d := &duties{policies: map[access.UserID][]access.OnCall{}, schedules: map[string][]access.UserID{}}
	if len(users) > 0 {
		d.askPolicies(ctx, directory, slices.Sorted(maps.Keys(users)))
	}
	for _, ref := range slices.Sorted(maps.Keys(schedules)) {
		d.askSchedule(ctx, directory, ref)
	}
	return d
}

func (d *duties) askPolicies(ctx context.Context, directory Directory, users []access.UserID) {
	entries, now, err := directory.OnCalls(ctx, access.OnCallQuery{Users: users})
	if err != nil {
		d.policiesUnread = true
		d.failed(err)
		return
	}
	for _, e := range entries {
		if e.At(now) {
			d.policies[e.User.ID] = append(d.policies[e.User.ID], e)
		}
	}
}

func (d *duties) askSchedule(ctx context.Context, directory Directory, ref string) {
	schedule, now, err := directory.Schedule(ctx, ref, time.Time{})
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
	d.schedules[ref] = users
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
	for _, e := range d.policies[l.Named.User] {
		if slices.Contains(l.Named.Policies, e.Policy) {
			posts = append(posts, fmt.Sprintf("%s/%d", e.Policy, e.Level))
		}
	}
	for _, ref := range l.Named.Schedules {
		if slices.Contains(d.schedules[ref], l.Named.User) {
			posts = append(posts, ref)
		}
	}
	return posts
}

// incompleteFor reports whether something that the request names could not be read.
func (d *duties) incompleteFor(l access.Link) bool {
	return d.policiesUnread && len(l.Named.Policies) > 0 || slices.ContainsFunc(l.Named.Schedules, func(ref string) bool {
		_, read := d.schedules[ref]
		return !read
	})
}
