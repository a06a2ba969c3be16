package teleporttest

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Proxy is a plain TCP relay in front of a Server that can swallow everything, like a broken network.
type Proxy struct {
	server   *Server
	listener net.Listener
	work     sync.WaitGroup

	mu     sync.Mutex
	flow   chan struct{} // closed while bytes flow
	paused bool
	closed bool
	links  map[net.Conn]context.CancelFunc // by the client's side
}

// Proxy opens a relay to the server on a port of its own. Close of either ends it.
func (s *Server) Proxy() (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening proxy: %w", err)
	}
	p := &Proxy{server: s, listener: listener, flow: make(chan struct{}), links: make(map[net.Conn]context.CancelFunc)}
	close(p.flow)
	p.work.Go(p.accept)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxies = append(s.proxies, p)
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

// Cut closes all connections; new ones are served.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut()
}

func (p *Proxy) cut() {
	for _, cancel := range p.links {
		cancel()
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
	if !p.add(client, cancel) {
		return
	}
	defer p.drop(client)
	if !p.flowing(ctx) {
		return
	}
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.server.Addr())
	if err != nil {
		return // the client sees the end of the connection
	}
	defer server.Close()
	var ways sync.WaitGroup
	ways.Go(func() { defer cancel(); p.copy(ctx, server, client) })
	ways.Go(func() { defer cancel(); p.copy(ctx, client, server) })
	<-ctx.Done()
	client.Close()
	server.Close()
	ways.Wait()
}

func (p *Proxy) copy(ctx context.Context, to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n == 0 || !p.flowing(ctx) {
			return
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

func (p *Proxy) add(client net.Conn, cancel context.CancelFunc) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.links[client] = cancel
	}
	return !p.closed
}

func (p *Proxy) drop(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, client)
}
