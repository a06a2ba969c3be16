package teleport

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gravitational/teleport/api/mfa"
	"github.com/gravitational/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pdhook/pdhook/internal/access"
)

// kind is what an error of Teleport's client means. A unary call shows it by the type of the error, the
// opening of a stream only by the gRPC code, so both are looked at.
type kind int

const (
	other kind = iota // connection problems, deadlines, unknown
	denied
	needsMFA
	notFound
	conflict
	limited
	invalid // bad parameter, not implemented: the same call will never work
)

func kindOf(err error) kind {
	code := status.Code(err)
	switch {
	case errors.Is(err, &mfa.ErrAdminActionMFARequired):
		return needsMFA
	case trace.IsAccessDenied(err) || code == codes.PermissionDenied || code == codes.Unauthenticated:
		return denied
	case trace.IsNotFound(err) || code == codes.NotFound:
		return notFound
	case trace.IsCompareFailed(err) || code == codes.FailedPrecondition:
		return conflict
	case trace.IsLimitExceeded(err) || code == codes.ResourceExhausted:
		return limited
	case trace.IsBadParameter(err) || code == codes.InvalidArgument,
		trace.IsNotImplemented(err) || code == codes.Unimplemented:
		return invalid
	}
	return other
}

// refused reports whether Teleport said that it did not do what was asked.
func refused(err error) bool {
	switch kindOf(err) {
	case denied, needsMFA, notFound, conflict, invalid:
		return true
	}
	return false
}

// failure puts an error of Teleport's client into the words of the domain. doing begins its text. ctx is
// the call's.
func failure(ctx context.Context, doing string, err error) *access.Failure {
	text := oneLine(err)
	f := &access.Failure{Class: access.Permanent}
	switch kindOf(err) {
	case needsMFA:
		f.Err = fmt.Errorf("%s: %w: %s: the cluster wants MFA for admin actions, which a service cannot give: "+
			"use an identity made by tbot, which is exempt", doing, access.ErrDenied, text)
	case denied:
		f.Err = fmt.Errorf("%s: %w: %s", doing, access.ErrDenied, text)
	case notFound:
		f.Err = fmt.Errorf("%s: %w: %s", doing, access.ErrNotFound, text)
	case invalid:
		f.Err = fmt.Errorf("%s: %s", doing, text)
	case conflict:
		f.Class = access.Retry
		f.Err = fmt.Errorf("%s: %w: %s", doing, access.ErrConflict, text)
	default:
		f.Class = access.Retry
		f.Err = fmt.Errorf("%s: %s", doing, text)
		if over := overOf(ctx, err); over != nil {
			f.Err = fmt.Errorf("%s: %w", doing, over)
		}
	}
	return f
}

// overOf gives the context's error when that is why a call failed. gRPC reports a deadline as a code of
// its own, and may do so a moment before the context knows.
func overOf(ctx context.Context, err error) error {
	if ctx.Err() == nil && status.Code(err) == codes.DeadlineExceeded {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// rpcNoise is how gRPC introduces its messages.
var rpcNoise = regexp.MustCompile(`rpc error: code = \w+ desc = `)

// localPort is the part of network errors that differs each time.
var localPort = regexp.MustCompile(`\b((?:read|write|close) (?:tcp|udp)) \S+->`)

// maxText keeps a page of HTML or a chain of wrapped errors out of logs and pages.
const maxText = 400

// oneLine gives the text of an error, without line breaks and without what differs at each repetition.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = rpcNoise.ReplaceAllString(text, "")
	return short(localPort.ReplaceAllString(text, "$1 "))
}

func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
