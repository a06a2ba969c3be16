// Package teleporttest is a Teleport auth server for tests and the demo. It speaks the real protocol (gRPC
// over mutual TLS) with the real client, keeps state as Teleport does, refuses what Teleport refuses in
// Teleport's words, and can be told to fail. What Teleport does beyond pdhook's needs is left out.
package teleporttest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gravitational/teleport/api"
	"github.com/gravitational/teleport/api/client/proto"
	rulesv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/accessmonitoringrules/v1"
	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/teleport/api/utils/grpc/interceptors"
	"github.com/gravitational/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"

	"github.com/pdhook/pdhook/test/ports"
)

// Options says what kind of cluster a Server imitates. The zero value is a usable one.
type Options struct {
	Addr          string                        // listen address; default a free port of 127.0.0.1
	ClusterName   string                        // default "teleport.example.com"
	ProxyAddr     string                        // public address of the proxy as Ping tells it; default "teleport.example.com:443"
	ServerVersion string                        // default: the version of the client library
	Now           func() time.Time              // clock of requests, reviews and locks, not of certificates; default time.Now
	Thresholds    []types.AccessReviewThreshold // of requests that bring none; default one approval, one denial
	Dir           string                        // where the certificate authority is kept, so that identities outlive the process; "": in memory
}

func (o Options) withDefaults() Options {
	o.ClusterName = orDefault(o.ClusterName, "teleport.example.com")
	o.ProxyAddr = orDefault(o.ProxyAddr, "teleport.example.com:443")
	o.ServerVersion = orDefault(o.ServerVersion, api.Version)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Thresholds == nil {
		o.Thresholds = []types.AccessReviewThreshold{{Name: "default", Approve: 1, Deny: 1}}
	}
	return o
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// Server is the auth server. All its methods may be called at any time, also while it is stopped: state
// and listening are independent, as if the backend lived on.
type Server struct {
	opts Options

	life    sync.Mutex // serialises Start, Stop and Close
	serving *grpc.Server
	served  chan struct{}
	release func() // gives up the port
	closed  bool

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at every change below
	addr       string        // as first listened on; "" before
	ca         *authority
	requests   map[string]*types.AccessRequestV3 // never modified once stored: replaced by changed copies
	data       map[string]*pluginData
	locks      map[string]*types.LockV2
	rules      map[string]*rulesv1.AccessMonitoringRule
	roles      map[string]map[string][]string // annotations by role
	watchers   map[*watcher]struct{}
	calls      map[string]int
	faults     map[string][]Fault
	hook       Hook
	switches   Switches
	denied     map[grant]bool
	reviewable map[string][]string
	userRoles  map[string][]types.Role // of users whose rights SetUserRoles gave
	proxies    []*Proxy
	handshakes []Handshake
}

// New prepares a server with an empty state. Start makes it listen.
func New(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	ca, err := openAuthority(opts.Dir, opts.ClusterName)
	if err != nil {
		return nil, err
	}
	return &Server{
		opts:       opts,
		release:    func() {},
		changed:    make(chan struct{}),
		ca:         ca,
		requests:   make(map[string]*types.AccessRequestV3),
		data:       make(map[string]*pluginData),
		locks:      make(map[string]*types.LockV2),
		rules:      make(map[string]*rulesv1.AccessMonitoringRule),
		roles:      make(map[string]map[string][]string),
		watchers:   make(map[*watcher]struct{}),
		calls:      make(map[string]int),
		faults:     make(map[string][]Fault),
		denied:     make(map[grant]bool),
		reviewable: make(map[string][]string),
		userRoles:  make(map[string][]types.Role),
	}, nil
}

// Start listens and serves until Stop. After a Stop it listens on the same port again.
func (s *Server) Start() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return errors.New("starting auth server: closed")
	}
	if s.serving != nil {
		return errors.New("starting auth server: already started")
	}
	listener, err := s.listen()
	if err != nil {
		return fmt.Errorf("starting auth server: %w", err)
	}
	serving, served := s.newGRPC(), make(chan struct{})
	s.serving, s.served = serving, served
	go func() {
		defer close(served)
		_ = serving.Serve(listener) // ends with Stop; a broken listener shows as refused connections
	}()
	return nil
}

// Stop cuts all connections at once, watches and calls under way included, and returns when they are over.
// The state stays.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.stop()
}

// Close stops the server and its proxies for good.
func (s *Server) Close() {
	s.life.Lock()
	defer s.life.Unlock()
	s.closed = true
	s.stop()
	s.release()
	s.release = func() {}
	s.mu.Lock()
	proxies := s.proxies
	s.proxies = nil
	s.mu.Unlock()
	for _, p := range proxies {
		p.Close()
	}
}

func (s *Server) stop() {
	if s.serving == nil {
		return
	}
	s.serving.Stop()
	<-s.served
	s.serving = nil
}

// Addr gives host:port of the server, the same through all restarts; before the first Start what Options
// asked for.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return orDefault(s.addr, s.opts.Addr)
}

// listen opens the port, which without an address in Options is a free one that the server holds until Close.
func (s *Server) listen() (net.Listener, error) {
	addr := s.Addr()
	if addr == "" {
		held, release, err := ports.Hold()
		if err != nil {
			return nil, err
		}
		addr, s.release = held, release
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = listener.Addr().String()
	return listener, nil
}

// newGRPC makes the server as Teleport configures it: certificates of both ends, errors of package trace
// on the wire, and pings allowed as often as pdhook's tests send them.
func (s *Server) newGRPC() *grpc.Server {
	tlsConfig := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := s.authority().serverTLS() // RotateCA holds from the next handshake on
			config.VerifyConnection = s.shook
			return config, nil
		},
	}
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(tlsConfig)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(interceptors.GRPCServerUnaryErrorInterceptor, s.interceptUnary),
		grpc.ChainStreamInterceptor(interceptors.GRPCServerStreamErrorInterceptor, s.interceptStream),
		grpc.WaitForHandlers(true),
	)
	proto.RegisterAuthServiceServer(server, &authService{s: s})
	rulesv1.RegisterAccessMonitoringRulesServiceServer(server, &ruleService{s: s})
	return server
}

// authService answers Teleport's AuthService; what is not written here is not implemented.
type authService struct {
	proto.UnimplementedAuthServiceServer
	s *Server
}

// Ping needs no permission.
func (a *authService) Ping(ctx context.Context, _ *proto.PingRequest) (*proto.PingResponse, error) {
	var remote string
	if p, ok := peer.FromContext(ctx); ok {
		remote = p.Addr.String()
	}
	return &proto.PingResponse{
		ClusterName:     a.s.opts.ClusterName,
		ServerVersion:   a.s.opts.ServerVersion,
		ProxyPublicAddr: a.s.opts.ProxyAddr,
		ServerFeatures:  &proto.Features{AdvancedAccessWorkflows: true},
		RemoteAddr:      remote,
	}, nil
}

// caller is who speaks, as the client certificate says.
type caller struct {
	user  string
	roles []string
}

func callerOf(ctx context.Context) (caller, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{}, trace.AccessDenied("missing peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return caller{}, trace.AccessDenied("missing client certificate")
	}
	subject := info.State.PeerCertificates[0].Subject
	return caller{user: subject.CommonName, roles: subject.Organization}, nil
}
