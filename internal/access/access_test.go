package access

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestRequestOfKeyKnowsBothKeysOfARequest(t *testing.T) {
	for _, tt := range []struct {
		key  string
		want RequestID
		ours bool
	}{
		{IncidentKey("R"), "R", true},
		{FallbackIncidentKey("R"), "R", true},
		{"teleport-access-request/2", "2", true},
		{"teleport-access-request/", "", false},
		{"teleport-access-request//2", "", false},
		{"teleport-access-request/R/3", "", false},
		{"teleport-access-request/R/2/2", "", false},
		{"Teleport-access-request/R", "", false},
		{"disk full", "", false},
		{"", "", false},
	} {
		id, ours := RequestOfKey(tt.key)
		if ours != tt.ours || ours && id != tt.want {
			t.Errorf("RequestOfKey(%q) = %q, %v, want %q, %v", tt.key, id, ours, tt.want, tt.ours)
		}
	}
}

func TestAFailureSaysWhatMayHelp(t *testing.T) {
	at := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name      string
		err       error
		permanent bool
		unclear   bool
		notBefore time.Time
	}{
		{"no error", nil, false, false, time.Time{}},
		{"any error", errors.New("reset"), false, false, time.Time{}},
		{"retry", &Failure{Err: errors.New("503")}, false, false, time.Time{}},
		{"permanent", &Failure{Class: Permanent, Err: ErrDenied}, true, false, time.Time{}},
		{"wait", &Failure{Class: Wait, NotBefore: at, Err: errors.New("429")}, false, false, at},
		{"a time without waiting says nothing", &Failure{NotBefore: at, Err: errors.New("503")}, false, false, time.Time{}},
		{"unclear", &Failure{Unclear: true, Err: errors.New("reset")}, false, true, time.Time{}},
	} {
		for _, err := range []error{tt.err, fmt.Errorf("creating: %w", tt.err)} {
			if tt.err == nil {
				err = nil
			}
			if IsPermanent(err) != tt.permanent || IsUnclear(err) != tt.unclear || !NotBefore(err).Equal(tt.notBefore) {
				t.Errorf("%s: permanent %v, unclear %v, not before %s", tt.name, IsPermanent(err), IsUnclear(err), NotBefore(err))
			}
		}
	}
	if err := fmt.Errorf("reviewing: %w", &Failure{Class: Permanent, Err: ErrDenied}); !errors.Is(err, ErrDenied) || err.Error() != "reviewing: access denied" {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestOnCallAt(t *testing.T) {
	now := time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name       string
		start, end time.Time
		want       bool
	}{
		{"in the middle", now.Add(-time.Hour), now.Add(time.Hour), true},
		{"starts now", now, now.Add(time.Hour), true},
		{"starts in a nanosecond", now.Add(1), now.Add(time.Hour), false},
		{"ends now", now.Add(-time.Hour), now, false},
		{"ends in a nanosecond", now.Add(-time.Hour), now.Add(1), true},
		{"always", time.Time{}, time.Time{}, true},
		{"no end known", now.Add(-time.Hour), time.Time{}, true},
		{"no end known, starts later", now.Add(time.Hour), time.Time{}, false},
		{"over", now.Add(-2 * time.Hour), now.Add(-time.Hour), false},
	} {
		if got := (OnCall{Start: tt.start, End: tt.end}).At(now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestAFactIsKnownWhenItWasReadWithoutError(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		fact Fact[int]
		want bool
	}{
		{"read", Fact[int]{Value: 1, ReadAt: now}, true},
		{"an error beside a value", Fact[int]{Value: 1, Err: errors.New("half a page"), ReadAt: now}, false},
		{"never read", Fact[int]{Value: 1}, false},
	} {
		if got := tt.fact.Known(); got != tt.want {
			t.Errorf("%s: known = %v, want %v", tt.name, got, tt.want)
		}
	}
}
