package teleport

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestReviewIsSubmittedAsTheIdentitysUser(t *testing.T) {
	b := connected(t)
	got, err := b.SubmitReview(t.Context(), b.request(), access.Approved, "on call")
	if err != nil {
		t.Fatal(err)
	}
	review, found := got.ReviewBy(b.User())
	if b.User() != user || !found || review.State != access.Approved || review.Reason != "on call" || got.State != access.Approved {
		t.Errorf("user %q, request after review %+v", b.User(), got)
	}
}

func TestAReviewThatCameTooLateIsNoError(t *testing.T) {
	b := connected(t)
	reviewed := access.RequestID(b.cluster.CreateRequest(teleporttest.Request{User: "alice", Roles: []string{"db"},
		Thresholds: []types.AccessReviewThreshold{{Approve: 2, Deny: 1}}}))
	if _, err := b.SubmitReview(t.Context(), reviewed, access.Approved, ""); err != nil {
		t.Fatal(err)
	}
	decided := b.request()
	if err := b.cluster.Review(string(decided), "bob", types.RequestState_DENIED, "no"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		id   access.RequestID
		want access.State
	}{
		{"reviewed by pdhook before", reviewed, access.Pending},
		{"decided by somebody else", decided, access.Denied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := b.SubmitReview(t.Context(), tt.id, access.Approved, "again")
			if err != nil {
				t.Fatal(err)
			}
			if got.ID != tt.id || got.State != tt.want || len(got.Reviews) != 1 {
				t.Errorf("got %+v, want the request as it is, %s with one review", got, tt.want)
			}
		})
	}
}

func TestAReviewThatIsNotAllowedIsDenied(t *testing.T) {
	b := connected(t)
	for _, tt := range []struct {
		name, says string
		set        func()
	}{
		{"no right to review", "cannot submit reviews", func() { b.cluster.Deny(user, teleporttest.ReviewRequests) }},
		{"MFA asked for", "tbot", func() {
			b.cluster.Allow(user, teleporttest.ReviewRequests)
			b.cluster.Switch(func(s *teleporttest.Switches) { s.RequireMFA = true })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.set()
			_, err := b.SubmitReview(t.Context(), b.request(), access.Approved, "")
			if !errors.Is(err, access.ErrDenied) || !access.IsPermanent(err) || access.IsUnclear(err) {
				t.Errorf("got %v, want a permanent access.ErrDenied", err)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestAReviewWhoseRefusalIsNotShownYetIsTriedAgain(t *testing.T) {
	b := connected(t)
	b.cluster.Fail("SubmitAccessReview", teleporttest.Fault{Err: trace.AccessDenied("the access request has been already approved")})
	_, err := b.SubmitReview(t.Context(), b.request(), access.Approved, "")
	if err == nil || access.IsPermanent(err) || access.IsUnclear(err) {
		t.Errorf("got %v, want a clear failure to retry", err)
	}
}

func TestReviewOfARequestThatIsGoneIsNotFound(t *testing.T) {
	b := connected(t)
	id := b.request()
	if err := b.cluster.Delete(string(id)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SubmitReview(t.Context(), id, access.Approved, ""); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("got %v, want access.ErrNotFound", err)
	}
}

func TestAReviewWithoutAnswerIsUnclear(t *testing.T) {
	b := connected(t)
	id := b.request()
	b.cluster.Fail("SubmitAccessReview", teleporttest.Fault{Performed: true, Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := b.SubmitReview(ctx, id, access.Approved, "")
	if !access.IsUnclear(err) || access.IsPermanent(err) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want an unclear failure by deadline", err)
	}
	got, err := b.Get(t.Context(), id)
	if err != nil || got.State != access.Approved {
		t.Errorf("state %q, error %v: want the review to have been taken", got.State, err)
	}
}

func TestPendingCannotBeProposed(t *testing.T) {
	b := connected(t)
	if _, err := b.SubmitReview(t.Context(), b.request(), access.Pending, ""); !access.IsPermanent(err) {
		t.Errorf("got %v, want a permanent failure", err)
	}
	if n := b.cluster.Calls("SubmitAccessReview"); n != 0 {
		t.Errorf("%d reviews were sent, want none", n)
	}
}

func TestLongReasonsAreCutBeforeTheirLastLine(t *testing.T) {
	basis := "pdhook: basis=Q1 oncall=P1 read=2026-01-02T03:04:05Z"
	for _, tt := range []struct{ name, reason, ends string }{
		{"short", "on call\n" + basis, basis},
		{"long", strings.Repeat("é", 3000) + "\n" + basis, "…\n" + basis},
		{"one long line", strings.Repeat("é", 3000), "é…"},
		{"long last line", "a\n" + strings.Repeat("é", 3000), "é…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := cutReason(tt.reason)
			if len(got) > maxReason || !utf8.ValidString(got) || !strings.HasSuffix(got, tt.ends) {
				t.Errorf("got %d bytes that end in %q, want at most %d that end in %q", len(got), got[max(0, len(got)-80):], maxReason, tt.ends)
			}
		})
	}
}
