package webhook

import (
	"maps"
	"slices"
)

// Answers lists all that Config.Observe can be told.
func Answers() [][2]string {
	pairs := [][2]string{{"unknown", "ignored"}, {"unknown", "duplicate"}}
	for _, name := range slices.Sorted(maps.Keys(eventTypes)) {
		for _, outcome := range []string{"accepted", "duplicate", "malformed"} {
			pairs = append(pairs, [2]string{name, outcome})
		}
	}
	for _, r := range []*refusal{errNotFound, errMethod, errStopping, errNoSecret, errTooLarge, errBusy, errNotRead,
		errNoDigest, errNoMatch, errForged, errNotStored, errInternal, errNoEvent(errNoObject)} {
		pairs = append(pairs, [2]string{"", r.outcome})
	}
	return pairs
}
