package pagerdutytest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSenderShowsItsClientCertificateWhenAsked(t *testing.T) {
	r := newReceiver(t)
	strict := httptest.NewUnstartedServer(r.Config.Handler)
	strict.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	strict.StartTLS()
	t.Cleanup(strict.Close)
	w, _ := hookedWorld(t, r)
	config := r.trusted()
	w.Subscribe(Subscription{URL: strict.URL, Events: []string{"incident.resolved"}, TLS: config.Clone()})
	config.Certificates = r.TLS.Certificates
	w.Subscribe(Subscription{URL: strict.URL, Events: []string{"incident.acknowledged"}, TLS: config})
	i := w.create("k")
	w.Acknowledge(i.ID, w.alice.ID)
	w.Resolve(i.ID, w.alice.ID)
	w.delivered()
	for _, d := range w.Deliveries() {
		if d.Subscription != w.Subscriptions()[0].ID && (d.State == Delivered) != (d.EventType == "incident.acknowledged") {
			t.Errorf("got %+v, want only the delivery with a client certificate to arrive", d)
		}
	}
}

func TestAnswerThatComesTooLateIsTriedAgain(t *testing.T) {
	r := newReceiver(t)
	released := make(chan struct{})
	r.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released })
	w := newWorld(t, Options{WebhookRetry: time.Millisecond, WebhookTimeout: 50 * time.Millisecond, WebhookTLS: r.trusted()})
	w.Subscribe(Subscription{URL: r.URL, Events: everything()})
	w.create("k")
	if err := w.WaitUntil(patience, func() bool { return w.Deliveries()[0].Attempts >= 2 }); err != nil {
		t.Error(err)
	}
	if d := w.Deliveries()[0]; d.State != Queued || !strings.Contains(d.Error, "Client.Timeout") {
		t.Errorf("got %+v, want it queued after a time-out", d)
	}
	close(released)
	w.delivered()
}

func TestDeliveryIsGivenUpAfterTwoDays(t *testing.T) {
	r := newReceiver(t)
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	w, _ := hookedWorld(t, r)
	w.create("k")
	w.clock.Advance(49 * time.Hour)
	w.delivered()
	if d := w.Deliveries()[0]; d.State != Dropped || d.Status != 503 {
		t.Errorf("got %+v, want it dropped", d)
	}
}
