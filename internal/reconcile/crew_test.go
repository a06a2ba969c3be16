package reconcile

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestWhatIsNotUrgentHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 1, func(ctx context.Context, _ access.RequestID) (Result, error) {
			time.Sleep(time.Second) // the urgent part
			urgentPartOver(ctx)
			urgentPartOver(ctx) // saying it twice means no more
			time.Sleep(time.Minute)
			return Result{}, nil
		})
		for _, id := range []access.RequestID{"a/1", "b/1", "c/1"} {
			d.Add(id, access.CauseCreated)
		}
		time.Sleep(5 * time.Minute)
		for i, look := range d.looks() {
			if want := time.Duration(i) * time.Second; look.after != want {
				t.Errorf("request %s was looked at after %s, want %s", look.id, look.after, want)
			}
		}
		d.Add("d/1", access.CauseCreated)
		d.Add("e/1", access.CauseCreated)
		time.Sleep(5 * time.Minute)
		if looks := d.looks(); len(looks) != 5 || looks[4].after-looks[3].after != time.Second {
			t.Errorf("got looks %v, want one worker again after the relieved ones have ended", looks)
		}
		d.close()
	})
}

func TestPassesBesideTheWorkersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, 2, func(ctx context.Context, _ access.RequestID) (Result, error) {
			urgentPartOver(ctx)
			time.Sleep(time.Minute)
			return Result{}, nil
		})
		for i := range 2 * mostBeside {
			d.Add(access.RequestID(rune('a'+i)), access.CauseCreated)
		}
		time.Sleep(time.Second)
		if n := len(d.looks()); n != mostBeside+2 {
			t.Errorf("got %d looks at once, want %d", n, mostBeside+2)
		}
		time.Sleep(time.Hour)
		if n := len(d.looks()); n != 2*mostBeside {
			t.Errorf("got %d looks, want %d", n, 2*mostBeside)
		}
		d.close()
	})
}

func TestWhatFailedIsTriedAtOnceWhenItIsSaidSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		d := openDesk(t, 4, func(_ context.Context, id access.RequestID) (Result, error) {
			if id == "slow/1" {
				time.Sleep(time.Hour - time.Second)
			}
			if away.Load() && id != "fine/1" {
				return Result{}, errors.New("no answer")
			}
			return Result{}, nil
		})
		for _, id := range []access.RequestID{"fine/1", "failing/1", "slow/1"} {
			d.Add(id, access.CauseCreated)
		}
		time.Sleep(time.Hour - 2*time.Second)
		before := len(d.looks())
		away.Store(false)
		d.RetryFailing()
		synctest.Wait()
		looks := d.looks()
		if len(looks) != before+1 || looks[before].id != "failing/1" || looks[before].cause != access.CauseRecovered {
			t.Errorf("got looks %v, want the one that failed at once", looks[before:])
		}
		time.Sleep(2 * time.Hour)
		if looks := d.looks(); len(looks) != before+2 || looks[before+1].id != "slow/1" {
			t.Errorf("got looks %v, want the one that was under way once more, and no other", looks[before:])
		}
		d.close()
	})
}

func TestAWorkerIsRelievedAsSoonAsItsPassApprovesNobodyAnyMore(t *testing.T) {
	for _, slow := range []string{"on duty", "create"} {
		t.Run(slow, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				if slow == "create" {
					w.aliceIsOnCall()
				}
				w.latency[slow] = 2 * time.Second
				began, relieved := time.Now(), time.Duration(-1)
				var reviews []access.Review
				ctx := context.WithValue(t.Context(), reliefKey{}, func() {
					if relieved < 0 {
						relieved, reviews = time.Since(began), w.requests[request].Reviews
					}
				})
				if _, err := w.replica("a").Reconcile(ctx, request, access.CauseCreated); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); relieved != 0 || took < 2*time.Second {
					t.Errorf("relieved after %s of %s, want at once", relieved, took)
				}
				if reviewed := len(reviews) == 1; reviewed != (slow == "create") {
					t.Errorf("got the reviews %v when the worker was relieved", reviews)
				}
			})
		})
	}
}
