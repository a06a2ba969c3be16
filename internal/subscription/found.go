package subscription

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// found is what leads to the URL, without what was left unfinished.
type found struct {
	current *access.Subscription // in use
	next    *access.Subscription // takes its place, or has taken it
}

// look finds what is at the URL, and deletes what an earlier run left unfinished there.
func (r *run) look(ctx context.Context) (found, error) {
	inUse, err := r.tidy(ctx, "")
	if err != nil {
		return found{}, err
	}
	successor := func(s access.Subscription) bool { return strings.HasPrefix(s.Description, takesPlaceOf) }
	switch {
	case len(inUse) == 0:
		return found{}, nil
	case len(inUse) == 1 && successor(inUse[0]):
		return found{next: &inUse[0]}, nil
	case len(inUse) == 1:
		return found{current: &inUse[0]}, nil
	case len(inUse) == 2:
		for i := range inUse {
			if first, next := &inUse[i], &inUse[1-i]; next.Description == takesPlaceOf+string(first.ID) {
				return found{current: first, next: next}, nil
			}
		}
	}
	return found{}, fmt.Errorf("%d webhook subscriptions lead to %s: %s. PagerDuty sends each event to all of them: "+
		"delete all but the one whose signing secret is in %s (in PagerDuty: Integrations, Generic Webhooks (v3)), then run this again",
		len(inUse), r.order.URL, named(inUse), r.FileName)
}

func named(all []access.Subscription) string {
	var names []string
	for _, s := range all {
		names = append(names, fmt.Sprintf("%s (%q, for %s)", s.ID, s.Description, s.Filter))
	}
	return strings.Join(names, ", ")
}

// tidy gives the subscriptions at the URL that are in use, after deleting those left unfinished there, but for spare.
func (r *run) tidy(ctx context.Context, spare access.SubscriptionID) ([]access.Subscription, error) {
	listed, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	r.elsewhere = false
	var used []access.Subscription
	for _, s := range listed {
		switch {
		case s.ID == spare:
		case !sameURL(s.URL, r.order.URL):
			r.elsewhere = r.elsewhere || strings.HasSuffix(s.Path, r.Path)
		case !s.Unfinished():
			used = append(used, s)
		default:
			if err := r.remove(ctx, s.ID); err != nil {
				return nil, err
			}
			r.say("Deleted webhook subscription %s, which an attempt before had left unfinished", s.ID)
		}
	}
	return used, nil
}

func (r *run) list(ctx context.Context) (listed []access.Subscription, err error) {
	err = r.again(ctx, func() error {
		var err error
		listed, err = r.PagerDuty.Subscriptions(ctx)
		return err
	})
	return listed, explained(err)
}

// remove deletes a subscription. One that is gone is success, whatever the answers said.
func (r *run) remove(ctx context.Context, id access.SubscriptionID) error {
	err := r.again(ctx, func() error {
		err := r.PagerDuty.DeleteSubscription(ctx, id)
		if err == nil || errors.Is(err, access.ErrNotFound) {
			return nil
		}
		listed, listing := r.PagerDuty.Subscriptions(ctx)
		if listing == nil && !slices.ContainsFunc(listed, func(s access.Subscription) bool { return s.ID == id }) {
			return nil
		}
		return err
	})
	return explained(err)
}

// sameURL compares where two URLs lead; neither user nor query changes that.
func sameURL(a, b string) bool { return address(a) == address(b) }

func address(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[access.Fold(u.Scheme)]
	}
	return access.Fold(u.Hostname()) + ":" + port + "/" + strings.TrimPrefix(u.EscapedPath(), "/")
}
