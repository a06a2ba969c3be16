package rules

import (
	"errors"
	"maps"
	"time"
)

func not(_ *evaluation, a bool) (bool, error) { return !a, nil }

// and does not evaluate its second part when the first one is false.
func and(a, b any) (any, error) { return shortCircuit(a, b, false) }

// or does not evaluate its second part when the first one is true.
func or(a, b any) (any, error) { return shortCircuit(a, b, true) }

func shortCircuit(a, b any, decisive bool) (any, error) {
	parts, err := all([]any{a, b}, boolean)
	if err != nil {
		return nil, err
	}
	return expr[bool](func(e *evaluation) (bool, error) {
		if first, err := parts[0](e); err != nil || first == decisive {
			return first && err == nil, err
		}
		return parts[1](e)
	}), nil
}

// equal compares two values of one kind.
func equal(a, b any) (any, error) {
	if _, err := text(a); err == nil {
		return binary(text, text, func(_ *evaluation, a, b string) (bool, error) { return a == b, nil })(a, b)
	}
	switch a.(type) {
	case expr[set]:
		return binary(textSet, textSet, func(_ *evaluation, a, b set) (bool, error) { return maps.Equal(a, b), nil })(a, b)
	case expr[dict]:
		return binary(dictionary, dictionary, func(_ *evaluation, a, b dict) (bool, error) {
			return maps.EqualFunc(a, b, maps.Equal[set]), nil
		})(a, b)
	case expr[time.Time]:
		return binary(moment, moment, func(_ *evaluation, a, b time.Time) (bool, error) { return a.Equal(b), nil })(a, b)
	}
	return binary(boolean, boolean, func(_ *evaluation, a, b bool) (bool, error) { return a == b, nil })(a, b)
}

func unequal(a, b any) (any, error) {
	same, err := equal(a, b)
	if err != nil {
		return nil, err
	}
	return unary(boolean, not)(same)
}

// newOption makes an alternative of choose.
func newOption(condition, value any) (any, error) {
	c, err := boolean(condition)
	return option{c, value}, err
}

// ifelse gives the second argument when the first one is true, else the third.
func ifelse(condition, then, otherwise any) (any, error) {
	c, err := boolean(condition)
	if err != nil {
		return nil, err
	}
	return firstOf([]option{{c, then}, {constant(true), otherwise}})
}

// choose gives the value of the first option whose condition is true.
func choose(options ...any) (any, error) {
	all, err := all(options, optional)
	if err != nil {
		return nil, err
	}
	return firstOf(all)
}

// firstOf gives an expression of the one kind that all the values have.
func firstOf(options []option) (any, error) {
	values := make([]any, len(options))
	for i, o := range options {
		values[i] = o.value
	}
	if texts, err := all(values, text); err == nil {
		return pick(options, texts), nil
	}
	if sets, err := all(values, textSet); err == nil {
		return pick(options, sets), nil
	}
	if bools, err := all(values, boolean); err == nil {
		return pick(options, bools), nil
	}
	if dicts, err := all(values, dictionary); err == nil {
		return pick(options, dicts), nil
	}
	if moments, err := all(values, moment); err == nil {
		return pick(options, moments), nil
	}
	return nil, errors.New("the alternatives are of different kinds")
}

func pick[T any](options []option, values []expr[T]) expr[T] {
	return func(e *evaluation) (none T, err error) {
		for i, o := range options {
			switch holds, err := o.condition(e); {
			case err != nil:
				return none, err
			case holds:
				return values[i](e)
			}
		}
		return none, errors.New("no option of choose holds")
	}
}
