package access

import (
	"testing"
	"time"
)

func TestARenewalIsOverdueWhenALittleOfTheLifeIsLeft(t *testing.T) {
	issued := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const day = 24 * time.Hour
	for life, left := range map[time.Duration]time.Duration{
		time.Hour:      10 * time.Minute, // tbot, which renews when 40 minutes are left
		12 * time.Hour: 2 * time.Hour,
		90 * day:       7 * day, // certificates of ACME, renewed when 30 days are left
		365 * day:      7 * day,
		-time.Hour:     -10 * time.Minute, // nonsense is overdue after its end, and told as expired by then
		42 * day:       7 * day,
	} {
		if got := issued.Add(life).Sub(RenewalOverdue(issued, issued.Add(life))); got != left {
			t.Errorf("a life of %s: got a warning %s before the end, want %s", life, got, left)
		}
	}
}
