package subscription

import "github.com/pdhook/pdhook/internal/access"

// Ours gives those of the listed subscriptions that lead to webhook.path, as a Keeper takes them that has not
// accepted any webhook yet.
func Ours(listed []access.Subscription, path string) []access.Subscription {
	return New(Config{Path: path}).ours(listed)
}

// Missing gives the event types that a subscription does not ask for.
func Missing(s access.Subscription, eventTypes []string) []string {
	return findings{keeper: New(Config{EventTypes: eventTypes})}.missing(s)
}
