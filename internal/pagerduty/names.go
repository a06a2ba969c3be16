package pagerduty

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// validID reports whether id can be one of PagerDuty's: letters and digits with at least one letter, as
// PagerDuty also takes an incident's number where it wants the ID.
func validID[T ~string](id T) bool {
	letter := false
	for _, r := range id {
		isLetter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !isLetter && !('0' <= r && r <= '9') && r != '-' && r != '_' {
			return false
		}
		letter = letter || isLetter
	}
	return letter && len(id) <= 64
}

// only gives the one object called name, by ID; the same object may be listed twice when objects move
// between pages.
func only[T any](kind, name string, found map[string]T) (T, error) {
	var none T
	switch len(found) {
	case 0:
		return none, permanent(fmt.Errorf("%s %q: %w", kind, name, access.ErrNotFound))
	case 1:
		for _, it := range found {
			return it, nil
		}
	}
	return none, permanent(&access.AmbiguousError{Kind: kind, Name: name, IDs: sortedKeys(found)})
}

// accountOf gives the subdomain of the account from the address of one of its pages, which is
// https://SUBDOMAIN.pagerduty.com/… or https://SUBDOMAIN.eu.pagerduty.com/….
func accountOf(page string) string {
	u, err := url.Parse(page)
	if err != nil {
		return ""
	}
	host, ours := strings.CutSuffix(access.Fold(u.Hostname()), ".pagerduty.com")
	if !ours {
		return ""
	}
	return strings.TrimSuffix(host, ".eu")
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// unique gives the IDs in order and without repetition: PagerDuty wants each once.
func unique[T ~string](ids []T) []T {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func texts[T ~string](ids []T) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
