package config

// unsupported names the keys of which this version knows only the default.
var unsupported = []string{
	"policy.lock_on_resolve",
	"policy.lock_on_shift_end",
	"policy.lock_grace",
}
