package subscription

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// keep makes the subscription that exists what it should be.
func (r *run) keep(ctx context.Context, s access.Subscription) error {
	if !r.HaveSecret {
		return fmt.Errorf("webhook subscription %s leads to %s, but none of webhook.secrets is there, and PagerDuty shows a signing secret only once: "+
			"put %s back from a backup, or run this again with --rotate beside the running pdhook", s.ID, r.order.URL, r.FileName)
	}
	if err := r.adjust(ctx, s); err != nil {
		return err
	}
	return r.ping(ctx, s.ID)
}

// adjust changes what differs from what is wanted, and switches the subscription on.
func (r *run) adjust(ctx context.Context, s access.Subscription) error {
	wanted, differences := r.wanted(s)
	r.result.SubscriptionID, r.result.Filter = s.ID, wanted.Filter.String()
	if len(differences) > 0 {
		if err := r.update(ctx, wanted); err != nil {
			return err
		}
		r.say("Changed webhook subscription %s: %s", s.ID, strings.Join(differences, "; "))
	}
	if s.Disabled {
		if err := r.again(ctx, func() error { return r.PagerDuty.EnableSubscription(ctx, s.ID) }); err != nil {
			return explained(err)
		}
		r.say("Enabled webhook subscription %s, which PagerDuty had disabled after deliveries that were refused", s.ID)
	}
	if len(differences) == 0 && !s.Disabled {
		r.say("Webhook subscription %s is as it should be", s.ID)
	}
	return nil
}

// wanted is the subscription as it should be, with what differs from that.
func (r *run) wanted(s access.Subscription) (wanted access.Subscription, differences []string) {
	wanted = s
	wanted.Description, wanted.Active, wanted.EventTypes = inUse, true, r.EventTypes
	if r.order.Filter != nil {
		wanted.Filter = *r.order.Filter
	}
	if !s.Active {
		differences = append(differences, "switched on")
	}
	if lacking := without(r.EventTypes, s.EventTypes); len(lacking) > 0 {
		differences = append(differences, "event types added: "+strings.Join(lacking, ", "))
	}
	if more := without(s.EventTypes, r.EventTypes); len(more) > 0 {
		differences = append(differences, "event types removed, which pdhook does not use: "+strings.Join(more, ", "))
	}
	if s.Filter != wanted.Filter {
		differences = append(differences, fmt.Sprintf("filter %s instead of %s", wanted.Filter, s.Filter))
	}
	if s.Description != wanted.Description {
		differences = append(differences, fmt.Sprintf("description %q instead of %q", wanted.Description, access.OneLine(s.Description, 100)))
	}
	return wanted, differences
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(t string) bool { return slices.Contains(some, t) })
}
