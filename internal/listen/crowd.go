package listen

import (
	"net"
	"net/http"
	"sync"
)

// crowd counts the open connections. Above most of them idle ones are closed, so that one client that only
// holds connections open cannot keep the others out.
type crowd struct {
	most      int
	keepAlive func(bool)

	mu   sync.Mutex // held while keepAlive is called, so that the last word is the right one
	open int
}

func (c *crowd) count(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.open > c.most
	switch state {
	case http.StateNew:
		c.open++
	case http.StateClosed, http.StateHijacked:
		c.open--
	default:
		return
	}
	if is := c.open > c.most; is != was {
		c.keepAlive(!is)
	}
}
