// Package access holds the words of pdhook's domain: requests, incidents, who is on call, links and
// decisions. Everything else speaks in these words; nothing here reads, writes or waits.
package access

import "strings"

// Identifiers are types of their own, so that one cannot be passed for another by accident.
type (
	// RequestID names a Teleport Access Request (a UUID).
	RequestID string
	// IncidentID names a PagerDuty incident, e.g. "Q2CKYRLH85UNN4".
	IncidentID string
	// ServiceID names a PagerDuty service.
	ServiceID string
	// PolicyID names a PagerDuty escalation policy.
	PolicyID string
	// ScheduleID names a PagerDuty schedule of either kind.
	ScheduleID string
	// UserID names a PagerDuty user.
	UserID string
	// EventID names a PagerDuty webhook event; PagerDuty repeats a delivery under the same ID.
	EventID string
	// SubscriptionID names a PagerDuty webhook subscription.
	SubscriptionID string
)

// KeyPrefix begins the incident_key of every incident that pdhook opens. Teleport's own plugin uses the
// same prefix, so that its open incidents are recognised (spec §5).
const KeyPrefix = "teleport-access-request/"

// IncidentKey is the incident_key under which PagerDuty de-duplicates the incidents of a request.
func IncidentKey(id RequestID) string { return KeyPrefix + string(id) }

// FallbackIncidentKey is used on a service where a stranger's open incident holds IncidentKey (spec §5).
func FallbackIncidentKey(id RequestID) string { return IncidentKey(id) + "/2" }

// RequestOfKey gives the request that an incident_key of pdhook names, and false for any other key.
func RequestOfKey(key string) (RequestID, bool) {
	id, ours := strings.CutPrefix(key, KeyPrefix)
	id = strings.TrimSuffix(id, "/2")
	return RequestID(id), ours && id != "" && !strings.Contains(id, "/")
}
