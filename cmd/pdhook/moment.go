package main

import (
	"fmt"
	"time"
)

// moment writes a time both ways: "2026-03-01T03:00:00Z, 4 min ago".
func moment(t, now time.Time) string {
	relative := "now"
	switch d := t.Sub(now).Round(time.Second); {
	case d > 0:
		relative = "in " + length(d)
	case d < 0:
		relative = length(d) + " ago"
	}
	return t.UTC().Format("2006-01-02T15:04:05Z") + ", " + relative
}

// length writes how long something lasts, of either sign, in its two largest units.
func length(d time.Duration) string {
	d = d.Abs()
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < day:
		return twoUnits(d, time.Hour, "h", time.Minute, "min")
	}
	return twoUnits(d, day, "d", time.Hour, "h")
}

func twoUnits(d, large time.Duration, inLarge string, small time.Duration, inSmall string) string {
	if rest := d % large / small; rest > 0 {
		return fmt.Sprintf("%d %s %d %s", d/large, inLarge, rest, inSmall)
	}
	return fmt.Sprintf("%d %s", d/large, inLarge)
}
