package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// How many levels and people a sentence names.
const (
	levelsNamed = 3
	peopleNamed = 2
)

// Unexplained gives the policies of named services for which the requester does not qualify: who is on call for
// them instead is worth telling.
func Unexplained(rules Rules, f Facts) []access.PolicyID {
	var ids []access.PolicyID
	for _, s := range f.Services {
		if check, _ := checkService(rules, f, s); check.Status == access.Failed && s.Fact.Known() {
			ids = append(ids, s.Fact.Value.Policy)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// instead tells who is on call for a policy: ": level 1 is kim@example.com until …, level 2 is lee@example.com".
func instead(f Facts, policy access.PolicyID) string {
	duty := f.OnDuty[policy]
	if !duty.Known() {
		return ""
	}
	entries := slices.DeleteFunc(slices.Clone(duty.Value.Entries), func(e access.OnCall) bool {
		return e.Policy != policy || !e.At(duty.Value.Now)
	})
	slices.SortStableFunc(entries, func(a, b access.OnCall) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.User.Email, b.User.Email))
	})
	var levels []string
	for len(entries) > 0 && len(levels) < levelsNamed {
		n := slices.IndexFunc(entries, func(e access.OnCall) bool { return e.Level != entries[0].Level })
		if n < 0 {
			n = len(entries)
		}
		levels = append(levels, fmt.Sprintf("level %d is %s", entries[0].Level, people(entries[:n])))
		entries = entries[n:]
	}
	if len(levels) == 0 {
		return ": nobody is"
	}
	return ": " + strings.Join(levels, ", ")
}

// people names those of one level, each once, with the end of their duty where it is known.
func people(entries []access.OnCall) string {
	var names []string
	seen := map[access.UserID]bool{}
	for _, e := range entries {
		if seen[e.User.ID] {
			continue
		}
		seen[e.User.ID] = true
		name := cmp.Or(e.User.Email, e.User.Name, string(e.User.ID))
		if !e.End.IsZero() {
			name += " until " + Time(e.End)
		}
		names = append(names, access.OneLine(name, fieldLimit))
	}
	if more := len(names) - peopleNamed; more > 0 {
		names = append(names[:peopleNamed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, " and ")
}
