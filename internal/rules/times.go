package rules

import (
	"errors"
	"time"
)

func rfc3339(_ *evaluation, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, errors.New("time.RFC3339: no time such as 2006-01-02T15:04:05Z")
	}
	return t, nil
}

func before(_ *evaluation, a, b time.Time) (bool, error) { return a.Before(b), nil }

func after(_ *evaluation, a, b time.Time) (bool, error) { return a.After(b), nil }

// between is true when the first time is after the second and before the third.
func between(a, b, c any) (any, error) {
	times, err := all([]any{a, b, c}, moment)
	if err != nil {
		return nil, err
	}
	return expr[bool](func(e *evaluation) (bool, error) {
		t, err := evaluated(e, times)
		if err != nil {
			return false, err
		}
		return t[0].After(t[1]) && t[0].Before(t[2]), nil
	}), nil
}
