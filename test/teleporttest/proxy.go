package teleporttest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// Proxy is a plain TCP relay in front of a server that can swallow everything, like a broken network.
type Proxy struct {
	target   func() string // host:port of the server
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	flow   chan struct{} // closed while bytes flow
	paused bool
	closed bool
	links  map[net.Conn]*link // by the client's side
}

// link is one connection through the proxy.
type link struct {
	cut      context.CancelFunc
	stranded atomic.Bool // what comes is lost
}

// Proxy opens a relay to the server on a port of its own. Close of either ends it.
func (s *Server) Proxy() (*Proxy, error) {
	p, err := NewProxy("127.0.0.1:0", s.Addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxies = append(s.proxies, p)
	return p, nil
}

// NewProxy opens a relay on addr to any server, whose host:port is asked for at each connection. Close ends it.
func NewProxy(addr string, target func() string) (*Proxy, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("opening proxy: %w", err)
	}
	p := &Proxy{target: target, listener: listener, flow: make(chan struct{}), links: make(map[net.Conn]*link)}
	close(p.flow)
	p.work.Go(p.accept)
	return p, nil
}

// Addr gives host:port of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Pause keeps all bytes back, in both directions; connections stay open, and new ones open but get no
// answer. The other side can notice only by its own time-outs.
func (p *Proxy) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused {
		p.paused, p.flow = true, make(chan struct{})
	}
}

// Resume lets bytes flow again, those kept back first.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		p.paused = false
		close(p.flow)
	}
}

// Strand lets the connections of now never carry another byte, although they stay open, as when a firewall has
// forgotten them: what is sent is lost. New connections are served.
func (p *Proxy) Strand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.stranded.Store(true)
	}
}

// Cut closes all connections; new ones are served.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for _, l := range p.links {
		l.cut()
	}
}

// Close stops listening, cuts all connections, and returns when they are gone.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.listener.Close()
	p.cut()
	p.mu.Unlock()
	p.work.Wait()
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.relay(conn) })
	}
}

// relay ties a client to the server until one of them closes, or Cut.
func (p *Proxy) relay(client net.Conn) {
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := &link{cut: cancel}
	if !p.add(client, l) {
		return
	}
	defer p.drop(client)
	if !p.flowing(ctx) {
		return
	}
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target())
	if err != nil {
		return // the client sees the end of the connection
	}
	defer server.Close()
	var ways sync.WaitGroup
	ways.Go(func() {
		defer cancel()
		p.copy(ctx, l, server, client)
	})
	ways.Go(func() {
		defer cancel()
		p.copy(ctx, l, client, server)
		if l.stranded.Load() {
			<-ctx.Done() // the client does not learn that the server gave up
		}
	})
	<-ctx.Done()
	client.Close()
	server.Close()
	ways.Wait()
}

func (p *Proxy) copy(ctx context.Context, l *link, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n == 0 || !p.flowing(ctx) {
			return
		}
		if l.stranded.Load() {
			continue
		}
		if _, writing := to.Write(buffer[:n]); writing != nil || err != nil {
			return
		}
	}
}

// flowing waits until bytes flow; false when the connection is cut before.
func (p *Proxy) flowing(ctx context.Context) bool {
	p.mu.Lock()
	flow := p.flow
	p.mu.Unlock()
	select {
	case <-flow:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *Proxy) add(client net.Conn, l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.links[client] = l
	}
	return !p.closed
}

func (p *Proxy) drop(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, client)
}
