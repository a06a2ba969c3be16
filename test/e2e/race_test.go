//go:build race

package e2e

// buildFlags make the race detector look at the real binary, too.
var buildFlags = []string{"-race"}
