package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A kind is a type that a key can have: how it is written in the file and in a variable. Nothing is
// converted that is not written so; in particular no number is a duration and no text a boolean.
type kind struct {
	want     string // what an error says is expected
	hidden   bool   // never shown in an error: any text fits, so that it may be a secret at the wrong key
	fromTOML func(any) (any, bool)
	fromText func(string) (any, bool)
}

// kinds holds the kind of each Go type that a field of Config can have.
var kinds = map[reflect.Type]kind{
	reflect.TypeFor[string](): {
		want:     "a string",
		hidden:   true,
		fromTOML: exactly[string],
		fromText: func(s string) (any, bool) { return s, true },
	},
	reflect.TypeFor[bool](): {
		want:     "true or false",
		fromTOML: exactly[bool],
		fromText: func(s string) (any, bool) { return s == "true", s == "true" || s == "false" },
	},
	reflect.TypeFor[int](): {
		want:     "a whole number",
		fromTOML: func(v any) (any, bool) { n, ok := v.(int64); return int(n), ok && int64(int(n)) == n },
		fromText: func(s string) (any, bool) { n, err := strconv.Atoi(s); return n, err == nil },
	},
	reflect.TypeFor[time.Duration](): {
		want:     `a duration with its unit, such as "90s" or "12h"`,
		fromTOML: ofString(parseDuration),
		fromText: parseDuration,
	},
	reflect.TypeFor[slog.Level](): {
		want:     `"DEBUG", "INFO", "WARN" or "ERROR"`,
		fromTOML: ofString(parseLevel),
		fromText: parseLevel,
	},
	reflect.TypeFor[[]string](): {
		want:     "a list of strings",
		hidden:   true,
		fromTOML: list[string],
		fromText: splitList[string],
	},
	reflect.TypeFor[SecretSource](): {
		want:     "a string",
		hidden:   true,
		fromTOML: ofString(parseSecret),
		fromText: parseSecret,
	},
	reflect.TypeFor[[]SecretSource](): {
		want:     "a list of strings",
		hidden:   true,
		fromTOML: list[SecretSource],
		fromText: splitList[SecretSource],
	},
}

// mismatch says that a value does not fit.
func (k kind) mismatch(got any, want string) error {
	if k.hidden {
		return fmt.Errorf("want %s", want)
	}
	return fmt.Errorf("got %s, want %s", written(got), want)
}

// written shows a value much as it stands in the file or the variable.
func written(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case map[string]any:
		return "a table"
	case []any:
		return "a list"
	default:
		return fmt.Sprint(v)
	}
}

func exactly[T any](v any) (any, bool) {
	t, ok := v.(T)
	return t, ok
}

// ofString makes a reader of TOML values from one of texts.
func ofString(parse func(string) (any, bool)) func(any) (any, bool) {
	return func(v any) (any, bool) {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		return parse(s)
	}
}

func parseDuration(s string) (any, bool) {
	d, err := time.ParseDuration(s)
	return d, err == nil
}

func parseLevel(s string) (any, bool) {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	i := slices.IndexFunc(levels, func(l slog.Level) bool { return strings.EqualFold(l.String(), s) })
	if i < 0 {
		return nil, false
	}
	return levels[i], true
}

func parseSecret(s string) (any, bool) { return SecretSource(strings.TrimSpace(s)), true }

func list[T ~string](v any) (any, bool) {
	values, ok := v.([]any)
	entries := make([]T, len(values))
	for i, value := range values {
		s, isString := value.(string)
		ok = ok && isString
		entries[i] = T(strings.TrimSpace(s))
	}
	return entries, ok
}

// splitList reads entries that commas separate.
func splitList[T ~string](s string) (any, bool) {
	texts := strings.Split(s, ",")
	entries := make([]T, len(texts))
	for i, text := range texts {
		entries[i] = T(strings.TrimSpace(text))
	}
	return entries, true
}
