// Package ratio measures budgets that are ratios of two figures of one run, so that they say the same on a
// fast and on a slow machine: both are measured in turns, their medians are compared, and a run whose
// denominator spreads too much says nothing.
package ratio

import (
	"fmt"
	"slices"
	"testing"
)

const (
	rounds   = 5    // of both, after one that only warms up
	spread   = 0.25 // of the denominator: a run above it is void
	attempts = 3    // a void run is made anew
)

// Measure gives one figure, such as events a second or a median latency in seconds. It is called once a
// round; half a second is a good length.
type Measure func() float64

// Result is what one run found.
type Result struct {
	Numerator, Denominator float64 // medians over the rounds
	Spread                 float64 // (greatest − least) ÷ median of the denominators
}

// Ratio is the median numerator ÷ the median denominator.
func (r Result) Ratio() float64 { return r.Numerator / r.Denominator }

// Void reports whether the denominator spreads by more than a quarter: the run neither passes nor fails.
func (r Result) Void() bool { return !(r.Spread <= spread) }

// Compare measures both in turns, five times after a round that does not count.
func Compare(numerator, denominator Measure) Result {
	var above, below []float64
	for round := range 1 + rounds {
		n, d := numerator(), denominator()
		if round > 0 {
			above, below = append(above, n), append(below, d)
		}
	}
	middle := median(below)
	return Result{
		Numerator: median(above), Denominator: middle,
		Spread: (slices.Max(below) - slices.Min(below)) / middle,
	}
}

// insist compares again while a run is void.
func insist(numerator, denominator Measure) (r Result) {
	for range attempts {
		if r = Compare(numerator, denominator); !r.Void() {
			break
		}
	}
	return r
}

func median(figures []float64) float64 {
	figures = slices.Sorted(slices.Values(figures))
	half := len(figures) / 2
	if len(figures)%2 == 1 {
		return figures[half]
	}
	return (figures[half-1] + figures[half]) / 2
}

// Budget is the bound that a ratio has to keep.
type Budget struct {
	bound   float64
	atLeast bool
}

// AtLeast wants a ratio of bound or more.
func AtLeast(bound float64) Budget { return Budget{bound, true} }

// AtMost wants a ratio of bound or less.
func AtMost(bound float64) Budget { return Budget{bound, false} }

// Holds reports whether a ratio keeps the budget.
func (b Budget) Holds(ratio float64) bool {
	if b.atLeast {
		return ratio >= b.bound
	}
	return ratio <= b.bound
}

// String is "at least 1.8" or "at most 2.5".
func (b Budget) String() string {
	if b.atLeast {
		return fmt.Sprintf("at least %g", b.bound)
	}
	return fmt.Sprintf("at most %g", b.bound)
}

// Bench is the body of a benchmark: it compares, makes a void run anew up to two times, and reports "ratio",
// both medians and "spread". It fails when the budget is missed; a run that stays void only says so.
func Bench(b *testing.B, budget Budget, numerator, denominator Measure) Result {
	b.Helper()
	var r Result
	for b.Loop() {
		r = insist(numerator, denominator)
	}
	b.ReportMetric(0, "ns/op") // the length of the run says nothing
	b.ReportMetric(r.Ratio(), "ratio")
	b.ReportMetric(r.Numerator, "numerator")
	b.ReportMetric(r.Denominator, "denominator")
	b.ReportMetric(r.Spread, "spread")
	switch {
	case r.Void():
		b.Logf("void: the denominator spreads by %.2f, at most %.2f would count", r.Spread, spread)
	case !budget.Holds(r.Ratio()):
		b.Errorf("got a ratio of %.2f (%g ÷ %g), want %s", r.Ratio(), r.Numerator, r.Denominator, budget) // the metrics of what fails are not shown
	}
	return r
}
