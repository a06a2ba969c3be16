package config

import "strings"

// Errors are all mistakes of a configuration, each one a line that names its source: the file and the key,
// or the variable. Their order is the same each time.
type Errors []error

// Error gives all mistakes, one a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the mistakes one by one.
func (e Errors) Unwrap() []error { return e }

// orNil gives e as an error, nil when there is no mistake.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
