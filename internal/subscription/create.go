package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	maxTries   = 4
	firstPause = 500 * time.Millisecond
	longPause  = 70 * time.Second // PagerDuty's rate limit begins anew every minute
	undoWithin = time.Minute
)

// create makes the first subscription.
func (r *run) create(ctx context.Context) error {
	made, err := r.make(ctx, access.SubscriptionFilter{Kind: access.FilterAccount}, r.elsewhere)
	if err != nil {
		return err
	}
	if len(r.wrote) > 1 {
		r.say("Kept the secret that was in %s beside it: another webhook subscription leads to a path that ends in %s", r.FileName, r.Path)
	}
	made.Description, made.Active = inUse, true
	if err = r.update(ctx, made); err == nil {
		r.say("Switched it on: %d event types, filter %s", len(made.EventTypes), made.Filter)
		err = r.ping(ctx, made.ID)
	}
	if err != nil {
		r.takeBack(ctx, made.ID)
	}
	return err
}

// make creates a subscription that is not in use yet, and has the running service accept its secret, with keep beside
// those that the file holds. With an error nothing of it is left, or it was told.
func (r *run) make(ctx context.Context, filter access.SubscriptionFilter, keep bool) (access.Subscription, error) {
	if r.order.Filter != nil {
		filter = *r.order.Filter
	}
	if err := r.File.Writable(); err != nil {
		return access.Subscription{}, fmt.Errorf("nothing was changed: the signing secret could not be kept: %w", err)
	}
	made, secret, err := r.demand(ctx, access.Subscription{
		URL: r.order.URL, Description: access.UnfinishedSubscription, Filter: filter, EventTypes: r.EventTypes,
	})
	if err != nil {
		return made, err
	}
	if err := r.write(secret, keep); err != nil { // before anything else
		r.takeBack(ctx, made.ID)
		return made, err
	}
	r.result.SubscriptionID, r.result.Filter = made.ID, made.Filter.String()
	r.say("Created webhook subscription %s for %s, switched off for now", made.ID, r.order.URL)
	r.say("Wrote its signing secret to %s", r.FileName)
	err = r.reload(ctx)
	if err == nil {
		err = r.single(ctx, made.ID)
	}
	if err != nil {
		r.takeBack(ctx, made.ID)
	}
	return made, err
}

// write puts a new secret into the file, with keep behind those that it holds. It is read only now: another run may
// have changed it meanwhile.
func (r *run) write(secret string, keep bool) (err error) {
	if r.before, err = r.File.Read(); err != nil {
		return err
	}
	r.wrote = []string{secret}
	if keep {
		r.wrote = append(slices.Clone(r.before), secret)
	}
	return r.File.Write(r.wrote)
}

// demand has PagerDuty make one subscription. One whose answer is lost is of no use, as its secret is lost too.
func (r *run) demand(ctx context.Context, s access.Subscription) (made access.Subscription, secret string, err error) {
	for try := 1; ; try++ {
		made, secret, err = r.PagerDuty.CreateSubscription(ctx, s)
		if err == nil {
			return made, secret, nil
		}
		if access.IsUnclear(err) {
			lasting, cancel := lasting(ctx)
			_, tidying := r.tidy(lasting, "")
			cancel()
			if tidying != nil {
				return made, "", fmt.Errorf("%w; a webhook subscription that is switched off may be left in PagerDuty (%v): the next run deletes it", err, tidying)
			}
		}
		if !mayPass(err) || try == maxTries || !r.pause(ctx, try, err) {
			return made, "", explained(err)
		}
	}
}

// single checks that no other subscription to the URL has come up: by another run, or by an attempt whose answer was
// lost and that PagerDuty performed late.
func (r *run) single(ctx context.Context, made access.SubscriptionID) error {
	used, err := r.tidy(ctx, made)
	if err != nil {
		return err
	}
	for _, s := range used {
		if s.ID != r.replaced {
			return fmt.Errorf("webhook subscription %s to %s has come up meanwhile: run this again", s.ID, r.order.URL)
		}
	}
	return nil
}

func (r *run) update(ctx context.Context, s access.Subscription) error {
	return explained(r.again(ctx, func() error { return r.PagerDuty.UpdateSubscription(ctx, s) }))
}

// reload has the running service read the secrets again.
func (r *run) reload(ctx context.Context) error {
	if r.isAlone() {
		return nil
	}
	var refused error // which is in its log, and would be there once more for each try
	err := r.again(ctx, func() error {
		err := r.Running.Reload(ctx)
		if errors.Is(err, ErrNotRunning) {
			return err
		}
		refused = err
		return nil
	})
	if err = cmp.Or(err, refused); err != nil {
		return fmt.Errorf("the running pdhook could not read its configuration and secrets again: %w", err)
	}
	r.say("The running pdhook has read the signing secret")
	return nil
}

// takeBack undoes make: the subscription first, so that PagerDuty signs nothing any more with a secret that is refused.
func (r *run) takeBack(ctx context.Context, id access.SubscriptionID) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	if err := r.remove(ctx, id); err != nil {
		r.left("webhook subscription %s is still there: delete it in PagerDuty (Integrations, Generic Webhooks (v3)): %v", id, err)
		r.left("%s still holds its signing secret", r.FileName)
		return
	}
	r.say("Undone: webhook subscription %s is deleted", id)
	r.result.SubscriptionID, r.result.Filter = "", ""
	if err := r.unwrite(); err != nil {
		r.left("%s may hold the signing secret of the deleted subscription: %v", r.FileName, err)
		return
	}
	if r.isAlone() {
		return
	}
	if err := r.Running.Reload(ctx); err != nil {
		r.left("the running pdhook has not read its secrets again: %v", err)
	}
}

// unwrite makes the file what it was before. What another run has changed meanwhile stays: it may be the only place
// where a secret is.
func (r *run) unwrite() error {
	now, err := r.File.Read()
	if err != nil || len(r.wrote) == 0 {
		return err
	}
	if slices.Equal(now, r.wrote) || slices.Equal(now, r.before) {
		if err = r.File.Write(r.before); err == nil {
			r.say("Undone: %s is as it was", r.FileName)
		}
		return err
	}
	if others := without(now, r.wrote[len(r.wrote)-1:]); len(others) < len(now) {
		err = r.File.Write(others)
	}
	if err == nil {
		r.say("Undone: the secret is not in %s, which something else has changed meanwhile", r.FileName)
	}
	return err
}

// left tells what could not be undone.
func (r *run) left(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.result.NotUndone = append(r.result.NotUndone, line)
	r.Say("NOT undone: " + line)
}

// lasting gives a context for what has to be done even when the person has lost patience.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
}

// again repeats what is harmless to repeat, while that may help.
func (r *run) again(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if !mayPass(err) || try == maxTries || !r.pause(ctx, try, err) {
			return err
		}
	}
}

// pause waits before the next try, longer each time and as long as PagerDuty asks for. False: ctx ended.
func (r *run) pause(ctx context.Context, try int, err error) bool {
	wait := max(r.firstPause<<(try-1), time.Until(access.NotBefore(err)))
	wait = min(wait, longPause)
	if ctx.Err() != nil {
		return false
	}
	r.Say(fmt.Sprintf("Trying again in %s: %v", wait.Round(100*time.Millisecond), err))
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// explained adds the way out to what PagerDuty refused.
func explained(err error) error {
	switch {
	case errors.Is(err, access.ErrLimit):
		return fmt.Errorf("%w. PagerDuty allows 10 webhook subscriptions for each service, for each team and for the account: "+
			"delete one that nobody needs (Integrations, Generic Webhooks (v3)), or filter by another service or team (--filter)", err)
	case errors.Is(err, access.ErrDenied):
		return fmt.Errorf("%w. pagerduty.api_key has to be allowed to read and write webhook subscriptions (webhook_subscriptions.read "+
			"and .write): an API key with full access, or the key of a Manager of the service or team; for the whole account of an Admin or Owner", err)
	}
	return err
}
