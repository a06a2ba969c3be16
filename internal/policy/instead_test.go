package policy

import (
	"errors"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestANoTellsWhoIsOnCallInstead(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	on := func(email string, level int, end time.Time) access.OnCall {
		return access.OnCall{User: access.User{ID: access.UserID("U" + email), Email: email}, Policy: "P", Level: level, End: end}
	}
	for _, tt := range []struct {
		name    string
		entries []access.OnCall
		err     error
		want    string
	}{
		{"nobody", nil, nil, ": nobody is"},
		{"not read", nil, errors.New("later"), ""},
		{"two levels", []access.OnCall{on("lee@x", 2, now.Add(6*time.Hour)), on("kim@x", 1, time.Time{})}, nil,
			": level 1 is kim@x, level 2 is lee@x until 2026-03-01T18:00:00Z"},
		{"many on a level", []access.OnCall{on("d@x", 1, time.Time{}), on("a@x", 1, time.Time{}), on("b@x", 1, time.Time{}), on("c@x", 1, time.Time{}), on("a@x", 1, time.Time{})}, nil,
			": level 1 is a@x and b@x and 2 more"},
		{"many levels", []access.OnCall{on("a@x", 1, time.Time{}), on("b@x", 2, time.Time{}), on("c@x", 3, time.Time{}), on("d@x", 4, time.Time{})}, nil,
			": level 1 is a@x, level 2 is b@x, level 3 is c@x"},
		{"whose duty is over", []access.OnCall{on("a@x", 1, now)}, nil, ": nobody is"},
		{"of another policy, by an ignored filter", []access.OnCall{{User: access.User{Email: "a@x"}, Policy: "Q", Level: 1}}, nil, ": nobody is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := Facts{OnDuty: map[access.PolicyID]access.Fact[access.OnCalls]{
				"P": {Value: access.OnCalls{Entries: tt.entries, Now: now}, Err: tt.err, ReadAt: now},
			}}
			if got := instead(f, "P"); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := instead(Facts{}, "P"); got != "" {
		t.Errorf("without an answer got %q, want nothing", got)
	}
}
