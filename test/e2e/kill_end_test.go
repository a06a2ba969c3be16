package e2e

import (
	"crypto/tls"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// end lives until every tale is told, and checks what is left in the world.
func (k *killing) end() {
	k.t.Helper()
	k.within(k.untilQuiet, "every tale is told", func() bool {
		k.live("")
		return !slices.ContainsFunc(k.tales, func(t *tale) bool { return t.next < len(k.plots[t.plot].steps) })
	})
	k.within(k.untilQuiet, "every incident of a request is resolved", func() bool {
		return !slices.ContainsFunc(k.pd.Incidents(), func(i pagerdutytest.Incident) bool {
			return strings.HasPrefix(i.Key, "teleport-access-request/") && i.Status != "resolved"
		})
	})
	k.within(k.untilQuiet, "no webhook is on its way", func() bool { return k.pd.WaitDelivered(time.Second) == nil })
	k.within(k.untilQuiet, "nothing is left to do", func() bool {
		return !slices.ContainsFunc(k.living(), func(r *world) bool { return !r.idle() })
	})
	for _, t := range k.tales {
		k.toldOnce(t)
	}
	for _, id := range k.past {
		if n := len(k.incidents(id)); n != 0 {
			k.t.Errorf("%s, which was over before pdhook could hear of it, has %d incidents", id, n)
		}
	}
	want := len(k.outages) + k.elsewhere
	for _, t := range k.tales {
		want += k.plots[t.plot].services
		if t.outage != "" {
			want++
		}
	}
	if got := len(k.pd.Incidents()); got != want {
		k.t.Errorf("got %d incidents, want %d", got, want)
	}
}

// events counts the events of a kind about an incident.
func (w *world) events(kind, incident string) int {
	seen := map[string]bool{}
	for _, d := range w.pd.Deliveries() {
		if d.EventType == kind && d.Resource == incident {
			seen[d.EventID] = true
		}
	}
	return len(seen)
}

// forgotNothing checks that every webhook was taken in the end, and that a pdhook knows each of them: sent once
// more, it is not new to it.
func (k *killing) forgotNothing() {
	k.t.Helper()
	clients := map[*world]*http.Client{}
	for _, r := range k.replicas {
		clients[r] = r.asPagerDuty(&tls.Config{})
	}
	all := k.pd.Deliveries()
	for _, d := range all {
		if d.State != pagerdutytest.Delivered {
			k.t.Errorf("event %s (%s) is %s after %d attempts: %d %s", d.EventID, d.EventType, d.State, d.Attempts, d.Status, d.Error)
		}
		if !slices.ContainsFunc(k.replicas, func(r *world) bool { return r.had(clients[r], d.Body) }) {
			k.t.Errorf("event %s (%s) was answered 202 and is not known any more", d.EventID, d.EventType)
		}
	}
	k.t.Logf("%d webhooks", len(all))
}

// had reports whether an event that is sent to this pdhook counts as one that it had before.
func (w *world) had(client *http.Client, body []byte) bool {
	w.t.Helper()
	before := w.duplicates()
	itself := *w // not whom PagerDuty's webhooks reach next
	itself.sub.URL = "https://" + w.endpoint() + "/webhooks/pagerduty"
	if a, err := itself.try(client, signedBy(secret, string(body))); err != nil || a.status != http.StatusAccepted {
		w.t.Errorf("an event once more: got %d, %v; want 202", a.status, err)
	}
	return w.duplicates() > before
}

// duplicates counts the webhooks that this process had before.
func (w *world) duplicates() (n int) {
	w.t.Helper()
	_, body := w.get("/metrics")
	for _, found := range regexp.MustCompile(`pdhook_webhooks_total\{.*outcome="duplicate"\} (\d+)`).FindAllSubmatch(body, -1) {
		one, err := strconv.Atoi(string(found[1]))
		if err != nil {
			w.t.Fatal(err)
		}
		n += one
	}
	return n
}

// takesEffectAlone checks that webhooks that were answered 202 before a kill take effect after it without any
// other hint: Teleport lists nothing, and nobody polls.
func (k *killing) takesEffectAlone(n int) {
	k.t.Helper()
	var waiting []*tale
	for range n {
		k.begin(isAcknowledged)
		waiting = append(waiting, k.tales[len(k.tales)-1])
	}
	k.within(time.Minute, "they have their incidents", func() bool {
		return !slices.ContainsFunc(waiting, func(t *tale) bool { return !opened(k, t) })
	})
	k.settled()
	k.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang}) // nothing takes effect before the kill
	asked := k.pd.CountRequests("")
	for i, t := range waiting {
		k.pd.Acknowledge(t.outage, k.kim.ID)
		t.next++
		if i == 0 { // this one has reached its request, others perhaps not
			k.eventually("pdhook looks at the request", func() bool { return k.pd.CountRequests("") > asked })
		}
	}
	k.eventually("the webhooks are taken", func() bool { return k.pd.WaitDelivered(time.Second) == nil })
	k.proc.kill()
	k.trap.hideLists(true)
	k.pd.ClearFaults()
	k.launch()
	for _, t := range waiting {
		k.reaches(t.id, types.RequestState_APPROVED)
	}
	if !k.status().Teleport.LastResync.IsZero() {
		k.t.Error("Teleport has listed requests: it was not the webhooks that did it")
	}
	k.trap.hideLists(false)
	k.eventually("pdhook lists again", func() bool { return !k.status().Teleport.LastResync.IsZero() })
}
