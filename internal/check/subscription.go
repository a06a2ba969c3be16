package check

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

const subscriptionName = "subscription"

// subscribed judges what makes PagerDuty deliver.
func (w *Webhook) subscribed(account accountSeen, running Running) []Finding {
	switch err := account.listing; {
	case w == nil:
		return nil // told already
	case !account.usable:
		return []Finding{warning(subscriptionName, "", "not seen, as PagerDuty could not be asked")}
	case errors.Is(err, access.ErrDenied):
		return []Finding{warning(subscriptionName, "let the key read webhook subscriptions (webhook_subscriptions.read; Manager, Admin or Owner)",
			"not seen, and one that PagerDuty disables will not be noticed: %v", err)}
	case err != nil:
		return []Finding{warning(subscriptionName, "try again", "not seen: %v", err)}
	}
	ours := w.Ours(account.subscriptions)
	if len(ours) == 0 {
		return []Finding{w.none(account.subscriptions)}
	}
	var all []Finding
	for _, s := range ours {
		all = append(all, w.judge(s, slices.ContainsFunc(ours, delivers))...)
	}
	all = append(all, twice(ours)...)
	if len(all) == 0 && running.Subscription != "" {
		all = append(all, warning(subscriptionName, "", "the running pdhook says: %s", running.Subscription))
	}
	if len(all) > 0 {
		return all
	}
	for _, s := range slices.DeleteFunc(ours, func(s access.Subscription) bool { return !delivers(s) }) {
		all = append(all, ok(subscriptionName, "%s brings events to %s", s.ID, s.URL))
	}
	return all
}

func delivers(s access.Subscription) bool { return s.Active && !s.Disabled }

// subscribe is the command that makes or mends a subscription.
func (w *Webhook) subscribe(address string) string {
	if address == "" {
		address = "https://HOST" + w.Path
	}
	return "pdhook subscribe --url " + address
}

// maxShown is how many of several things are named.
const maxShown = 5

// none tells that nothing leads here, and what leads elsewhere.
func (w *Webhook) none(listed []access.Subscription) Finding {
	mend := w.subscribe("") + "\none of another account or region than the key's is not seen here"
	if len(listed) == 0 {
		return failed(subscriptionName, mend, "the key sees none: PagerDuty brings no events")
	}
	var addresses []string
	for _, s := range listed[:min(len(listed), maxShown)] {
		addresses = append(addresses, s.URL)
	}
	return failed(subscriptionName, mend+"\nor set webhook.path to where the one that is meant leads",
		"none of %s leads to %s: PagerDuty brings no events; they lead to %s", plural(len(listed), "subscription"), w.Path, strings.Join(addresses, ", "))
}

// judge tells what is wrong with one that leads here. Another may do the work of one that is switched off.
func (w *Webhook) judge(s access.Subscription, delivered bool) (all []Finding) {
	switch {
	case !s.Active && !delivered:
		all = append(all, failed(subscriptionName, w.subscribe(s.URL)+" switches it on", "%s is switched off (active is false): PagerDuty brings no events", s.ID))
	case !s.Active:
		return nil
	case s.Disabled:
		all = append(all, failed(subscriptionName,
			fmt.Sprintf("%s enables it, and a running pdhook does so by itself where the key may;\nPagerDuty does this after three deliveries in a row that were refused with 4xx or failed for TLS: see that secrets and certificate are right", w.subscribe(s.URL)),
			"%s is disabled by PagerDuty for a day (temporarily_disabled): it brings no events", s.ID))
	}
	if missing := w.Lacks(s); len(missing) > 0 {
		all = append(all, failed(subscriptionName, w.subscribe(s.URL)+" adds them", "%s lacks event types that pdhook uses: %s", s.ID, strings.Join(missing, ", ")))
	}
	return append(all, w.reached(s)...)
}

// reached compares the URL with how the endpoint is served. An ingress may serve it in another way.
func (w *Webhook) reached(s access.Subscription) []Finding {
	u, err := url.Parse(s.URL)
	if err != nil || w.Insecure || w.ChainErr != nil {
		return nil
	}
	if u.Scheme != "https" {
		return []Finding{warning(subscriptionName, "make one with https:// and delete this one: "+w.subscribe("")+"\nnothing to do behind an ingress that speaks TLS to pdhook",
			"%s leads to %s, and pdhook takes HTTPS only", s.ID, s.URL)}
	}
	if err := w.Chain[0].VerifyHostname(u.Hostname()); err != nil {
		return []Finding{warning(subscriptionName, "put a certificate for that host into "+w.CertFile+", or correct the URL: "+w.subscribe("")+"\nnothing to do where an ingress in front of pdhook has it",
			"%s leads to %s, for which webhook.tls_cert is not: %v", s.ID, s.URL, err)}
	}
	return nil
}

// twice tells of several with one URL: each event comes from each of them.
func twice(ours []access.Subscription) []Finding {
	of := map[string][]string{}
	for _, s := range ours {
		of[s.URL] = append(of[s.URL], string(s.ID))
	}
	var all []Finding
	for _, s := range ours {
		if ids := of[s.URL]; len(ids) > 1 && ids[0] == string(s.ID) {
			all = append(all, warning(subscriptionName, "delete all but one in PagerDuty, unless a secret is being rotated",
				"%s lead to one URL, so that events come more than once: %s", strings.Join(ids, ", "), s.URL))
		}
	}
	return all
}
