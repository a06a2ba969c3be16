package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vulcand/predicate"

	"github.com/pdhook/pdhook/internal/access"
)

// language is what Teleport's Access Monitoring Rules may say of an access request
// (https://goteleport.com/docs/reference/access-controls/access-monitoring-rules/).
var language = predicate.Def{
	GetIdentifier: variable,
	GetProperty:   binary(dictionary, text, lookup),
	Operators:     predicate.Operators{EQ: equal, NEQ: unequal, AND: and, OR: or, NOT: unary(boolean, not)},
	Functions: map[string]any{
		"set":   newSet,
		"dict":  newDict,
		"pair":  newPair,
		"union": union,

		"ifelse": ifelse,
		"choose": choose,
		"option": newOption,

		"strings.upper":      upper,
		"strings.lower":      lower,
		"strings.replaceall": replaceAll,
		"strings.split":      split,
		"email.local":        emailLocal,
		"regexp.replace":     regexpReplace,

		"contains_any": binary(textSet, textSet, containsAny),
		"contains_all": binary(textSet, textSet, containsAll),
		"is_empty":     unary(textSet, isEmpty),

		"time.RFC3339": unary(text, rfc3339),
		"before":       binary(moment, moment, before),
		"after":        binary(moment, moment, after),
		"between":      between,
	},
	Methods: map[string]any{
		"contains":     binary(textSet, text, contains),
		"contains_any": binary(textSet, textSet, containsAny),
		"contains_all": binary(textSet, textSet, containsAll),
		"isempty":      unary(textSet, isEmpty),
		"is_empty":     unary(textSet, isEmpty),
		"add":          add,
		"remove":       remove,
		"put":          put,
		"add_values":   addValues,
		"before":       binary(moment, moment, before),
		"after":        binary(moment, moment, after),
		"between":      between,
	},
}

// variables are what a condition can ask of the request.
var variables = map[string]any{
	"true":  constant(true),
	"false": constant(false),

	"access_request.spec.roles":               requested(func(r access.Request) []string { return r.Roles }),
	"access_request.spec.suggested_reviewers": requested(func(r access.Request) []string { return r.SuggestedReviewers }),
	"access_request.spec.system_annotations":  expr[dict](annotations),

	"access_request.spec.user":           expr[string](func(e *evaluation) (string, error) { return e.req.User, nil }),
	"access_request.spec.request_reason": expr[string](func(e *evaluation) (string, error) { return e.req.Reason, nil }),
	"access_request.spec.creation_time":  expr[time.Time](func(e *evaluation) (time.Time, error) { return e.req.Created, nil }),
	"access_request.spec.expiry":         expr[time.Time](func(e *evaluation) (time.Time, error) { return e.req.Expires, nil }),
}

func variable(selector []string) (any, error) {
	name := strings.Join(selector, ".")
	if v, known := variables[name]; known {
		return v, nil
	}
	return nil, fmt.Errorf("pdhook does not know %s", name)
}

// requested makes a variable of a list.
func requested(list func(access.Request) []string) expr[set] {
	return func(e *evaluation) (set, error) { return setOf(e, slices.Values(list(e.req))) }
}

func annotations(e *evaluation) (dict, error) {
	d := dict{}
	for _, name := range slices.Sorted(maps.Keys(e.req.Annotations)) {
		s, err := setOf(e, slices.Values(e.req.Annotations[name]))
		if err != nil {
			return nil, err
		}
		d[name] = s
	}
	return d, nil
}
