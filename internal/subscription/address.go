package subscription

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

// CheckURL says what keeps PagerDuty from delivering to the URL, or makes it unwise. unreachable allows addresses of
// this machine or network, for a PagerDuty that is a simulator.
func CheckURL(text string, unreachable bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme == "" || u.Hostname() == "":
		return fmt.Errorf("%q is no URL like https://pdhook.example.com/webhooks/pagerduty", text)
	case u.Scheme != "https":
		return fmt.Errorf("the URL must begin with https:// (%s): its way here leads through the internet", u.Scheme)
	case u.User != nil:
		return errors.New("the URL must not hold a user or password: what proves a webhook is its signature")
	case strings.ContainsAny(text, "?#"):
		return errors.New("the URL must end with its path, without a query or fragment")
	case !unreachable && private(u.Hostname()):
		return fmt.Errorf("PagerDuty cannot reach %s: give the public name under which pdhook, or its ingress, is reached", u.Hostname())
	}
	return nil
}

func private(host string) bool {
	ip := net.ParseIP(host)
	if ip == nil {
		return access.Fold(host) == "localhost" || strings.HasSuffix(access.Fold(host), ".localhost")
	}
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()
}

// Wanted is a filter as a person writes it.
type Wanted struct {
	Kind access.FilterKind
	Ref  string // name, or "id:" and ID, of the service or team
}

// ParseFilter reads "account", "service:NAME" or "team:NAME", where NAME may be "id:" and an ID.
func ParseFilter(text string) (Wanted, error) {
	kind, ref, named := strings.Cut(text, ":")
	w := Wanted{Kind: access.FilterKind(kind), Ref: strings.TrimSpace(ref)}
	switch w.Kind {
	case access.FilterAccount:
		if !named {
			return w, nil
		}
	case access.FilterService, access.FilterTeam:
		if w.Ref != "" && w.Ref != "id:" {
			return w, nil
		}
	}
	return Wanted{}, fmt.Errorf(`the filter is account, service:NAME or team:NAME (or service:id:ID), not %q`, text)
}
