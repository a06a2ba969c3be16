// Package listen serves a handler until the context ends, then drains; it re-reads TLS files when they
// change.
package listen

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config is what a Server needs.
type Config struct {
	Section string       // of the configuration, for errors: "webhook" makes them name webhook.listen
	Addr    string       // required, e.g. ":8081"
	Handler http.Handler // required
	TLS     *TLS         // nil: plain HTTP, for loopback or behind an ingress that ends TLS

	// MaxConns bounds the connections that are open at once. While so many are, who has waited longest for an
	// answer, and for more than half a second, is closed for each new one. Default 2048.
	MaxConns int

	// DrainTimeout is how long requests may take to finish after the context ended. Default 15 s.
	DrainTimeout time.Duration

	Log *slog.Logger // required
}

// Server is one listening port.
type Server struct {
	http  *http.Server
	crowd *crowd
	files *files // nil: plain HTTP
	poll  time.Duration
	drain time.Duration
	log   *slog.Logger
}

// New reads the TLS files and binds the port, so that what only the operator can mend is found at once.
// Connections are accepted by Run; a Server that will not run keeps its port until the process ends.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Handler == nil:
		return nil, errors.New("handler is missing")
	case cfg.Log == nil:
		return nil, errors.New("log is missing")
	}
	s := &Server{
		poll:  5 * time.Second,
		drain: cmp.Or(cfg.DrainTimeout, 15*time.Second),
		log:   cfg.Log,
	}
	if cfg.TLS != nil {
		var err error
		if s.files, err = newFiles(*cfg.TLS, cfg.Log); err != nil {
			return nil, fmt.Errorf("%s.%w", cfg.Section, err)
		}
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("%s.listen: listening on %q (is another process using the port, or does the port need a privilege? choose another address): %w",
			cfg.Section, cfg.Addr, err)
	}
	s.crowd = newCrowd(listener, cmp.Or(cfg.MaxConns, 2048), cfg.Log)
	s.http = newHTTPServer(cfg)
	s.http.ConnState = s.crowd.answered
	return s, nil
}

// newHTTPServer sets the limits that keep slow and huge senders from holding the server.
func newHTTPServer(cfg Config) *http.Server {
	// HTTP/1.1 only: PagerDuty's sender and every ingress speak it, and with one request a connection at a
	// time the connection limit bounds the requests too. HTTP/2 would need a stream limit of its own.
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Server{
		Handler:                      cfg.Handler,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is the handler's to answer, like everything else
		Protocols:                    http1,
		ReadHeaderTimeout:            5 * time.Second, // also bounds the TLS handshake
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 10 * time.Second,
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               16 << 10,
		ErrorLog:                     newQuietLog(cfg.Log).stdlib("connection failed"),
	}
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.crowd.Addr() }

// CertificateExpires is the end of the certificate that is served now; zero for plain HTTP.
func (s *Server) CertificateExpires() time.Time {
	if s.files == nil {
		return time.Time{}
	}
	return s.files.expires()
}

// Reload reads certificate, key and client CA now. With an error the old ones stay in use.
func (s *Server) Reload() error {
	if s.files == nil {
		return nil
	}
	return s.files.reload()
}

// Run serves until ctx ends, and then lets running requests finish for at most DrainTimeout. It returns an
// error only when it cannot serve any longer.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(s.serve)
	group.Go(func() error { s.stop(ctx); return nil })
	if s.files != nil {
		group.Go(func() error { s.files.watch(ctx, s.poll); return nil })
	}
	return group.Wait()
}

func (s *Server) serve() error {
	var listener net.Listener = s.crowd
	if s.files != nil {
		listener = tls.NewListener(listener, s.files.tlsConfig())
	}
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", s.Addr(), err)
	}
	return nil
}

// stop waits for the end of ctx, then drains.
func (s *Server) stop(ctx context.Context) {
	<-ctx.Done()
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	if err := s.http.Shutdown(draining); err != nil {
		s.log.Warn("requests cut off at shutdown", "addr", s.Addr().String(), "after", s.drain, "error", err)
		_ = s.http.Close() // the listener is closed already; what is cut off was just logged
	}
}
