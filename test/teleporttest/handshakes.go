package teleporttest

import (
	"crypto/tls"
	"slices"
	"time"
)

// Handshake is a TLS connection that the server took.
type Handshake struct {
	User    string    // whom the client's certificate names
	Expires time.Time // end of that certificate
}

// Handshakes gives the connections that were taken so far, in order. A client makes several for one connection:
// it tries all ways in which an address may be reached.
func (s *Server) Handshakes() []Handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.handshakes)
}

func (s *Server) shook(state tls.ConnectionState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaf := state.PeerCertificates[0] // the configuration demands it
	s.handshakes = append(s.handshakes, Handshake{User: leaf.Subject.CommonName, Expires: leaf.NotAfter})
	s.announce()
	return nil
}
