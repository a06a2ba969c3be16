package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/gravitational/teleport/api/breaker"
	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/types"
)

// person is somebody who uses Teleport with the real client.
type person struct {
	name   string
	client *client.Client
}

// login connects with the person's identity.
func login(ctx context.Context, addr, identity, name string) (*person, error) {
	c, err := client.New(ctx, client.Config{
		Addrs:                []string{addr},
		Credentials:          []client.Credentials{client.LoadIdentityFile(identity)},
		DialTimeout:          5 * time.Second,
		CircuitBreakerConfig: breaker.NoopBreakerConfig(),
	})
	if err != nil {
		return nil, fmt.Errorf("logging %s in: %w", name, err)
	}
	return &person{name, c}, nil
}

// ask makes an access request and gives its ID.
func (p *person) ask(ctx context.Context, role, reason string) (string, error) {
	req, err := types.NewAccessRequest(uuid.NewString(), p.name, role)
	if err != nil {
		return "", err
	}
	req.SetRequestReason(reason)
	created, err := p.client.CreateAccessRequestV2(ctx, req)
	if err != nil {
		return "", fmt.Errorf("%s asking for %s: %w", p.name, role, err)
	}
	return created.GetName(), nil
}

// deny reviews a request.
func (p *person) deny(ctx context.Context, id, reason string) error {
	_, err := p.client.SubmitAccessReview(ctx, types.AccessReviewSubmission{RequestID: id,
		Review: types.AccessReview{ProposedState: types.RequestState_DENIED, Reason: reason}})
	return err
}

// look gives the request as Teleport has it.
func (p *person) look(ctx context.Context, id string) (types.AccessRequest, error) {
	found, err := p.client.GetAccessRequests(ctx, types.AccessRequestFilter{ID: id})
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("request %s is not there", id)
	}
	return found[0], nil
}
