package browser

import (
	"fmt"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

// What a responder sees on a bad night.

func inOrder() admin.Status {
	now := time.Now()
	return admin.Status{
		Version:   "v1.4.0",
		Teleport:  admin.Teleport{Connected: true, Watching: true, LastResync: now.Add(-2 * time.Minute), IdentityExpires: now.Add(50 * time.Minute), Cluster: "teleport.example.com", ServerVersion: "17.2.1"},
		PagerDuty: admin.PagerDuty{Reachable: true, Account: "acme", RateLimitLimit: new(960), RateLimitRemaining: new(874)},
		Webhook: admin.Webhook{CertificateExpires: now.Add(61 * 24 * time.Hour), Subscription: admin.Subscription{
			ID: "PSUB7QX", URL: "https://pdhook.example.com/webhooks/pagerduty", Active: true, LastLook: now.Add(-3 * time.Minute)}},
	}
}

func check(name string, status access.Status, sentence string, children ...access.Check) access.Check {
	return access.Check{Name: name, Status: status, Sentence: sentence, Children: children, ReadAt: time.Now().Add(-time.Minute)}
}

// others are the checks that pass beside those given.
func others(different ...access.Check) []access.Check {
	all := []access.Check{
		check("user", access.Passed, "kim@example.com is a PagerDuty user"),
		check("roles", access.Passed, "any role may be approved automatically"),
		check("on call", access.Passed, "kim@example.com is on call for Payments API (level 1, always)"),
		check("incident", access.Passed, "being on call is enough, no incident is required"),
		check("window", access.Passed, "the access starts now and ends soon enough"),
		check("reviews", access.Passed, "nobody has denied the request"),
	}
	for _, d := range different {
		for i := range all {
			if all[i].Name == d.Name {
				all[i] = d
			}
		}
	}
	return all
}

func incident(id, service string, status access.IncidentStatus, by ...string) admin.Incident {
	return admin.Incident{ID: access.IncidentID(id), Service: service, Status: status, URL: "https://acme.pagerduty.com/incidents/" + id, AcknowledgedBy: by}
}

func waiting(id, user, role, reason string, age time.Duration) admin.Request {
	now := time.Now()
	return admin.Request{
		ID: access.RequestID(id), User: user, Roles: []string{role}, State: access.Pending, Reason: reason, Created: now.Add(-age),
		Expires: now.Add(time.Hour - age), URL: "https://teleport.example.com/web/requests/" + id,
		NextLook: now.Add(3 * time.Minute), NextLookWhy: access.CauseTimer, Incidents: []admin.Incident{},
	}
}

const (
	danasID = "0195a6c2-71f4-7e0e-8a4c-3f1d9f6b2a11"
	leesID  = "0195a6c4-0b52-7b6d-9a70-52d1c0de8e42"
	samsID  = "0195a6c5-9e11-7a3f-8f08-1b7b6d5c4e93"
	kimsID  = "0195a6b0-4c1d-7d2a-b3f2-6e0a1c9d7f04"
)

// dana is not on call; her shift starts later tonight.
func dana() admin.Request {
	shift := time.Now().Add(2*time.Hour + 41*time.Minute).UTC().Format(time.RFC3339)
	r := waiting(danasID, "dana@example.com", "payments-admin", "Checkout returns 502 since the deploy, need to roll back", 12*time.Minute)
	r.Incidents = []admin.Incident{incident("Q2GNX1TR0PK8MD", "Payments API", access.Acknowledged, "Kim Ode")}
	no := "dana@example.com is not on call for Payments API, next from " + shift + ": level 1 is kim@example.com"
	search := "dana@example.com is not on call for Ledger: level 1 is sam@example.com, level 2 is lee@example.com"
	onCall := check("on call", access.Failed, no, check("service Payments API", access.Failed, no), check("service Ledger", access.Failed, search))
	onCall.Children[0].Remedy = "somebody puts dana@example.com on call for Payments API, for example by an override"
	r.Decision = &access.Decision{Request: r.ID, Verdict: access.No, Cause: "webhook incident.acknowledged", Time: time.Now().Add(-4 * time.Minute), Sentence: no,
		Checks: others(onCall, check("user", access.Passed, "dana@example.com is a PagerDuty user")), Instead: "kim@example.com, who is on call for Payments API, or any reviewer of payments-admin"}
	r.NextLookWhy = access.CauseShift
	return r
}

// lee's request could not be evaluated, and nobody is paged for it.
func lee() admin.Request {
	r := waiting(leesID, "lee@example.com", "search-admin", "", 3*time.Minute)
	unread := "who is on call for Search API could not be read: PagerDuty answered 503 Service Unavailable"
	onCall := check("on call", access.Unknown, unread, check("service Search API", access.Unknown, unread))
	onCall.Remedy = "PagerDuty tells; pdhook asks again by itself"
	r.Decision = &access.Decision{Request: r.ID, Verdict: access.CouldNotTell, Cause: access.CauseCreated, Time: time.Now().Add(-time.Minute), Sentence: unread,
		Checks: others(onCall, check("user", access.Passed, "lee@example.com is a PagerDuty user"), check("incident", access.Unknown, "open incidents were not looked up: nothing shows that the requester is on call"))}
	r.Failing = "creating incident on Search API: PagerDuty answered 503 Service Unavailable"
	r.Unnotified = []string{"Search API: PagerDuty answered 503 Service Unavailable"}
	r.NextLook, r.NextLookWhy = time.Now().Add(40*time.Second), access.CauseRetry
	return r
}

// sam was reviewed, and Teleport wants one more approval.
func sam() admin.Request {
	r := waiting(samsID, "sam@example.com", "ledger-admin", "Reconcile stuck batch 8812", 31*time.Minute)
	r.Incidents = []admin.Incident{incident("Q1LEDGER0PK8ZZ", "Ledger", access.Triggered)}
	r.Reviews = []access.Review{{Author: "pdhook", State: access.Approved, Reason: "Approved by pdhook: sam@example.com is on call for Ledger (level 1, always).\npdhook: basis=none oncall=P/1/U read=…", Time: time.Now().Add(-30 * time.Minute)}}
	yes := "sam@example.com is on call for Ledger (level 1, always)"
	r.Decision = &access.Decision{Request: r.ID, Verdict: access.Approve, Cause: access.CauseCreated, Time: time.Now().Add(-31 * time.Minute), Sentence: yes,
		Checks: others(check("user", access.Passed, "sam@example.com is a PagerDuty user"), check("on call", access.Passed, yes, check("service Ledger", access.Passed, yes)))}
	r.Decision.Instead, r.Reviewed = "any other reviewer of ledger-admin", true
	return r
}

func approved(r admin.Request, by string, ago time.Duration) admin.Request {
	r.State, r.Decision, r.NextLook, r.Failing, r.Unnotified = access.Approved, nil, time.Time{}, "", nil
	r.Reviews = append(r.Reviews, access.Review{Author: by, State: access.Approved, Reason: "seen the incident", Time: time.Now().Add(-ago)})
	return r
}

// automatic was approved by pdhook.
func automatic() admin.Request {
	r := waiting(kimsID, "kim@example.com", "payments-admin", "pager", 70*time.Minute)
	yes := "kim@example.com is on call for Payments API (level 1, since 2026-11-22T08:00:00Z)"
	r = approved(r, "pdhook", 70*time.Minute)
	r.Reviews[0].Reason, r.Reviewed = "Approved by pdhook: "+yes, true
	r.Incidents = []admin.Incident{incident("Q0PAY00000PK8A", "Payments API", access.Resolved)}
	r.Decision = &access.Decision{Verdict: access.Approve, Time: time.Now().Add(-70 * time.Minute), Sentence: yes, Checks: others()}
	return r
}

// aNight fills the page.
func (d *desk) aNight() {
	denied := waiting("0195a680-aaaa-7d2a-b3f2-6e0a1c9d7f04", "ari@example.com", "payments-admin", "", 3*time.Hour)
	denied.State, denied.NextLook = access.Denied, time.Time{}
	denied.Reviews = []access.Review{{Author: "kim@example.com", State: access.Denied, Reason: "please use the runbook", Time: time.Now().Add(-170 * time.Minute)}}
	gone := waiting("0195a670-bbbb-7d2a-b3f2-6e0a1c9d7f04", "noor@example.com", "search-admin", "", 26*time.Hour)
	gone.State, gone.NextLook = access.Expired, time.Time{}
	d.change(func() {
		d.requests = []admin.Request{sam(), dana(), lee(), automatic(), denied, gone}
		d.ready = []string{"store: only 41 MiB are free on the volume, 64 MiB are needed"}
		d.status.Webhook.NotReady = d.ready
		d.status.Queue = admin.Queue{Depth: 1, Failing: 1}
		d.status.PagerDuty.LastError = "GET /oncalls: PagerDuty answered 503 Service Unavailable"
		for i, event := range []string{"incident.acknowledged", "incident.triggered", "service.updated", "pagey.ping", "incident.resolved"} {
			at := time.Now().Add(-time.Duration(1+i*7) * time.Minute)
			d.deliveries = append(d.deliveries, admin.Delivery{ID: access.EventID(fmt.Sprint(i)), Type: event, Received: at, Finished: at,
				Outcome: []string{"woke 1 request", "no pending request", "woke 3 requests", "ping", "ignored"}[i]})
		}
		d.deliveries[0].Finished = time.Time{}
	})
}
