package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/teleporttest"
)

// aThousand gives names that nobody knows.
func aThousand(of string) []string {
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprintf("%s %04d", of, i)
	}
	return names
}

func TestARequestThatNamesAThousandThingsHoldsUpNobodyElse(t *testing.T) {
	for _, c := range []struct {
		annotation string
		why        string // it is not approved; "": it is
	}{
		{"pagerduty_services", `Not approved automatically: a request for several roles must qualify`},
		{"pagerduty_schedules", "Not approved automatically: a request for several roles must qualify"},
		{"pagerduty_notify_service", ""},
		{"pagerduty_user_email", "Could not be evaluated: annotation pagerduty_user_email holds 1001 e-mail addresses"},
		{"something_else", ""},
	} {
		t.Run(c.annotation, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.teleport.SetRole("huge", map[string][]string{
				"pagerduty_notify_service": {"Payments API"}, "pagerduty_services": {"Payments API"}, c.annotation: append(aThousand("Somewhere"), "Payments API"),
			})
			w.start()
			huge := w.teleport.CreateRequest(teleporttest.Request{User: "kim@example.com", Roles: append(aThousand("role"), "huge"), Reason: "everything"})
			w.decided(huge)
			next := w.request("kim@example.com", "payments-admin")
			w.reaches(next, types.RequestState_APPROVED)
			w.ended(next, 1)
			if n := w.pd.CountRequests(""); n > 400 {
				t.Errorf("PagerDuty was asked %d times", n)
			}
			for _, r := range w.pd.Requests() {
				if r.Status == 429 {
					t.Errorf("PagerDuty answered 429 to %s", r.Route)
				}
			}
			if c.why == "" {
				w.reaches(huge, types.RequestState_APPROVED)
			} else if got := w.opened(huge).Details; !strings.Contains(got, "Roles: huge, role 0000, role 0001") || !strings.Contains(got, c.why) {
				t.Errorf("got details %q, want %q in them", got, c.why)
			} else {
				w.stays(huge)
			}
			w.logged()
		})
	}
}
