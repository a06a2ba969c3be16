package pagerdutytest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

// sender delivers webhooks: for one subscription and one incident or service in order, one at a time;
// others go on meanwhile.
type sender struct {
	ctx        context.Context // of the deliveries, set between Start and Close
	stop       context.CancelFunc
	running    sync.WaitGroup
	lanes      map[laneKey]*lane
	deliveries []*Delivery
}

type laneKey struct{ subscription, resource string }

// lane is a queue whose order is kept.
type lane struct {
	sub   *Subscription
	queue []*Delivery
	busy  bool // a goroutine empties it
}

// DeliveryState says how far a delivery got.
type DeliveryState string

// The states of a Delivery.
const (
	Queued    DeliveryState = "queued"    // not yet accepted: waits, or is tried again
	Delivered DeliveryState = "delivered" // answered 2xx
	Dropped   DeliveryState = "dropped"   // never to be sent (again)
)

// Delivery is one event on its way to one subscription.
type Delivery struct {
	WebhookID    string // X-Webhook-Id, the same on every attempt
	Subscription string // ID
	EventID      string
	EventType    string
	Resource     string // ID of the incident or service
	Body         []byte
	State        DeliveryState
	Attempts     int
	Status       int    // of the last answer; 0: none
	Error        string // why the last attempt had no answer
	Queued       time.Time
}

// Deliveries gives every delivery so far, in the order of the events.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Delivery, len(s.sender.deliveries))
	for i, d := range s.sender.deliveries {
		all[i] = *d
	}
	return all
}

// WaitDelivered waits until no delivery is queued.
func (s *Server) WaitDelivered(timeout time.Duration) error {
	return s.WaitUntil(timeout, func() bool {
		for _, d := range s.Deliveries() {
			if d.State == Queued {
				return false
			}
		}
		return true
	})
}

// queue puts a delivery at the end of its lane. While a subscription is temporarily disabled its events
// are lost.
func (s *Server) queue(sub *Subscription, d Delivery) {
	if s.disabled(sub) {
		return
	}
	d.Subscription, d.State, d.Queued = sub.ID, Queued, s.opts.Now()
	d.WebhookID = webhookID(d.EventID + sub.ID)
	s.sender.deliveries = append(s.sender.deliveries, &d)
	key := laneKey{sub.ID, d.Resource}
	l := s.sender.lanes[key]
	if l == nil {
		l = &lane{sub: sub}
		s.sender.lanes[key] = l
	}
	l.queue = append(l.queue, &d)
	s.empty(l)
}

// webhookID makes a UUID of the event and the subscription.
func webhookID(of string) string {
	h := sha256.Sum256([]byte(of))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func (s *Server) startSender() {
	s.sender.ctx, s.sender.stop = context.WithCancel(context.Background())
	for _, l := range s.sender.lanes {
		s.empty(l)
	}
}

// stopSender ends deliveries in progress and waits for them.
func (s *Server) stopSender() {
	s.do(func() {
		if s.sender.stop != nil {
			s.sender.stop()
			s.sender.ctx = nil
		}
	})
	s.sender.running.Wait()
}

// empty starts a goroutine for a lane unless it has one; Close waits for it.
func (s *Server) empty(l *lane) {
	if s.sender.ctx == nil || l.busy || len(l.queue) == 0 {
		return
	}
	l.busy = true
	ctx := s.sender.ctx
	s.sender.running.Go(func() { s.drain(ctx, l) })
}

func (s *Server) drain(ctx context.Context, l *lane) {
	client := s.webhookClient(l.sub)
	defer client.CloseIdleConnections()
	for {
		sub, d, more := s.head(ctx, l)
		if !more {
			return
		}
		r := send(ctx, client, sub, d)
		s.settle(ctx, l, d.WebhookID, r)
		if r.outcome() == again {
			pause(ctx, s.opts.WebhookRetry)
		}
	}
}

// head is the delivery to send next.
func (s *Server) head(ctx context.Context, l *lane) (sub Subscription, d Delivery, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || len(l.queue) == 0 {
		l.busy = false
		return sub, d, false
	}
	return *l.sub, *l.queue[0], true
}

// settle notes how an attempt ended. A delivery is retried for up to 48 hours; three dropped in a row
// disable the subscription for a day and drop what is queued for it
// (https://developer.pagerduty.com/docs/webhooks/webhook-behavior).
func (s *Server) settle(ctx context.Context, l *lane, webhookID string, r result) {
	s.do(func() {
		if ctx.Err() != nil || len(l.queue) == 0 || l.queue[0].WebhookID != webhookID {
			return // ended by Close, or dropped meanwhile
		}
		d := l.queue[0]
		d.Attempts++
		d.Status, d.Error = r.status, r.text()
		outcome := r.outcome()
		if outcome == again && s.opts.Now().Sub(d.Queued) < 48*time.Hour {
			return
		}
		l.queue = l.queue[1:]
		if outcome == accepted {
			d.State = Delivered
			l.sub.dropped = 0
			return
		}
		d.State = Dropped
		if l.sub.dropped++; l.sub.dropped >= 3 {
			s.disable(l.sub)
		}
	})
}

// dropQueue drops all that is queued for a subscription.
func (s *Server) dropQueue(sub *Subscription) {
	for key, l := range s.sender.lanes {
		if key.subscription != sub.ID {
			continue
		}
		for _, d := range l.queue {
			d.State = Dropped
		}
		l.queue = nil
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Send signs a body with a subscription's secret and sends it once, as a delivery of its own: a lie, a
// duplicate under another webhook ID. It gives the HTTP status.
func (s *Server) Send(subscriptionID string, body []byte) (int, error) {
	var d Delivery
	s.do(func() { d = Delivery{WebhookID: webhookID(s.id("%d")), Subscription: subscriptionID, Body: body} })
	return s.sendOnce(d)
}

// Redeliver sends a delivery once more, byte for byte and under the same webhook ID: a replay.
func (s *Server) Redeliver(webhookID string) (int, error) {
	for _, d := range s.Deliveries() {
		if d.WebhookID == webhookID {
			return s.sendOnce(d)
		}
	}
	return 0, fmt.Errorf("no delivery %s", webhookID)
}

func (s *Server) sendOnce(d Delivery) (int, error) {
	s.mu.Lock()
	sub := *must(s.subscription(d.Subscription))
	s.mu.Unlock()
	client := s.webhookClient(&sub)
	defer client.CloseIdleConnections()
	r := send(context.Background(), client, sub, d)
	return r.status, r.err
}
