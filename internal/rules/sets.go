package rules

import (
	"iter"
	"maps"
	"slices"
)

// setOf builds a set.
func setOf(e *evaluation, texts iter.Seq[string]) (set, error) {
	s := set{}
	for t := range texts {
		if err := e.spend(len(t) + 1); err != nil {
			return nil, err
		}
		s[t] = struct{}{}
	}
	return s, nil
}

// newSet gives a set of strings.
func newSet(values ...any) (any, error) {
	texts, err := all(values, text)
	if err != nil {
		return nil, err
	}
	return expr[set](func(e *evaluation) (set, error) {
		values, err := evaluated(e, texts)
		if err != nil {
			return nil, err
		}
		return setOf(e, slices.Values(values))
	}), nil
}

// union gives what is in any of the sets.
func union(values ...any) (any, error) {
	sets, err := all(values, textSet)
	if err != nil {
		return nil, err
	}
	return expr[set](func(e *evaluation) (set, error) {
		values, err := evaluated(e, sets)
		if err != nil {
			return nil, err
		}
		return setOf(e, func(yield func(string) bool) {
			for _, s := range values {
				for t := range s {
					if !yield(t) {
						return
					}
				}
			}
		})
	}), nil
}

func contains(_ *evaluation, s set, t string) (bool, error) {
	_, ok := s[t]
	return ok, nil
}

func containsAny(_ *evaluation, s, some set) (bool, error) {
	for t := range some {
		if _, ok := s[t]; ok {
			return true, nil
		}
	}
	return false, nil
}

// containsAll is false when nothing is asked for, as Teleport has it.
func containsAll(_ *evaluation, s, wanted set) (bool, error) {
	for t := range wanted {
		if _, ok := s[t]; !ok {
			return false, nil
		}
	}
	return len(wanted) > 0, nil
}

func isEmpty(_ *evaluation, s set) (bool, error) { return len(s) == 0, nil }

// add gives the set with some more strings in it.
func add(s any, values ...any) (any, error) {
	more, err := newSet(values...)
	if err != nil {
		return nil, err
	}
	return union(s, more)
}

// remove gives a set without some strings, or a dict without some keys.
func remove(from any, values ...any) (any, error) {
	texts, err := all(values, text)
	if err != nil {
		return nil, err
	}
	if d, err := dictionary(from); err == nil {
		return without(d, texts), nil
	}
	s, err := textSet(from)
	if err != nil {
		return nil, err
	}
	return without(s, texts), nil
}

func without[M ~map[string]V, V any](from expr[M], texts []expr[string]) expr[M] {
	return func(e *evaluation) (M, error) {
		m, err := from(e)
		if err != nil {
			return nil, err
		}
		values, err := evaluated(e, texts)
		if err != nil {
			return nil, err
		}
		if err := e.spend(len(m) + len(values)); err != nil {
			return nil, err
		}
		m = maps.Clone(m)
		for _, v := range values {
			delete(m, v)
		}
		return m, nil
	}
}
