package teleport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/client/proto"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

// page is the number of requests that are read at once: with reasons of 4096 bytes and annotations a page
// stays far below maxMessage.
const page = 100

var errNoID = &access.Failure{Class: access.Permanent, Err: errors.New("request ID is empty")}

// List gives all access requests that the role of pdhook's user may read, of all states.
func (c *Client) List(ctx context.Context) ([]access.Request, error) {
	return c.list(ctx, listTimeout, "listing access requests", types.AccessRequestFilter{})
}

// Get gives one request. access.ErrNotFound means that Teleport showed none, which it also does for one that
// may not be read: it alone does not prove that the request is gone (spec §12).
func (c *Client) Get(ctx context.Context, id access.RequestID) (access.Request, error) {
	if id == "" {
		return access.Request{}, errNoID
	}
	doing := fmt.Sprintf("reading access request %s", id)
	requests, err := c.list(ctx, callTimeout, doing, types.AccessRequestFilter{ID: string(id)})
	if err != nil {
		return access.Request{}, err
	}
	for _, r := range requests {
		if r.ID == id {
			return r, nil
		}
	}
	return access.Request{}, &access.Failure{Class: access.Permanent, Err: fmt.Errorf("%s: %w", doing, access.ErrNotFound)}
}

// list reads page by page; with auth servers that know no pages, all at once.
func (c *Client) list(ctx context.Context, timeout time.Duration, doing string, filter types.AccessRequestFilter) ([]access.Request, error) {
	var list []*types.AccessRequestV3
	err := c.read(ctx, timeout, doing, func(ctx context.Context, t *client.Client) (err error) {
		list, err = t.ListAllAccessRequests(ctx, &proto.ListAccessRequestsRequest{Filter: &filter, Limit: page})
		return err
	})
	if err != nil {
		return nil, err
	}
	return requestsOf(list), nil
}
