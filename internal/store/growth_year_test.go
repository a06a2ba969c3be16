//go:build torture

package store

import "testing"

// growth says how many days of traffic there are, and how many of them are kept.
func growth() (days, kept int) {
	if testing.Short() {
		return 100, 30
	}
	return 365, 90
}
