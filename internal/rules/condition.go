package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vulcand/predicate"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	// maxCondition is the longest condition in bytes: some hundred names of roles and people.
	maxCondition = 16 << 10
	// budget bounds what one evaluation may build and search, in bytes and steps of regular expressions.
	// Searching Teleport's longest reason (4096 bytes) with a usual expression takes a tenth of it.
	budget = 2 << 20
)

var errCostly = errors.New("the condition takes too much to evaluate")

// condition says for which requests a rule holds.
type condition expr[bool]

// expr is a part of a condition: it gives a T for a request.
type expr[T any] func(*evaluation) (T, error)

// evaluation is one use of a condition.
type evaluation struct {
	req  access.Request
	left int // of the budget
}

// spend is called before something of size n is built or searched.
func (e *evaluation) spend(n int) error {
	if n > e.left {
		return errCostly
	}
	e.left -= n
	return nil
}

// compile understands a condition. What can be told without a request is an error here: a name or function
// that is not known, a value of the wrong kind.
func compile(text string) (c condition, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("the condition cannot be understood: %v", cause)
		}
	}()
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("the condition is empty")
	case len(text) > maxCondition:
		return nil, fmt.Errorf("the condition has %d bytes, pdhook reads %d", len(text), maxCondition)
	}
	parser, err := predicate.NewParser(language)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("the condition cannot be understood: %w", err)
	}
	holds, err := boolean(parsed)
	if err != nil {
		return nil, fmt.Errorf("the condition gives no answer: %w", err)
	}
	return condition(holds), nil
}

// holds applies the condition to a request.
func (c condition) holds(req access.Request) (ok bool, err error) {
	defer func() {
		if recover() != nil { // the cause may hold something of the request
			ok, err = false, errors.New("the condition crashed")
		}
	}()
	return c(&evaluation{req: req, left: budget})
}
