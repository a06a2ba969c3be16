package access

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors that pdhook's rooms agree on. Adapters wrap them; what a library said stays in the text.
var (
	// ErrNotFound: the thing does not exist in the system that was asked, for certain.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a compare-and-swap found other values than expected; nothing was written.
	ErrConflict = errors.New("changed by somebody else meanwhile")
	// ErrDenied: the system refused for want of a permission. An admin has to mend it.
	ErrDenied = errors.New("access denied")
	// ErrDuplicateKey: an open incident with this incident_key exists on the service already.
	ErrDuplicateKey = errors.New("open incident with this incident_key exists already")
	// ErrLimit: PagerDuty allows no more objects of this kind there (code 2019).
	ErrLimit = errors.New("product limit reached")
)

// AmbiguousError says that a name fits more than one object: nobody is approved by it (spec §3).
type AmbiguousError struct {
	Kind string // "service", "user"
	Name string
	IDs  []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%s %q is ambiguous: %s", e.Kind, e.Name, strings.Join(e.IDs, ", "))
}

// Class says what may help after a failure.
type Class int

// The classes of a Failure.
const (
	Retry     Class = iota // may work when tried again after a back-off
	Wait                   // will not work before NotBefore
	Permanent              // will not work until somebody mends something; tried again slowly
)

// Failure is an error of a remote system with what may be done about it. Errors that are no Failure count
// as Retry.
type Failure struct {
	Class     Class
	NotBefore time.Time // for Wait: the earliest moment at which another try can work
	Unclear   bool      // a write that may have been performed: look before writing again
	Err       error
}

func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// IsPermanent reports whether only somebody's action can make err go away.
func IsPermanent(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Class == Permanent
}

// IsUnclear reports whether err leaves open if a write was performed.
func IsUnclear(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Unclear
}

// NotBefore gives the earliest moment at which another try can work; zero when err does not say.
func NotBefore(err error) time.Time {
	if f, ok := errors.AsType[*Failure](err); ok && f.Class == Wait {
		return f.NotBefore
	}
	return time.Time{}
}
