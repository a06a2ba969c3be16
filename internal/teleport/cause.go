package teleport

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gravitational/teleport/api"
	"github.com/gravitational/trace"
)

// dialCause gives the causes in an error of client.New that say something, in a stable order. The client
// tries all ways at once by which an address might be reached, so that most of its complaints are about
// ways that do not exist there.
func dialCause(err error) string {
	var auth string      // of the way to an auth server
	var proxies []string // of the ways through a proxy; an auth server answers none of them
	for _, way := range waysOf(err) {
		cause := wayCause(way)
		switch {
		case strings.Contains(way.Error(), "as an auth server"):
			auth = cause
		case !slices.Contains(proxies, cause):
			proxies = append(proxies, cause)
		}
	}
	slices.Sort(proxies)
	switch {
	case auth == "":
		return short(strings.Join(proxies, "; "))
	case strings.Contains(auth, "no application protocol") && len(proxies) == 0:
		return "this is a proxy, which takes no client_key and client_crt"
	case strings.Contains(auth, "no application protocol"): // it is a proxy
		return short(strings.Join(proxies, "; "))
	case strings.Contains(auth, "teleport.cluster.local"): // the name in the certificate is wrong: it may be one
		return short(strings.Join(append([]string{auth}, proxies...), "; "))
	}
	return short(auth + versionHint(auth))
}

// versionHint explains how auth servers turn away clients that are too old for them.
func versionHint(cause string) string {
	if !strings.HasSuffix(cause, "EOF") {
		return ""
	}
	return fmt.Sprintf(" (if this stays, the cluster may be too new for this pdhook, which speaks Teleport %s)", api.Version)
}

// waysOf takes the errors of the single ways out of the aggregate.
func waysOf(err error) []error {
	if all, ok := errors.AsType[trace.Aggregate](err); ok {
		return all.Errors()
	}
	return []error{err}
}

var (
	wayDesc  = regexp.MustCompile(`connection error: desc = "(.*)"$`)
	wayNoise = regexp.MustCompile(`^(transport: |Error while dialing: |failed to dial: |error reading server preface: |Get "[^"]*": )`)
)

// wayCause gives the innermost cause of one way's error.
func wayCause(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if desc := wayDesc.FindStringSubmatch(text); desc != nil {
		text = strings.ReplaceAll(desc[1], `\"`, `"`)
	} else if strings.HasSuffix(text, "context deadline exceeded") {
		return fmt.Sprintf("no answer within %v", dialTimeout)
	}
	for {
		rest := wayNoise.ReplaceAllString(text, "")
		if rest == text {
			return localPort.ReplaceAllString(text, "$1 ")
		}
		text = rest
	}
}
