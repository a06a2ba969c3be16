package ratio

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// turns gives figures one by one, and notes each call.
func turns(calls *[]string, name string, figures ...float64) Measure {
	return func() float64 {
		*calls = append(*calls, name)
		next := figures[0]
		figures = figures[1:]
		return next
	}
}

func TestMediansOfAlternatingRoundsAreCompared(t *testing.T) {
	var calls []string
	got := Compare(turns(&calls, "n", 999, 6, 1, 7, 9, 5), turns(&calls, "d", 0, 2.1, 2, 1.9, 2, 2.2))
	if got.Ratio() != 3 || got.Numerator != 6 || got.Denominator != 2 {
		t.Errorf("got %+v, want 6 ÷ 2", got)
	}
	if want := 0.15; math.Abs(got.Spread-want) > 1e-9 || got.Void() {
		t.Errorf("got spread %v, void %t; want %v, which counts", got.Spread, got.Void(), want)
	}
	if want := strings.Split(strings.Repeat("nd", 6), ""); !slices.Equal(calls, want) {
		t.Errorf("measured in the order %q, want %q", calls, want)
	}
}

func TestARunWhoseDenominatorSpreadsByMoreThanAQuarterIsVoid(t *testing.T) {
	for _, tt := range []struct {
		least, greatest float64
		void            bool
	}{{4, 5, false}, {4, 5.01, true}, {0, 4, true}} {
		var calls []string
		got := Compare(turns(&calls, "n", 1, 1, 1, 1, 1, 1), turns(&calls, "d", 4, 4, tt.least, 4, tt.greatest, 4))
		if got.Void() != tt.void {
			t.Errorf("%g to %g around 4: got spread %v, void %t; want void %t", tt.least, tt.greatest, got.Spread, got.Void(), tt.void)
		}
	}
	if nothing := Compare(func() float64 { return 1 }, func() float64 { return 0 }); !nothing.Void() {
		t.Errorf("got %+v, want a denominator of nothing to be void", nothing)
	}
}

func TestABudgetHolds(t *testing.T) {
	for _, tt := range []struct {
		budget Budget
		ratio  float64
		want   bool
	}{{AtLeast(1.8), 1.8, true}, {AtLeast(1.8), 1.79, false}, {AtMost(2.5), 2.5, true}, {AtMost(2.5), 2.51, false}, {AtMost(2.5), math.NaN(), false}} {
		if got := tt.budget.Holds(tt.ratio); got != tt.want {
			t.Errorf("%s, %g: got %t, want %t", tt.budget, tt.ratio, got, tt.want)
		}
	}
}

func TestTheMiddleOfAnEvenNumberOfFiguresIsBetweenTwo(t *testing.T) {
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("got %g, want 2.5", got)
	}
}

func TestAVoidRunIsMadeAnewUpToTwoTimes(t *testing.T) {
	for quietAfter, want := range map[int]int{0: 6, 6: 12, 100: 18} {
		calls := 0
		got := insist(func() float64 { return 6 }, func() float64 {
			if calls++; calls <= quietAfter {
				return float64(calls * calls) // restless
			}
			return 2
		})
		if calls != want || got.Void() != (quietAfter == 100) {
			t.Errorf("quiet after %d rounds: got %d rounds and %+v, want %d rounds", quietAfter, calls, got, want)
		}
	}
}

func TestBenchReportsTheRatio(t *testing.T) {
	result := testing.Benchmark(func(b *testing.B) {
		Bench(b, AtLeast(1.8), func() float64 { return 6 }, func() float64 { return 2 })
	})
	if got := result.Extra; got["ratio"] != 3 || got["numerator"] != 6 || got["denominator"] != 2 || got["spread"] != 0 {
		t.Errorf("got %v, want 6 ÷ 2", got)
	}
}
