package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestTwoReplicasOfWhichOneIsKilledAgainAndAgainDoEverythingOnce(t *testing.T) {
	t.Parallel()
	const requests, kills = 15, 4
	k := startKilling(t, 2)
	points := failpoints()
	k.random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	var dead *world
	for n := range kills {
		for len(k.tales) < requests*(n+1)/kills {
			k.begin("")
		}
		if dead != nil {
			dead.start()
		}
		dead = k.round(points[n])
	}
	k.inherit(dead)
	k.end() // by the one that is left
	dead.start()
	k.end() // and the other finds nothing to do
	k.forgotNothing()
}

// inherit has the replica that is left go on with what the dead one was about to do. Claims run out a minute
// after they were made, and what the dead one has heard alone is found within five; nobody wants to wait for
// that in a test of seconds.
func (k *killing) inherit(dead *world) {
	k.t.Helper()
	over := map[string]string{"pdhook_until": time.Now().Add(-time.Second).UTC().Format(time.RFC3339)}
	for _, t := range k.tales {
		holder := k.teleport.PluginData(t.id)["pdhook_holder"]
		if holder != "" && (holder == k.trap.holder()) == (dead == k.replicas[0]) {
			k.keep(t.id, over)
		}
	}
	for _, r := range k.living() {
		r.hangUp()
	}
}

// together points PagerDuty's webhooks at all pdhooks, each of them at one, as an ingress does.
func (k *killing) together() {
	k.t.Helper()
	var addrs []string
	for _, r := range k.replicas {
		addrs = append(addrs, r.endpoint())
	}
	sub := k.pd.Subscribe(pagerdutytest.Subscription{URL: "https://" + balance(k.t, addrs) + "/webhooks/pagerduty", Secret: secret,
		Events: everyEvent(k.t), TLS: &tls.Config{RootCAs: k.roots}})
	for _, r := range k.replicas {
		r.sub = sub
	}
}

// balance takes connections and passes each on to the next of the addresses that answers.
func balance(t testing.TB, addrs []string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	var turn atomic.Int64
	connections.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() {
				defer conn.Close()
				for range addrs {
					if to, err := net.Dial("tcp", addrs[int(turn.Add(1))%len(addrs)]); err == nil {
						join(conn, to)
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		connections.Wait() // both of their ends are gone by now
	})
	return listener.Addr().String()
}

// join copies both ways until either end is closed.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = a.Close(), b.Close()
		})
	}
	both.Wait()
}
