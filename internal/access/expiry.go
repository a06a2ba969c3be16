package access

import "time"

// latestRenewal is how long before its end a certificate should have been renewed, however long it lives.
const latestRenewal = 7 * 24 * time.Hour

// RenewalOverdue gives the moment from which on a certificate should have been renewed: when a sixth of its life
// is left, or a week. Tools that renew by themselves do so much earlier (tbot after a third of an hour, others
// after two thirds of 90 days), and a week is enough for people.
func RenewalOverdue(issued, expires time.Time) time.Time {
	return expires.Add(-min(expires.Sub(issued)/6, latestRenewal))
}
