package rules

import (
	"errors"
	"net/mail"
	"strings"
)

// transform makes a string from another; false leaves it out of the set that is made.
type transform func(e *evaluation, s string) (string, bool, error)

// each transforms a string or every member of a set. A single string that is left out becomes "".
func each(input any, f transform) (any, error) {
	if _, err := text(input); err == nil {
		return unary(text, func(e *evaluation, s string) (string, error) {
			out, _, err := f(e, s)
			return out, err
		})(input)
	}
	return unary(textSet, func(e *evaluation, s set) (set, error) {
		out := set{}
		for member := range s {
			t, keep, err := f(e, member)
			if err != nil {
				return nil, err
			}
			if keep {
				out[t] = struct{}{}
			}
		}
		return out, nil
	})(input)
}

func upper(input any) (any, error) { return each(input, cased(strings.ToUpper)) }

func lower(input any) (any, error) { return each(input, cased(strings.ToLower)) }

func cased(change func(string) string) transform {
	return func(e *evaluation, s string) (string, bool, error) {
		return change(s), true, e.spend(len(s) + 1)
	}
}

// replaceAll puts a string in the place of another, wherever it occurs.
func replaceAll(input, match, replacement any) (any, error) {
	parts, err := all([]any{match, replacement}, text)
	if err != nil {
		return nil, err
	}
	return each(input, func(e *evaluation, s string) (string, bool, error) {
		v, err := evaluated(e, parts)
		if err != nil {
			return "", false, err
		}
		if err := e.spend(len(s) + 1 + strings.Count(s, v[0])*len(v[1])); err != nil {
			return "", false, err
		}
		return strings.ReplaceAll(s, v[0], v[1]), true, nil
	})
}

// split gives the parts between separators, of a string or of every member of a set, as one set.
func split(input, separator any) (any, error) {
	if _, err := text(input); err == nil {
		if input, err = newSet(input); err != nil {
			return nil, err
		}
	}
	return binary(textSet, text, func(e *evaluation, s set, separator string) (set, error) {
		return setOf(e, func(yield func(string) bool) {
			for member := range s {
				for part := range strings.SplitSeq(member, separator) {
					if !yield(part) {
						return
					}
				}
			}
		})
	})(input, separator)
}

// emailLocal gives the part of an e-mail address before the @.
func emailLocal(input any) (any, error) {
	return each(input, func(e *evaluation, s string) (string, bool, error) {
		if err := e.spend(len(s) + 1); err != nil {
			return "", false, err
		}
		address, err := mail.ParseAddress(s)
		if err != nil {
			return "", false, errors.New("email.local: no e-mail address")
		}
		return address.Address[:strings.LastIndexByte(address.Address, '@')], true, nil
	})
}
