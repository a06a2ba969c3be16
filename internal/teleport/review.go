package teleport

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gravitational/teleport/api/client"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

// maxReason is the longest reason of a review that Teleport takes, in bytes.
const maxReason = 4096

// SubmitReview reviews a request as the Client's user and gives the request after it. When Teleport refuses
// because somebody was faster (the request is decided, or the user has reviewed it), that is no error
// either: the state and reviews of the request say what happened. access.ErrDenied is a missing permission,
// access.ErrNotFound a request that is gone. With an unclear failure the review may have been taken.
func (c *Client) SubmitReview(ctx context.Context, id access.RequestID, state access.State, reason string) (access.Request, error) {
	if id == "" {
		return access.Request{}, errNoID
	}
	proposal, ok := proposed(state)
	if !ok {
		return access.Request{}, &access.Failure{Class: access.Permanent,
			Err: fmt.Errorf("reviewing access request %s: no review can propose %q", id, state)}
	}
	var after types.AccessRequest
	err := c.write(ctx, fmt.Sprintf("reviewing access request %s", id), func(ctx context.Context, t *client.Client) (err error) {
		after, err = t.SubmitAccessReview(ctx, types.AccessReviewSubmission{
			RequestID: string(id),
			Review:    types.AccessReview{ProposedState: proposal, Reason: cutReason(reason)}, // the author is the caller
		})
		return err
	})
	if errors.Is(err, access.ErrDenied) {
		return c.judgeDenied(ctx, id, err)
	}
	if err != nil {
		return access.Request{}, err
	}
	return requestOf(after), nil
}

// judgeDenied tells a review that came too late from one that is not allowed by asking for the request.
func (c *Client) judgeDenied(ctx context.Context, id access.RequestID, denied error) (access.Request, error) {
	now, err := c.Get(ctx, id)
	if _, reviewed := now.ReviewBy(c.User()); err == nil && (reviewed || now.State != access.Pending) {
		return now, nil
	}
	// "has already reviewed", "has been already approved": what Teleport shows lags behind what it does.
	if strings.Contains(denied.Error(), "already") {
		return access.Request{}, &access.Failure{Class: access.Retry, Err: fmt.Errorf("not shown by Teleport yet: %v", denied)}
	}
	return access.Request{}, denied
}

// cutReason shortens a reason to what Teleport takes. Its last line stays whole if it can: it proves what
// an approval rests on (spec §4).
func cutReason(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	const ellipsis = "…"
	last := reason[strings.LastIndexByte(reason, '\n')+1:]
	room := maxReason - len(ellipsis) - len("\n") - len(last)
	if len(last) == len(reason) || room < 0 {
		return strings.ToValidUTF8(reason[:maxReason-len(ellipsis)], "") + ellipsis
	}
	return strings.ToValidUTF8(reason[:room], "") + ellipsis + "\n" + last
}
