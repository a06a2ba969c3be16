package e2e

import (
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// A shift has begun without a sign, and an event on the service brings the request back: from the event to the
// review in Teleport, with a PagerDuty that answers at once.
func BenchmarkWebhookToReview(b *testing.B) {
	w := startWorld(b)
	other := w.pd.AddIncident(w.paymentsAPI.ID, pagerdutytest.IncidentOptions{Title: "Disk full"})
	var took []time.Duration
	for b.Loop() {
		for range 7 {
			w.pd.ClearSchedule(w.primary.ID)
			id := w.request("kim@example.com", "payments-admin")
			w.opened(id)
			w.quiet() // the next event is not put off because of those before
			w.pd.SetOnCall(w.primary.ID, w.kim.ID, time.Time{}, time.Time{})
			began := time.Now()
			if len(took)%2 == 0 {
				w.pd.Acknowledge(other.ID, w.sam.ID)
			} else {
				w.pd.Unacknowledge(other.ID)
			}
			w.reaches(id, types.RequestState_APPROVED)
			took = append(took, time.Since(began))
		}
	}
	half := quantile(took, 0.5)
	b.ReportMetric(float64(half.Microseconds())/1000, "p50-ms")
	if half > 250*time.Millisecond {
		b.Errorf("half of the reviews come within %s of the event, want 250 ms", half)
	}
}
