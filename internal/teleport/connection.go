package teleport

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gravitational/teleport/api/breaker"
	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/client/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

const (
	// dialTimeout is short because client.New never fails before it is over.
	dialTimeout = 5 * time.Second
	// connectTimeout bounds all that is needed for a connection, through whatever proxies.
	connectTimeout = 15 * time.Second
	// keepAlive is the shortest period that auth servers take (their enforcement policy says one minute).
	keepAlive = time.Minute
	// maxMessage is enough for a page of requests with the longest reasons and annotations.
	maxMessage = 32 << 20
)

// connection is one client of Teleport's with the credentials that it was made with.
type connection struct {
	teleport *client.Client
	sum      [sha256.Size]byte // of the identity
	calls    sync.WaitGroup    // under way; counted only while the connection is the current one
	lost     chan struct{}     // closed when the other side is gone

	// life ends when the connection is given up, with the reason as its cause.
	life context.Context
	end  context.CancelCauseFunc
}

// connect makes a connection and asks the cluster who it is.
func connect(ctx context.Context, addr string, id identity) (*connection, server, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	teleport, err := client.New(ctx, client.Config{
		Addrs:                []string{addr},
		Credentials:          []client.Credentials{id.creds},
		DialTimeout:          dialTimeout,
		KeepAlivePeriod:      keepAlive,
		KeepAliveCount:       1,
		CircuitBreakerConfig: breaker.NoopBreakerConfig(), // it would count our deadlines and block for a minute
		DialOpts:             []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage))},
	})
	if err != nil {
		return nil, server{}, errors.New(dialCause(err))
	}
	pong, err := teleport.Ping(ctx)
	if err != nil {
		return nil, server{}, errors.Join(fmt.Errorf("asking for the cluster's version: %s", oneLine(err)), teleport.Close())
	}
	k := &connection{teleport: teleport, sum: id.sum, lost: make(chan struct{})}
	k.life, k.end = context.WithCancelCause(context.Background())
	return k, serverOf(pong), nil
}

func serverOf(pong proto.PingResponse) server {
	return server{cluster: pong.ClusterName, version: pong.ServerVersion, publicAddr: pong.ProxyPublicAddr}
}

// run closes lost when the network connection breaks, and the client once the connection was given up and
// its calls are done.
func (k *connection) run() {
	if k.teleport.GetConnection().WaitForStateChange(k.life, connectivity.Ready) {
		close(k.lost)
	}
	<-k.life.Done()
	k.calls.Wait()
	_ = k.teleport.Close() // nothing is lost with it
}

// ping asks for a sign of life that comes in time.
func (k *connection) ping(ctx context.Context, timeout time.Duration) (server, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pong, err := k.teleport.Ping(ctx)
	if err != nil {
		return server{}, fmt.Errorf("no answer to a ping: %s", oneLine(err))
	}
	return serverOf(pong), nil
}
