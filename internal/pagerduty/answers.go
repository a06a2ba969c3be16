package pagerduty

// routes are the calls that a running pdhook makes.
func routes() []string {
	return []string{
		"GET /incidents", "GET /incidents/{id}", "GET /incidents/{id}/log_entries", "GET /incidents/{id}/notes",
		"GET /oncalls", "GET /schedules", "GET /schedules/{id}", "GET /services", "GET /services/{id}", "GET /users",
		"GET /v3/schedules", "GET /v3/schedules/{id}", "GET /webhook_subscriptions",
		"POST /incidents", "POST /incidents/{id}/notes", "POST /webhook_subscriptions/{id}/enable",
		"PUT /incidents", "PUT /incidents/{id}",
	}
}

// Answers lists the usual ones of what Config.Observe is told: each route with the codes that say that it works,
// and those that say that all of PagerDuty does not. Any other status code may come, too.
func Answers() [][2]string {
	var pairs [][2]string
	for _, route := range routes() {
		works := "200"
		if route == "POST /incidents" {
			works = "201"
		}
		for _, code := range []string{works, "0", "401", "429", "500", "502", "503"} {
			pairs = append(pairs, [2]string{route, code})
		}
	}
	return pairs
}
