package listen

import (
	"container/list"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// crowd is a listener that bounds the open connections. While all places are taken, whoever has waited
// longest for an answer makes room, if longer than honest senders need: so those who only hold connections
// open, or send byte by byte, keep nobody out, however many they are.
type crowd struct {
	net.Listener
	places   chan struct{} // holds a token for each place that is taken
	patience time.Duration
	closed   chan struct{}
	closing  sync.Once
	log      *quietLog

	mu     sync.Mutex
	guests list.List // of *guest: the one whose last answer, or else arrival, is longest ago comes first
}

// guest is one open connection.
type guest struct {
	net.Conn
	crowd *crowd
	leave sync.Once
	since time.Time     // of its last answer, or else its arrival
	place *list.Element // in crowd.guests; nil once it has left
}

func newCrowd(l net.Listener, most int, log *slog.Logger) *crowd {
	return &crowd{
		Listener: l,
		places:   make(chan struct{}, most),
		patience: 500 * time.Millisecond,
		closed:   make(chan struct{}),
		log:      newQuietLog(log),
	}
}

// Accept waits for a place, then for a connection.
func (c *crowd) Accept() (net.Conn, error) {
	if !c.takePlace() {
		return nil, net.ErrClosed
	}
	conn, err := c.Listener.Accept()
	if err != nil {
		<-c.places
		return nil, err
	}
	g := &guest{Conn: conn, crowd: c, since: time.Now()}
	c.mu.Lock()
	g.place = c.guests.PushBack(g)
	c.mu.Unlock()
	return g, nil
}

// takePlace reports false when the listener is closed meanwhile.
func (c *crowd) takePlace() bool {
	for {
		select {
		case c.places <- struct{}{}:
			return true
		case <-c.closed:
			return false
		default:
		}
		select {
		case c.places <- struct{}{}:
			return true
		case <-c.closed:
			return false
		case <-time.After(c.makeRoom()):
		}
	}
}

// makeRoom closes the connection that has waited longest, or says how long it may still stay.
func (c *crowd) makeRoom() time.Duration {
	c.mu.Lock()
	first := c.guests.Front()
	if first == nil { // all of them are leaving
		c.mu.Unlock()
		return c.patience
	}
	g := first.Value.(*guest)
	waited := time.Since(g.since)
	c.mu.Unlock()
	if waited < c.patience {
		return c.patience - waited
	}
	_ = g.Close()
	c.log.warn("connection closed to make room for others", slog.String("remote", g.RemoteAddr().String()), slog.Duration("waited", waited))
	return 0
}

// answered is told of each change of a connection's state.
func (c *crowd) answered(conn net.Conn, state http.ConnState) {
	if state != http.StateIdle {
		return
	}
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = over.NetConn() // what TLS is spoken over
	}
	g := conn.(*guest)
	c.mu.Lock()
	defer c.mu.Unlock()
	g.since = time.Now()
	if g.place != nil {
		c.guests.MoveToBack(g.place)
	}
}

// Close ends Accept.
func (c *crowd) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Listener.Close()
}

// Close gives the place back.
func (g *guest) Close() error {
	err := g.Conn.Close()
	g.leave.Do(func() {
		g.crowd.mu.Lock()
		g.crowd.guests.Remove(g.place)
		g.place = nil
		g.crowd.mu.Unlock()
		<-g.crowd.places
	})
	return err
}
