package rules

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// maxPattern is the longest regular expression in bytes. Repetitions can make it some thousand times as long,
// which counts where it is used.
const maxPattern = 1 << 10

// pattern is a regular expression with the steps that it takes at most for each byte it searches.
type pattern struct {
	*regexp.Regexp
	steps int
}

func newPattern(text string) (pattern, error) {
	if len(text) > maxPattern {
		return pattern{}, fmt.Errorf("regexp.replace: an expression of %d bytes, pdhook reads %d", len(text), maxPattern)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return pattern{}, notRegexp(err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return pattern{}, notRegexp(err)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return pattern{}, notRegexp(err)
	}
	return pattern{compiled, len(program.Inst)}, nil
}

// notRegexp leaves out the expression itself, which may have come from a request.
func notRegexp(err error) error {
	var why *syntax.Error
	if errors.As(err, &why) {
		return fmt.Errorf("regexp.replace: no regular expression: %s", why.Code)
	}
	return errors.New("regexp.replace: no regular expression")
}

// patternOf understands an expression once where it is written out in the condition.
func patternOf(v any) (expr[pattern], error) {
	if s, ok := v.(string); ok {
		p, err := newPattern(s)
		return constant(p), err
	}
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	return func(e *evaluation) (pattern, error) {
		t, err := s(e)
		if err != nil {
			return pattern{}, err
		}
		p, err := newPattern(t)
		if err != nil {
			return pattern{}, err
		}
		return p, e.spend(p.steps)
	}, nil
}

// regexpReplace puts a template, in which $1 stands for the first group, in the place of each match. What
// does not match at all is left out.
func regexpReplace(input, match, replacement any) (any, error) {
	matcher, err := patternOf(match)
	if err != nil {
		return nil, err
	}
	template, err := text(replacement)
	if err != nil {
		return nil, err
	}
	return each(input, func(e *evaluation, s string) (string, bool, error) {
		p, err := matcher(e)
		if err != nil {
			return "", false, err
		}
		t, err := template(e)
		if err != nil {
			return "", false, err
		}
		return p.replace(e, s, t)
	})
}

func (p pattern) replace(e *evaluation, s, template string) (string, bool, error) {
	if err := e.spend((len(s) + 1) * p.steps); err != nil {
		return "", false, err
	}
	matches := p.FindAllStringSubmatchIndex(s, -1)
	if len(matches) == 0 {
		return "", false, nil
	}
	var out []byte
	end := 0
	for _, m := range matches {
		if err := e.spend(len(template) + strings.Count(template, "$")*(m[1]-m[0])); err != nil {
			return "", false, err
		}
		out = append(out, s[end:m[0]]...)
		out = p.ExpandString(out, template, s, m)
		end = m[1]
	}
	out = append(out, s[end:]...)
	return string(out), true, nil
}
