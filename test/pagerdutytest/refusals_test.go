package pagerdutytest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEachRuleRefusesInPagerDutysWords(t *testing.T) {
	incident := func(w *world, more string) string {
		return fmt.Sprintf(`{"incident":{"type":"incident","title":"t","service":{"id":%q,"type":"service_reference"}%s}}`, w.payments.ID, more)
	}
	without := func(header string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Del(header) }
	}
	subscription := func(url, event, filter string) func(*world) string {
		return func(*world) string {
			return fmt.Sprintf(`{"webhook_subscription":{"type":"webhook_subscription","delivery_method":{"type":"http_delivery_method","url":%q},"events":[%q],"filter":{"type":%q,"id":"PNONE"}}}`, url, event, filter)
		}
	}
	rows := []struct {
		name   string
		method string
		path   string
		body   func(*world) string
		before func(*world)
		change func(*http.Request)
		status int
		code   int
		text   string
	}{
		{name: "no Accept", path: "/users", change: without("Accept"), status: 400, code: 2001, text: "Accept"},
		{
			name: "no Content-Type", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			change: without("Content-Type"), status: 400, code: 2001, text: "params must be a Hash",
		},
		{
			name: "no From", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			change: without("From"), status: 400, code: 2016, text: missingFrom[:20],
		},
		{
			name: "unknown From", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			change: func(r *http.Request) { r.Header.Set("From", "nobody@example.com") }, status: 400, code: 1008, text: "Requester User Not Found",
		},
		{
			name: "service disabled", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			before: func(w *world) { w.DisableService(w.payments.ID) }, status: 400, code: 2001, text: "could not be created",
		},
		{
			name: "service in maintenance", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			before: func(w *world) { w.StartMaintenance(w.payments.ID) }, status: 400, code: 2001, text: "could not be created",
		},
		{
			name: "nobody on call", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			before: func(w *world) { w.SetLevels(w.policy.ID, []Target{w.AddSchedule("empty")}) }, status: 400, code: 1015, text: "No User On Call",
		},
		{
			name: "service gone", method: "POST", path: "/incidents", body: func(w *world) string { return incident(w, "") },
			before: func(w *world) { w.DeleteService(w.payments.ID) }, status: 400, code: 5002, text: "Service Not Found",
		},
		{
			name: "policy and assignee", method: "POST", path: "/incidents", status: 400, code: 2001, text: "both",
			body: func(w *world) string {
				return incident(w, fmt.Sprintf(`,"escalation_policy":{"id":%q,"type":"escalation_policy_reference"},"assignments":[{"assignee":{"id":%q,"type":"user_reference"}}]`, w.policy.ID, w.alice.ID))
			},
		},
		{
			name: "no title", method: "POST", path: "/incidents", status: 400, code: 2001,
			body: func(w *world) string {
				return fmt.Sprintf(`{"incident":{"type":"incident","service":{"id":%q,"type":"service_reference"}}}`, w.payments.ID)
			},
		},
		{name: "resolved twice", method: "PUT", path: "/incidents/1", before: func(w *world) { w.Resolve(w.create("k").ID, "") }, body: status("resolved"), status: 400, code: 1001},
		{
			name: "reopen refused", method: "PUT", path: "/incidents/1", body: status("triggered"), status: 400, code: 1001,
			before: func(w *world) { w.Resolve(w.create("k").ID, ""); w.Fault(Fault{Kind: RefuseReopen}) },
		},
		{name: "bulk of 251", method: "PUT", path: "/incidents", body: func(*world) string { return bulk(251) }, status: 413},
		{name: "empty note", method: "POST", path: "/incidents/1/notes", before: func(w *world) { w.create("k") }, body: func(*world) string { return `{"note":{"content":""}}` }, status: 400, code: 2001},
		{name: "page too far", path: "/users?limit=100&offset=9950", status: 400, code: 2001},
		{name: "range backwards", path: "/oncalls?since=2026-03-02T05:00:00Z&until=2026-03-02T04:00:00Z", status: 400, code: 2005},
		{name: "look-ahead over 90 days", path: "/oncalls?until=2026-07-02T05:00:00Z", status: 400, code: 2005},
		{name: "range over six months", path: "/incidents?since=2025-01-01T00:00:00Z", status: 400, code: 2005},
		{name: "unknown incident", path: "/incidents/QNONE", status: 404, code: 5001},
		{name: "unknown user", path: "/users/PNONE", status: 404, code: 2100},
		{name: "unknown ability", path: "/abilities/flying", status: 404, code: 2100},
		{name: "unknown path", path: "/nonsense", status: 404, code: 2100},
		{name: "filter id missing", path: "/webhook_subscriptions?filter_type=service", status: 400, code: 2001},
		{name: "unknown team", path: "/teams/PNONE", status: 404, code: 2100},
		{
			name: "subscription to the test event", method: "POST", path: "/webhook_subscriptions",
			body: subscription("https://pdhook.example.com", "pagey.ping", "account_reference"), status: 400, code: 2001, text: "pagey.ping",
		},
		{
			name: "subscription to an unknown event type", method: "POST", path: "/webhook_subscriptions",
			body: subscription("https://pdhook.example.com", "schedule.updated", "account_reference"), status: 400, code: 2001, text: "schedule.updated",
		},
		{
			name: "subscription to no URL", method: "POST", path: "/webhook_subscriptions",
			body: subscription("pdhook.example.com", "incident.resolved", "account_reference"), status: 400, code: 2001, text: "url",
		},
		{
			name: "subscription for an unknown team", method: "POST", path: "/webhook_subscriptions",
			body: subscription("https://pdhook.example.com", "incident.resolved", "team_reference"), status: 404, code: 2100, text: "team",
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			if row.before != nil {
				row.before(w)
			}
			body := ""
			if row.body != nil {
				body = row.body(w)
			}
			r := w.request(t.Context(), row.method, row.path, body)
			if row.change != nil {
				row.change(r)
			}
			got := w.do(r)
			if got.StatusCode != row.status {
				t.Fatalf("status: got %d, want %d: %s", got.StatusCode, row.status, got.text)
			}
			refused := got.json(t)["error"].(map[string]any)
			if row.code != 0 && refused["code"] != float64(row.code) {
				t.Errorf("code: got %v, want %d", refused["code"], row.code)
			}
			if !strings.Contains(fmt.Sprint(refused), row.text) {
				t.Errorf("error: got %v, want it to say %q", refused, row.text)
			}
		})
	}
}

func status(s string) func(*world) string {
	return func(*world) string { return `{"incident":{"type":"incident_reference","status":"` + s + `"}}` }
}

func bulk(n int) string {
	return `{"incidents":[` + strings.TrimSuffix(strings.Repeat(`{"id":"Q1","type":"incident_reference","status":"resolved"},`, n), ",") + `]}`
}

func TestWrongKeyIsRefusedWithoutJSON(t *testing.T) {
	w := newWorld(t, Options{})
	r := w.request(t.Context(), "GET", "/users", "")
	r.Header.Set("Authorization", "Token token=wrong")
	got := w.do(r)
	if got.StatusCode != 401 || got.text != "" || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
		t.Errorf("got %d %q %q, want 401, text/html, empty", got.StatusCode, got.Header.Get("Content-Type"), got.text)
	}
}

func TestAccountKeyHasNoCurrentUser(t *testing.T) {
	w := newWorld(t, Options{})
	got := w.get("/users/me")
	text, is := got.json(t)["error"].(string)
	if got.StatusCode != 400 || !is || !strings.Contains(text, "account-level access token") {
		t.Errorf("got %d %s, want 400 and a plain string", got.StatusCode, got.text)
	}
}

func TestRateLimitIsShownAndEndsAfterAMinute(t *testing.T) {
	w := newWorld(t, Options{RateLimit: 2})
	first := w.get("/abilities")
	if first.Header.Get("ratelimit-limit") != "2" || first.Header.Get("ratelimit-remaining") != "1" || first.Header.Get("ratelimit-reset") != "60" {
		t.Errorf("headers: got %v", first.Header)
	}
	w.get("/abilities")
	w.clock.Advance(20 * time.Second)
	third := w.get("/abilities")
	if third.StatusCode != 429 || third.json(t)["error"].(map[string]any)["code"] != 2020.0 || third.Header.Get("ratelimit-reset") != "40" {
		t.Errorf("over the limit: got %d %s, reset %s", third.StatusCode, third.text, third.Header.Get("ratelimit-reset"))
	}
	w.clock.Advance(40 * time.Second)
	if got := w.get("/abilities"); got.StatusCode != 200 {
		t.Errorf("a minute later: got %d, want 200", got.StatusCode)
	}
}

func TestEmptyIncidentKeyFindsEverything(t *testing.T) {
	w := newWorld(t, Options{})
	w.create("a")
	w.create("b")
	if got := w.get("/incidents?incident_key=").json(t)["incidents"].([]any); len(got) != 2 {
		t.Errorf("got %d incidents, want both", len(got))
	}
}

func TestOldIncidentsAreHiddenWithoutDateRangeAll(t *testing.T) {
	w := newWorld(t, Options{})
	w.create("a")
	w.clock.Advance(40 * 24 * time.Hour)
	for path, want := range map[string]int{"/incidents": 0, "/incidents?date_range=all": 1} {
		if got := w.get(path).json(t)["incidents"].([]any); len(got) != want {
			t.Errorf("%s: got %d, want %d", path, len(got), want)
		}
	}
}

func TestViolationOfTheDocumentIsRefusedAndReported(t *testing.T) {
	w := newWorld(t, Options{})
	if w.document == nil {
		t.Log("the OpenAPI document is not there: nothing to check against")
		return
	}
	got := w.get("/incidents?statuses[]=burning")
	if got.StatusCode != 400 {
		t.Errorf("got %d, want 400", got.StatusCode)
	}
	if v := w.Violations(); len(v) != 1 || !strings.HasPrefix(v[0], "GET /incidents: ") {
		t.Errorf("violations: got %q, want one of GET /incidents", v)
	}
}
