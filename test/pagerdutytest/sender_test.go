package pagerdutytest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is what webhooks are sent to. It answers with the statuses in line, then 202.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	got      []arrival
}

type arrival struct {
	header http.Header
	body   []byte
	tls    uint16
	event  struct {
		ID   string
		Type string `json:"event_type"`
		Data struct{ Status, Title string }
	}
}

func newReceiver(t *testing.T, statuses ...int) *receiver {
	t.Helper()
	r := &receiver{statuses: statuses}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(r.take))
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	a := arrival{header: req.Header, tls: req.TLS.Version}
	a.body, _ = io.ReadAll(req.Body)
	var body struct{ Event json.RawMessage }
	_ = json.Unmarshal(a.body, &body)
	_ = json.Unmarshal(body.Event, &a.event)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, a)
	status := http.StatusAccepted
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	w.WriteHeader(status)
}

func (r *receiver) arrivals() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) types() (types []string) {
	for _, a := range r.arrivals() {
		types = append(types, a.event.Type)
	}
	return types
}

func (r *receiver) trusted() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(r.Certificate())
	return &tls.Config{RootCAs: pool}
}

func everything() []string {
	return []string{
		"incident.triggered", "incident.acknowledged", "incident.unacknowledged", "incident.resolved", "incident.reopened",
		"incident.escalated", "incident.reassigned", "incident.delegated", "incident.service_updated", "incident.annotated", "service.updated", "service.deleted",
	}
}

func hookedWorld(t *testing.T, r *receiver) (*world, Subscription) {
	t.Helper()
	w := newWorld(t, Options{WebhookRetry: time.Millisecond, WebhookTLS: r.trusted()})
	return w, w.Subscribe(Subscription{URL: r.URL, Secret: "a secret of some length", Events: everything()})
}

func (w *world) delivered() {
	w.t.Helper()
	if err := w.WaitDelivered(patience); err != nil {
		w.t.Fatal(err)
	}
}

func TestDeliveryLooksLikePagerDutys(t *testing.T) {
	r := newReceiver(t)
	w, sub := hookedWorld(t, r)
	i := w.create("k")
	w.delivered()
	a := r.arrivals()[0]
	for name, want := range map[string]string{
		"Content-Type":           "application/json",
		"User-Agent":             "PagerDuty-Webhook/V3.0",
		"X-Webhook-Subscription": sub.ID,
		"X-PagerDuty-Signature":  Sign(sub.Secret, a.body),
		"X-Webhook-Id":           w.Deliveries()[0].WebhookID,
	} {
		if got := a.header.Get(name); got != want || got == "" {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if a.tls != tls.VersionTLS12 {
		t.Errorf("TLS version: got %x, want 1.2", a.tls)
	}
	var event map[string]any
	if err := json.Unmarshal(a.body, &event); err != nil {
		t.Fatal(err)
	}
	event = event["event"].(map[string]any)
	data := event["data"].(map[string]any)
	if event["resource_type"] != "incident" || event["agent"].(map[string]any)["id"] != w.bot.ID || data["id"] != i.ID || data["incident_key"] != "k" || data["number"] != 1.0 {
		t.Errorf("event: got %s", a.body)
	}
}

func TestSignatureIsHexOfHMACSHA256(t *testing.T) {
	// Computed with: printf '{"event":{}}' | openssl dgst -sha256 -hmac secret
	want := "v1=2c984a26b96792f49173390b114619a17f5699a0bb42f13aff472b980b3080b5"
	if got := Sign("secret", []byte(`{"event":{}}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEachActionSendsItsEventInOrder(t *testing.T) {
	r := newReceiver(t)
	w, _ := hookedWorld(t, r)
	other := w.AddService("Other", w.policy.ID)
	i := w.create("k")
	w.Acknowledge(i.ID, w.alice.ID)
	w.Unacknowledge(i.ID)
	w.Reassign(i.ID, w.alice.ID, w.bob.ID)
	w.Escalate(i.ID)
	w.Delegate(i.ID, w.alice.ID, w.policy.ID)
	w.MoveIncident(i.ID, w.alice.ID, other.ID)
	w.Note(i.ID, w.alice.ID, "hello")
	w.Resolve(i.ID, "")
	w.Reopen(i.ID, w.bob.ID)
	w.do(w.request(t.Context(), "PUT", "/incidents/"+i.ID, `{"incident":{"type":"incident_reference","status":"resolved","resolution":"done"}}`))
	w.delivered()
	want := []string{
		"incident.triggered", "incident.acknowledged", "incident.unacknowledged", "incident.reassigned", "incident.escalated", "incident.delegated",
		"incident.service_updated", "incident.annotated", "incident.resolved", "incident.reopened", "incident.resolved", "incident.annotated",
	}
	if got := r.types(); !slices.Equal(got, want) {
		t.Errorf("events: got %v\nwant %v", got, want)
	}
	if body := string(r.arrivals()[8].body); !strings.Contains(body, `"agent":null`) || !strings.Contains(body, `"assignees":[]`) {
		t.Errorf("resolved by automation: got %s, want no agent and no assignees", body)
	}
	if body := string(r.arrivals()[11].body); !strings.Contains(body, "Resolution Note: done") {
		t.Errorf("last event: got %s, want the resolution note", body)
	}
}

func TestSubscriptionHearsOnlyItsServiceAndTypes(t *testing.T) {
	r := newReceiver(t)
	w := newWorld(t, Options{WebhookTLS: r.trusted()})
	other := w.AddService("Other", w.policy.ID)
	w.Subscribe(Subscription{URL: r.URL, Service: other.ID, Events: []string{"incident.resolved", "service.updated"}})
	w.Resolve(w.AddIncident(w.payments.ID, IncidentOptions{Title: "not this"}).ID, "")
	w.RenameService(w.payments.ID, "Not this")
	w.RenameService(other.ID, "This")
	w.Resolve(w.AddIncident(other.ID, IncidentOptions{Title: "this"}).ID, "")
	w.delivered()
	got := r.types()
	slices.Sort(got)
	if !slices.Equal(got, []string{"incident.resolved", "service.updated"}) {
		t.Errorf("events: got %v", got)
	}
}

func TestRetryKeepsOrderAndWebhookIDWhileOthersGoOn(t *testing.T) {
	r := newReceiver(t, 503, 429, 500)
	w, _ := hookedWorld(t, r)
	i := w.create("k")
	w.Acknowledge(i.ID, w.alice.ID)
	w.delivered()
	got := r.arrivals()
	if types := r.types(); fmt.Sprint(types) != "[incident.triggered incident.triggered incident.triggered incident.triggered incident.acknowledged]" {
		t.Errorf("attempts: got %v", types)
	}
	for _, a := range got[:4] {
		if a.header.Get("X-Webhook-Id") != got[0].header.Get("X-Webhook-Id") {
			t.Errorf("webhook ID changed between attempts")
		}
	}
	if d := w.Deliveries()[0]; d.State != Delivered || d.Attempts != 4 || d.Status != 202 {
		t.Errorf("delivery: got %+v", d)
	}
}

func TestIncidentThatIsRetriedDoesNotHoldUpAnother(t *testing.T) {
	r := newReceiver(t)
	stuck := make(chan struct{})
	r.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if strings.Contains(string(body), "stuck") {
			select {
			case <-stuck:
			default:
				rw.WriteHeader(503)
			}
		}
	})
	w, _ := hookedWorld(t, r)
	w.AddIncident(w.payments.ID, IncidentOptions{Title: "stuck"})
	w.AddIncident(w.payments.ID, IncidentOptions{Title: "free"})
	if err := w.WaitUntil(patience, func() bool { d := w.Deliveries(); return d[1].State == Delivered && d[0].Attempts > 2 }); err != nil {
		t.Errorf("%v: %+v", err, w.Deliveries())
	}
	close(stuck)
	w.delivered()
}

func TestThreeDroppedInARowDisableTheSubscription(t *testing.T) {
	r := newReceiver(t, 400, 403, 202, 400, 404, 410)
	w, sub := hookedWorld(t, r)
	i := w.create("k")
	for range 5 {
		w.Note(i.ID, w.alice.ID, "note")
	}
	w.delivered()
	if !w.TemporarilyDisabled(sub.ID) {
		t.Fatalf("not disabled after %+v", w.Deliveries())
	}
	w.Note(i.ID, w.alice.ID, "lost")
	if got := len(w.Deliveries()); got != 6 {
		t.Errorf("deliveries while disabled: got %d, want 6", got)
	}
	if got := w.do(w.request(t.Context(), "POST", "/webhook_subscriptions/"+sub.ID+"/enable", "")); got.StatusCode != 200 {
		t.Errorf("enable: got %d %s", got.StatusCode, got.text)
	}
	w.Note(i.ID, w.alice.ID, "heard")
	w.delivered()
	if got := w.Deliveries(); w.TemporarilyDisabled(sub.ID) || got[len(got)-1].State != Delivered {
		t.Errorf("after enable: got %+v", got[len(got)-1])
	}
}

func TestUntrustedCertificateIsDroppedAndRefusedConnectionRetried(t *testing.T) {
	r := newReceiver(t)
	w := newWorld(t, Options{WebhookRetry: time.Millisecond})
	w.Subscribe(Subscription{URL: r.URL, Events: everything()})
	w.create("k")
	w.delivered()
	if d := w.Deliveries()[0]; d.State != Dropped || d.Attempts != 1 || !strings.Contains(d.Error, "certificate") {
		t.Errorf("untrusted certificate: got %+v, want it dropped at once", d)
	}
	r.Close()
	w.Subscribe(Subscription{URL: r.URL, Events: []string{"incident.resolved"}, TLS: r.trusted()})
	w.Resolve(w.Incidents()[0].ID, "")
	refused := func() bool {
		return slices.ContainsFunc(w.Deliveries(), func(d Delivery) bool { return d.State == Queued && d.Attempts > 2 })
	}
	if err := w.WaitUntil(patience, refused); err != nil {
		t.Errorf("refused connection: %v: %+v", err, w.Deliveries())
	}
}

func TestReceiverThatNeedsTLS13IsDropped(t *testing.T) {
	r := newReceiver(t)
	strict := httptest.NewUnstartedServer(r.Config.Handler)
	strict.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	strict.StartTLS()
	t.Cleanup(strict.Close)
	w, _ := hookedWorld(t, r)
	w.Subscribe(Subscription{URL: strict.URL, Events: []string{"incident.resolved"}})
	w.Resolve(w.create("k").ID, "")
	w.delivered()
	if d := w.Deliveries()[2]; d.State != Dropped {
		t.Errorf("got %+v, want it dropped", d)
	}
}

func TestSubscriptionMadeByTheAPIShowsItsSecretOnceAndPings(t *testing.T) {
	r := newReceiver(t)
	w := newWorld(t, Options{WebhookTLS: r.trusted()})
	body := fmt.Sprintf(`{"webhook_subscription":{"type":"webhook_subscription","delivery_method":{"type":"http_delivery_method","url":%q,
		"custom_headers":[{"name":"X-Token","value":"hidden"}]},"events":["incident.resolved"],"filter":{"type":"account_reference"}}}`, r.URL)
	made := w.do(w.request(t.Context(), "POST", "/webhook_subscriptions", body)).json(t)["webhook_subscription"].(map[string]any)
	secret, _ := made["delivery_method"].(map[string]any)["secret"].(string)
	path := "/webhook_subscriptions/" + made["id"].(string)
	shown := w.get(path)
	if secret == "" || strings.Contains(shown.text, secret) || strings.Contains(shown.text, "hidden") {
		t.Errorf("secret %q; later shown: %s", secret, shown.text)
	}
	if got := w.do(w.request(t.Context(), "POST", path+"/ping", "")); got.StatusCode != 202 {
		t.Errorf("ping: got %d, want 202", got.StatusCode)
	}
	w.delivered()
	a := r.arrivals()[0]
	if a.event.Type != "pagey.ping" || a.header.Get("X-PagerDuty-Signature") != Sign(secret, a.body) || a.header.Get("X-Token") != "hidden" {
		t.Errorf("ping delivered: got %v %s", a.header, a.body)
	}
	change := `{"webhook_subscription":{"type":"webhook_subscription","active":false}}`
	if got := w.do(w.request(t.Context(), "PUT", path, change)); got.StatusCode != 200 || !strings.Contains(got.text, `"active":false`) {
		t.Errorf("update: got %d %s", got.StatusCode, got.text)
	}
	if got := w.do(w.request(t.Context(), "DELETE", path, "")); got.StatusCode != 204 || len(w.Subscriptions()) != 0 {
		t.Errorf("delete: got %d %s", got.StatusCode, got.text)
	}
	w.noViolations()
}

func TestLiesAndReplaysAreSigned(t *testing.T) {
	r := newReceiver(t)
	w, sub := hookedWorld(t, r)
	w.create("k")
	w.delivered()
	if status, err := w.Send(sub.ID, []byte(`{"event":{"id":"lie"}}`)); status != 202 || err != nil {
		t.Errorf("lie: got %d, %v", status, err)
	}
	if status, err := w.Redeliver(w.Deliveries()[0].WebhookID); status != 202 || err != nil {
		t.Errorf("replay: got %d, %v", status, err)
	}
	got := r.arrivals()
	if got[1].event.ID != "lie" || string(got[2].body) != string(got[0].body) || got[2].header.Get("X-Webhook-Id") != got[0].header.Get("X-Webhook-Id") {
		t.Errorf("arrivals: got %s, %s", got[1].body, got[2].body)
	}
	for _, a := range got {
		if a.header.Get("X-PagerDuty-Signature") != Sign(sub.Secret, a.body) {
			t.Errorf("signature: got %s", a.header.Get("X-PagerDuty-Signature"))
		}
	}
}
