package teleport

import "strings"

// A remedy is what an operator can do about connections that fail for a cause. KEY stands for the key of
// the configuration that names the credentials.
type remedy struct {
	cause string // a part of the cause's text, as dialCause gives it
	hint  string
}

// remedies are looked through in order: the first that fits is told.
var remedies = []remedy{
	{"this is a proxy", "put an auth server into teleport.addr, or use an identity file: teleport.identity"},
	{"remote error: tls:", "Teleport does not take the certificate of KEY: renew it with tbot or tctl auth sign"},
	{"first record does not look like a TLS handshake", "what listens there speaks no TLS: teleport.addr wants host:port of a Teleport proxy or auth server"},
	{"x509:", "is teleport.addr the cluster that KEY belongs to? Correct one of them; the certificate of a proxy must be trusted here"},
	{"lookup ", "correct the host in teleport.addr, or the DNS here"},
	{"connection refused", "nothing listens there: correct the port in teleport.addr, or start Teleport"},
	{"no answer within", unreachable},
	{"i/o timeout", unreachable},
	{"no route to host", unreachable},
	{"network is unreachable", unreachable},
}

const unreachable = "correct teleport.addr, or let pdhook through to it: firewall, routes, proxy variables"

// wayOut says in a few words what can be done about a connection that fails for this cause.
func (cfg Config) wayOut(cause string) string {
	hint := "check teleport.addr, and that KEY belongs to that cluster"
	for _, r := range remedies {
		if strings.Contains(cause, r.cause) {
			hint = r.hint
			break
		}
	}
	key := "teleport.identity"
	if cfg.Identity == "" {
		key = "teleport.client_crt"
	}
	return strings.ReplaceAll(hint, "KEY", key)
}
