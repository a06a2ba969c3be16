package store

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// What a request of everyday leaves behind, with texts of everyday's length: the page on scale states its size.
func TestThePageOnScaleSaysWhatIsKept(t *testing.T) {
	const id = "01890a5d-ac96-774b-bcce-000000000001"
	link := access.Link{
		Request: id, Cluster: "teleport.example.com", User: "alice@example.com", Roles: []string{"payments-admin"}, Reason: "checkout fails for every second customer",
		Created: noon, Expires: noon.Add(time.Hour), State: access.Approved, Resolve: "alice@example.com is on call for Payments API (level 1)", Reviewed: true,
		Finished: noon, Updated: noon,
		Reviews: []access.Review{{Author: "pdhook", State: access.Approved, Reason: "alice@example.com is on call for Payments API (level 1)", Time: noon}},
		Incidents: []access.LinkedIncident{{ID: "Q1ABCDEFGHIJKL", Ref: "Payments API", Key: "teleport-access-request/" + id, Service: "PABCDEF",
			ServiceName: "Payments API", URL: "https://acme.pagerduty.com/incidents/Q1ABCDEFGHIJKL", Reviews: 1, Noted: true, Ended: true, Verified: true, Status: access.Resolved}},
	}
	check := func(name string, children ...access.Check) access.Check {
		return access.Check{Name: name, Status: access.Passed, Saw: "PABCDEF at level 1 of PABCDEF", ReadAt: noon,
			Sentence: "alice@example.com is on call for Payments API (level 1, since 2026-03-01T08:00:00Z)", Children: children}
	}
	decision := access.Decision{
		Request: id, Verdict: access.Approve, Cause: access.CauseCreated, Time: noon, Sentence: "alice@example.com is on call for Payments API",
		Checks: []access.Check{check("user"), check("roles"), check("on call", check("service Payments API")), check("incident"), check("window"), check("reviews")},
		Evidence: &access.Evidence{User: access.User{ID: "PABCDEF", Name: "Alice", Email: "alice@example.com", Account: "acme"}, ReadAt: noon,
			Service: access.Service{ID: "PABCDEF", Name: "Payments API", Policy: "PABCDEF"}, OnCall: access.OnCall{Policy: "PABCDEF", Schedule: "PABCDEF", Level: 1, Start: noon}},
	}
	waiting := delivery{Delivery: Delivery{ID: "01F9SR8Z1QXYABCDEFGHJKMNPQ", Type: "incident.acknowledged", Occurred: noon, Received: noon}}
	finished := waiting
	finished.Finished, finished.Outcome = noon, "woke 1 request"

	page, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string]any{"link": link, "decision": decision, "event": finished} {
		value, err := encode(kept)
		if err != nil {
			t.Fatal(err)
		}
		stated := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %s \| ([0-9.]+) KiB \|`, name)).FindSubmatch(page)
		if stated == nil {
			t.Errorf("docs/scale.md has no row for a %s of %d bytes", name, len(value))
			continue
		}
		want, err := strconv.ParseFloat(string(stated[1]), 64)
		if got := float64(len(value)) / 1024; err != nil || got > 1.25*want || got < 0.75*want {
			t.Errorf("a %s takes %.2f KiB, docs/scale.md says %s", name, got, stated[1])
		}
	}
}
