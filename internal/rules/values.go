package rules

import (
	"fmt"
	"time"
)

// Values of the language. The functions of conditions never change one: each gives a new one.
type (
	set  map[string]struct{}
	dict map[string]set
)

// pair and option only occur as arguments of dict and choose.
type (
	pair struct {
		key   expr[string]
		value expr[set]
	}
	option struct {
		condition expr[bool]
		value     any
	}
)

func constant[T any](v T) expr[T] {
	return func(*evaluation) (T, error) { return v, nil }
}

// as gives a parsed value as one of a kind.
type as[T any] func(v any) (expr[T], error)

func boolean(v any) (expr[bool], error)     { return of[bool](v, "true or false") }
func textSet(v any) (expr[set], error)      { return of[set](v, "a set") }
func dictionary(v any) (expr[dict], error)  { return of[dict](v, "a dict") }
func moment(v any) (expr[time.Time], error) { return of[time.Time](v, "a time") }
func paired(v any) (pair, error)            { return only[pair](v, "a pair") }
func optional(v any) (option, error)        { return only[option](v, "an option") }

func text(v any) (expr[string], error) {
	if s, ok := v.(string); ok {
		return constant(s), nil
	}
	return of[string](v, "a string")
}

func of[T any](v any, wanted string) (expr[T], error) { return only[expr[T]](v, wanted) }

func only[T any](v any, wanted string) (T, error) {
	t, ok := v.(T)
	if !ok {
		return t, fmt.Errorf("%s where %s is expected", kindOf(v), wanted)
	}
	return t, nil
}

func kindOf(v any) string {
	switch v.(type) {
	case string, expr[string]:
		return "a string"
	case expr[set]:
		return "a set"
	case expr[dict]:
		return "a dict"
	case expr[bool]:
		return "true or false"
	case expr[time.Time]:
		return "a time"
	case pair:
		return "a pair"
	case option:
		return "an option"
	}
	return "a number"
}

// all gives the arguments of a function that takes any number of a kind.
func all[T any](args []any, as func(any) (T, error)) ([]T, error) {
	out := make([]T, len(args))
	for i, arg := range args {
		var err error
		if out[i], err = as(arg); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// evaluated gives the values of expressions.
func evaluated[T any](e *evaluation, exprs []expr[T]) ([]T, error) {
	out := make([]T, len(exprs))
	for i, x := range exprs {
		var err error
		if out[i], err = x(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unary makes a function of the language from one of Go.
func unary[A, T any](asA as[A], f func(*evaluation, A) (T, error)) func(a any) (any, error) {
	return func(a any) (any, error) {
		x, err := asA(a)
		if err != nil {
			return nil, err
		}
		return expr[T](func(e *evaluation) (t T, err error) {
			if err := e.spend(1); err != nil {
				return t, err
			}
			v, err := x(e)
			if err != nil {
				return t, err
			}
			return f(e, v)
		}), nil
	}
}

// binary makes a function of the language from one of Go.
func binary[A, B, T any](asA as[A], asB as[B], f func(*evaluation, A, B) (T, error)) func(a, b any) (any, error) {
	return func(a, b any) (any, error) {
		y, err := asB(b)
		if err != nil {
			return nil, err
		}
		return unary(asA, func(e *evaluation, v A) (t T, err error) {
			w, err := y(e)
			if err != nil {
				return t, err
			}
			return f(e, v, w)
		})(a)
	}
}
