package access

import "time"

// Fact is something read from one of the two systems: three-valued, as spec §2 wants it. A Fact with Err
// set is "could not tell", whatever Value holds.
type Fact[T any] struct {
	Value  T
	Err    error
	ReadAt time.Time // when the question was asked, by our clock: the fact is at least this fresh
}

// Known reports whether the fact could be told.
func (f Fact[T]) Known() bool { return f.Err == nil && !f.ReadAt.IsZero() }
