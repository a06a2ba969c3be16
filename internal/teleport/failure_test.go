package teleport

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gravitational/teleport/api/mfa"
	"github.com/gravitational/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pdhook/pdhook/internal/access"
)

func TestErrorsOfCallsAndOfStreamOpeningsMeanTheSame(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		class   access.Class
		is      error
		refused bool
	}{
		{"denied", trace.AccessDenied("x"), access.Permanent, access.ErrDenied, true},
		{"denied, by code", status.Error(codes.PermissionDenied, "x"), access.Permanent, access.ErrDenied, true},
		{"unauthenticated, by code", status.Error(codes.Unauthenticated, "x"), access.Permanent, access.ErrDenied, true},
		{"MFA", trace.Wrap(&mfa.ErrAdminActionMFARequired), access.Permanent, access.ErrDenied, true},
		{"not found", trace.NotFound("x"), access.Permanent, access.ErrNotFound, true},
		{"not found, by code", status.Error(codes.NotFound, "x"), access.Permanent, access.ErrNotFound, true},
		{"conflict", trace.CompareFailed("x"), access.Retry, access.ErrConflict, true},
		{"bad parameter", trace.BadParameter("x"), access.Permanent, nil, true},
		{"not implemented", trace.NotImplemented("x"), access.Permanent, nil, true},
		{"not implemented, by code", status.Error(codes.Unimplemented, "x"), access.Permanent, nil, true},
		{"limit", trace.LimitExceeded("x"), access.Retry, nil, false},
		{"connection", trace.ConnectionProblem(nil, "x"), access.Retry, nil, false},
		{"unavailable, by code", status.Error(codes.Unavailable, "x"), access.Retry, nil, false},
		{"deadline, by code", status.Error(codes.DeadlineExceeded, "x"), access.Retry, nil, false},
		{"unknown", errors.New("x"), access.Retry, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := failure(t.Context(), "doing it", tt.err)
			if got.Class != tt.class || tt.is != nil && !errors.Is(got, tt.is) || refused(tt.err) != tt.refused {
				t.Errorf("got class %v, refused %v, %v; want class %v, refused %v, %v", got.Class, refused(tt.err), got, tt.class, tt.refused, tt.is)
			}
			if !strings.HasPrefix(got.Error(), "doing it: ") {
				t.Errorf("text %q does not begin with what was done", got)
			}
		})
	}
}

func TestErrorTextsAreOneShortLine(t *testing.T) {
	got := oneLine(errors.New("a\n\tb " + strings.Repeat("é", maxText)))
	if !strings.HasPrefix(got, "a b é") || len(got) > maxText+len("…") || !utf8.ValidString(got) {
		t.Errorf("got %q", got)
	}
}
