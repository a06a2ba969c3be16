package subscription

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	lookForPing = 200 * time.Millisecond

	// A ping that comes may be one of an earlier run that PagerDuty has tried again until now. Ours happens about when
	// PagerDuty answers that it will send it, by PagerDuty's own clock, of which we see whole seconds.
	pingSpread = 10 * time.Second
)

// ping has PagerDuty send a test event and waits until the running service has accepted it.
func (r *run) ping(ctx context.Context, id access.SubscriptionID) error {
	if r.isAlone() {
		r.result.NotTested = r.alone.Error()
		r.Say(fmt.Sprintf("not tested: %v. Start pdhook, then run this again: it sends a test ping", r.alone))
		return nil
	}
	before, err := r.Running.Pings(ctx)
	if err != nil {
		return err
	}
	known := map[access.EventID]bool{}
	for _, p := range before {
		known[p.ID] = true
	}
	began := time.Now()
	if err := r.pinged(ctx, id, known); err != nil {
		return err
	}
	r.result.Tested = true
	r.say("Sent a test ping: it arrived after %s", max(time.Since(began), time.Millisecond).Round(time.Millisecond))
	return nil
}

// pinged sends at most two pings: three that are refused make PagerDuty disable the subscription.
func (r *run) pinged(ctx context.Context, id access.SubscriptionID, known map[access.EventID]bool) error {
	end := time.Now().Add(r.order.Wait)
	var why error
	for _, until := range []time.Time{time.Now().Add(r.order.Wait / 2), end} {
		var at time.Time
		err := r.again(ctx, func() (err error) {
			at, err = r.PagerDuty.PingSubscription(ctx, id)
			return err
		})
		if err != nil {
			return explained(err)
		}
		for time.Now().Before(until) {
			var pings []access.Event
			pings, why = r.Running.Pings(ctx)
			for _, p := range pings {
				if !known[p.ID] && (p.Occurred.IsZero() || at.IsZero() || p.Occurred.After(at.Add(-pingSpread))) {
					return nil
				}
			}
			if !sleep(ctx, lookForPing) {
				return fmt.Errorf("waiting for the test ping: %w", context.Cause(ctx))
			}
		}
	}
	return r.lost(ctx, why)
}

// lost says why a ping may not have arrived.
func (r *run) lost(ctx context.Context, why error) error {
	lines := []string{fmt.Sprintf("no test ping arrived at the running pdhook within %s", r.order.Wait)}
	if why != nil {
		lines = append(lines, fmt.Sprintf("- it could not be asked any more: %v", why))
	}
	for _, reason := range r.Running.NotReady(ctx) {
		lines = append(lines, "- it cannot take webhooks: "+reason)
	}
	return errors.New(strings.Join(append(lines,
		"PagerDuty sends to "+r.order.URL+", which has to lead to webhook.listen. Look at",
		"- the name: it must be known to public DNS, and lead to an address that PagerDuty can reach",
		"- the certificate: of a public authority, for this name, with its chain; TLS 1.2 must be allowed",
		"- the ingress: it must pass POST requests on as they are, to the path "+r.Path+" (webhook.path)",
		"- the log of pdhook: a webhook that was refused is told there. A signature that does not match means that "+r.FileName+" does not hold the secret of this subscription: --rotate",
		"- replicas: with several, another one may have taken the ping; each has to read the same secrets"), "\n"))
}
