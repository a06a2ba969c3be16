//go:build !torture

package store

// growth says how many days of traffic there are, and how many of them are kept.
func growth() (days, kept int) { return 20, 5 }
