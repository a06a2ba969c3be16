package teleport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gravitational/trace"
)

// What client.New says of each way to an address, as seen with an identity file.
const (
	asAuth   = "as an auth server"
	asWeb    = "as a web proxy"
	asTunnel = "as a reverse tunnel proxy"
	asTLS    = "with TLS Routing dialer"
)

func way(how, cause string) error {
	err := context.DeadlineExceeded
	if cause != "" {
		err = fmt.Errorf("%w: connection error: desc = %q", err, cause)
	}
	return trace.Wrap(err, "failed to connect to addr tp.example.com:443 %s", how)
}

func TestTheUsefulCauseOfAFailedConnectionIsKept(t *testing.T) {
	const find = `transport: Error while dialing: failed to dial: Get "https://tp.example.com:443/webapi/find": `
	for _, tt := range []struct {
		name string
		ways []error
		want string
	}{
		{
			"nothing listens",
			[]error{way(asWeb, find+"dial tcp: connection refused"), way(asAuth, "transport: Error while dialing: failed to dial: dial tcp: connection refused")},
			"dial tcp: connection refused",
		}, {
			"auth server with another authority",
			[]error{way(asTLS, find+"x509: noise"), way(asAuth, "transport: authentication handshake failed: x509: unknown authority"), way(asTunnel, "ssh: noise")},
			"authentication handshake failed: x509: unknown authority",
		}, {
			"certificate refused",
			[]error{way(asAuth, "error reading server preface: remote error: tls: expired certificate")},
			"remote error: tls: expired certificate",
		}, {
			"a proxy whose certificate is not trusted",
			[]error{way(asWeb, find+"x509: unknown authority"), way(asAuth, "transport: authentication handshake failed: remote error: tls: no application protocol"), way(asTLS, find+"x509: unknown authority")},
			"x509: unknown authority",
		}, {
			"a proxy behind a load balancer",
			[]error{way(asTLS, find+"ssh: b"), way(asWeb, find+"ssh: a"), way(asAuth, "x509: certificate is valid for tp.example.com, not teleport.cluster.local")},
			"x509: certificate is valid for tp.example.com, not teleport.cluster.local; ssh: a; ssh: b",
		}, {
			"a proxy with a key pair",
			[]error{way(asAuth, "remote error: tls: no application protocol")},
			"this is a proxy, which takes no client_key and client_crt",
		}, {
			"silence", []error{way(asTLS, ""), way(asAuth, "")}, "no answer within 5s",
		}, {
			"local ports are left out",
			[]error{way(asAuth, "read tcp 10.0.0.1:41234->10.0.0.2:3025: connection reset by peer")},
			"read tcp 10.0.0.2:3025: connection reset by peer",
		}, {
			"another error of the client", []error{errors.New("no connection\nmethods found")}, "no connection methods found",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := dialCause(trace.Wrap(trace.NewAggregate(tt.ways...), "all connection methods failed")); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestAConnectionThatIsClosedAtOnceHintsAtTheVersion(t *testing.T) {
	got := dialCause(trace.NewAggregate(way(asAuth, "error reading server preface: EOF")))
	if !strings.HasPrefix(got, "EOF (if this stays, the cluster may be too new") {
		t.Errorf("got %q", got)
	}
}
