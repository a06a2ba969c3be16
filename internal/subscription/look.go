package subscription

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// look is one look at what PagerDuty lists. It says how long to wait for the next.
func (k *Keeper) look(ctx context.Context) time.Duration {
	listed, err := k.cfg.Source.Subscriptions(ctx)
	var failures map[access.SubscriptionID]error
	if err == nil {
		if failures = k.enable(ctx, k.ours(listed)); failures != nil {
			listed, err = k.cfg.Source.Subscriptions(ctx) // whatever the answers said
		}
	}
	switch {
	case ctx.Err() != nil:
		return 0
	case mayPass(err):
		k.unread(err)
		return retryEvery
	}
	listed = slices.DeleteFunc(listed, access.Subscription.Unfinished) // somebody is at it, or will be
	ours := k.ours(listed)
	revived := k.revived(ours)
	found := findings{keeper: k, ours: ours, listed: len(listed), unreadable: err, failures: failures}
	overdue := k.overdue(revived || err == nil && !slices.ContainsFunc(ours, delivers))
	all := found.all(overdue)
	k.tell(ctx, all)
	shown := found.status(all.problem)
	shown.Known = err == nil || overdue != ""
	k.show(shown)
	if k.turned(overdue != "") || revived {
		k.cfg.Lost(ctx)
	}
	if slices.ContainsFunc(slices.Collect(maps.Values(failures)), mayPass) {
		return retryEvery
	}
	return lookEvery
}

func mayPass(err error) bool { return err != nil && !access.IsPermanent(err) }

// delivers reports whether PagerDuty sends events for the subscription.
func delivers(s access.Subscription) bool { return s.Active && !s.Disabled }

// ours gives the subscriptions that lead here. pdhook does not know its own URL: an ingress has another name and
// may take a prefix off the path, or change all of it. So the path chooses first, and then who delivered here.
func (k *Keeper) ours(listed []access.Subscription) []access.Subscription {
	exactly := func(s access.Subscription) bool { return s.Path == k.cfg.Path }
	atTheEnd := func(s access.Subscription) bool { return strings.HasSuffix(s.Path, k.cfg.Path) }
	k.mu.Lock()
	defer k.mu.Unlock()
	heard := func(s access.Subscription) bool { return k.heard[s.ID] }
	for _, fits := range []func(access.Subscription) bool{
		func(s access.Subscription) bool { return atTheEnd(s) && heard(s) },
		exactly,
		atTheEnd,
		heard,
	} {
		if found := slices.DeleteFunc(slices.Clone(listed), func(s access.Subscription) bool { return !fits(s) }); len(found) > 0 {
			return found
		}
	}
	return nil
}

// enable switches on what PagerDuty has switched off, and gives how each went; nil when there was nothing to do.
// What its owner has switched off is left as it is.
func (k *Keeper) enable(ctx context.Context, ours []access.Subscription) map[access.SubscriptionID]error {
	var went map[access.SubscriptionID]error
	for _, s := range ours {
		if !s.Disabled || !s.Active {
			continue
		}
		k.disabled[s.ID] = true
		if k.cfg.DryRun() {
			continue
		}
		if went == nil {
			went = map[access.SubscriptionID]error{}
		}
		went[s.ID] = k.cfg.Source.EnableSubscription(ctx, s.ID)
	}
	return went
}

// revived reports whether a subscription that was seen disabled is enabled, by whomever.
func (k *Keeper) revived(ours []access.Subscription) (found bool) {
	for _, s := range ours {
		if s.Disabled || !k.disabled[s.ID] {
			continue
		}
		found = true
		k.cfg.Log.Warn("PagerDuty had disabled the webhook subscription; it is enabled again", "subscription_id", s.ID,
			"hint", "events meanwhile were lost, so all pending requests are looked at again; PagerDuty does this after three deliveries in a row "+
				"that were refused with 4xx or failed for TLS: check webhook.secrets, the certificate, and what stands in front of webhook.listen")
	}
	if ours != nil { // else PagerDuty showed nothing
		maps.DeleteFunc(k.disabled, func(id access.SubscriptionID, _ bool) bool {
			return !slices.ContainsFunc(ours, func(s access.Subscription) bool { return s.ID == id && s.Disabled })
		})
	}
	return found
}

// turned notes whether webhooks are overdue and reports whether that has changed.
func (k *Keeper) turned(silent bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.silent
	k.silent = silent
	return before != silent
}

func (k *Keeper) show(s Status) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status = s
}

// unread shows that a look failed. The log has it from the client when PagerDuty is in trouble.
func (k *Keeper) unread(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status.Problem, k.status.Known = err.Error(), false
}
