package teleport

import (
	"errors"
	"testing"
	"time"
)

func TestRenewedFilesAreTakenOnceTheyHaveSettled(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	id := func(name byte, life time.Duration) identity {
		return identity{user: string(name), expires: start.Add(life), sum: [32]byte{name}}
	}
	var (
		old     = id('o', time.Hour)
		newer   = id('n', 2*time.Hour)
		other   = id('x', 2*time.Hour)
		shorter = id('s', 30*time.Minute)
		bad     = identity{}
	)
	for _, tt := range []struct {
		name    string
		content []identity // of the files at each look, one second apart; bad: unreadable
		user    string     // of the identity after the last look
		soon    bool       // something is expected to change
		fails   bool
	}{
		{"unchanged", []identity{old, old}, "o", false, false},
		{"seen once", []identity{newer}, "o", true, false},
		{"settled", []identity{newer, newer}, "n", false, false},
		{"still being written", []identity{newer, other}, "o", true, false},
		{"written back", []identity{newer, old}, "o", false, false},
		{"half-written for a moment", []identity{bad}, "o", true, false},
		{"half-written, then whole", []identity{bad, newer, newer}, "n", false, false},
		{"unreadable for long", []identity{bad, bad}, "o", true, true},
		{"expiring earlier", []identity{shorter, shorter, shorter}, "o", true, false},
		{"expiring earlier and staying", []identity{shorter, shorter, shorter, shorter}, "s", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := -1
			r := renewal{settle: time.Second, settleOld: 3 * time.Second, read: func() (identity, error) {
				if tt.content[i].sum == bad.sum {
					return identity{}, errors.New("half a file")
				}
				return tt.content[i], nil
			}}
			current, err := old, error(nil)
			for i = range tt.content {
				current, err = r.look(start.Add(time.Duration(i)*time.Second), current)
			}
			if current.user != tt.user || r.unsettled() != tt.soon || (err != nil) != tt.fails {
				t.Errorf("got %q, unsettled %v, error %v; want %q, %v, error: %v", current.user, r.unsettled(), err, tt.user, tt.soon, tt.fails)
			}
		})
	}
}
