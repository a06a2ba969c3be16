package subscription

import (
	"context"
	"fmt"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// underWay is how long it takes until nothing is on its way any more: a delivery of a subscription that is deleted, for
// whose answer PagerDuty waits 5 s, or a secret into another replica that reads the same file, at which it looks every
// 3 s, twice.
const underWay = 7 * time.Second

// rotate replaces the subscription by one with another signing secret. PagerDuty drops for good what is refused, so the
// old secret is accepted until nothing signed with it can come any more.
func (r *run) rotate(ctx context.Context, old access.Subscription) error {
	if r.isAlone() {
		return fmt.Errorf("nothing was changed: the old subscription is deleted only when the running pdhook has taken a webhook through the new one: %w", r.alone)
	}
	if old.Extras != "" {
		return fmt.Errorf("nothing was changed: webhook subscription %s sends %s, which PagerDuty does not show and a new one would lack: make the new one by hand", old.ID, old.Extras)
	}
	secrets, err := r.File.Read()
	if err != nil {
		return err
	}
	if r.elsewhere && len(secrets) > 1 {
		return fmt.Errorf("nothing was changed: %s holds %d signing secrets, and another webhook subscription leads to a path that ends in %s, so that it "+
			"cannot be told which of them %s signs with: let the file hold that one alone, and give the other a file of its own in webhook.secrets", r.FileName, len(secrets), r.Path, old.ID)
	}
	r.replaced = old.ID
	made, err := r.make(ctx, old.Filter, true)
	if err != nil {
		return err
	}
	made.Description, made.Active = takesPlaceOf+string(old.ID), true
	if err = r.wait(ctx, "until other replicas have read it, too"); err == nil {
		err = r.update(ctx, made)
	}
	if err != nil {
		r.takeBack(ctx, made.ID)
		return err
	}
	r.say("Switched it on beside webhook subscription %s: both secrets are accepted", old.ID)
	return r.replace(ctx, made, old.ID)
}

// finishRotation goes on where an earlier run ended.
func (r *run) finishRotation(ctx context.Context, here found) error {
	next := *here.next
	r.say("A rotation that an earlier run began is not over: webhook subscription %s %s", next.ID, next.Description[len("pdhook: "):])
	if r.isAlone() {
		return fmt.Errorf("nothing was changed: the rotation can only be brought to its end beside the running pdhook: %w", r.alone)
	}
	secrets, err := r.File.Read()
	if err != nil {
		return err
	}
	if len(secrets) == 0 {
		return fmt.Errorf("nothing was changed: %s is not there, which holds the signing secret of %s: put it back, or delete %s in PagerDuty", r.FileName, next.ID, next.ID)
	}
	r.before, r.wrote = secrets[:len(secrets)-1], secrets
	if err := r.reload(ctx); err != nil {
		return err
	}
	if here.current == nil {
		if err := r.finish(ctx, next); err != nil {
			return err
		}
		return r.ping(ctx, next.ID)
	}
	wanted, _ := r.wanted(next)
	wanted.Description = next.Description
	if err := r.update(ctx, wanted); err != nil {
		return err
	}
	return r.replace(ctx, wanted, here.current.ID)
}

// replace deletes the old subscription once a ping has come through the new one; else the new one, and its secret.
func (r *run) replace(ctx context.Context, made access.Subscription, old access.SubscriptionID) error {
	if err := r.ping(ctx, made.ID); err != nil {
		r.takeBack(ctx, made.ID)
		return err
	}
	if err := r.remove(ctx, old); err != nil {
		return fmt.Errorf("both webhook subscriptions are in use, and %s could not be deleted; run this again: %w", old, err)
	}
	r.say("Deleted webhook subscription %s", old)
	if err := r.wait(ctx, "for deliveries that are under way"); err != nil {
		return fmt.Errorf("the old signing secret is still accepted; run this again: %w", err)
	}
	return r.finish(ctx, made)
}

// finish makes the new secret the only one in the file.
func (r *run) finish(ctx context.Context, made access.Subscription) error {
	secrets, err := r.File.Read()
	if err == nil && len(secrets) > 1 {
		if err = r.File.Write(r.wrote[len(r.wrote)-1:]); err == nil {
			r.say("Removed the old signing secret from %s", r.FileName)
			err = r.reload(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("the old signing secret is still accepted; run this again: %w", err)
	}
	made.Description = inUse
	if err := r.update(ctx, made); err != nil {
		return err
	}
	return r.adjust(ctx, made)
}

// wait gives the time that it takes until nothing is under way.
func (r *run) wait(ctx context.Context, why string) error {
	r.Say(fmt.Sprintf("Waiting %s %s", r.underWay, why))
	if !sleep(ctx, r.underWay) {
		return context.Cause(ctx)
	}
	return nil
}
