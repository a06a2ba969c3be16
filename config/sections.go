package config

import (
	"errors"
	"io/fs"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

func (c *checker) teleport() {
	t := c.cfg.Teleport
	const want = `host:port of the proxy or auth server without a scheme, such as "teleport.example.com:443"`
	c.expect(isAddress(t.Addr, true), "teleport.addr", want)

	if !c.sound("teleport.identity", "teleport.client_key", "teleport.client_crt", "teleport.root_cas") {
		return
	}
	parts := []struct{ name, path string }{
		{"teleport.client_key", t.ClientKey},
		{"teleport.client_crt", t.ClientCrt},
		{"teleport.root_cas", t.RootCAs},
	}
	given, missing := []string{}, []string{}
	for _, p := range parts {
		if p.path == "" {
			missing = append(missing, p.name)
		} else {
			given = append(given, p.name)
		}
	}
	const choices = "set either teleport.identity or all of teleport.client_key, teleport.client_crt and teleport.root_cas"
	switch {
	case t.Identity == "" && len(given) == 0:
		c.reject("teleport.identity", "missing: %s", choices)
	case t.Identity != "" && len(given) > 0:
		c.reject("teleport.identity", "set beside %s: %s", strings.Join(given, ", "), choices)
	case t.Identity == "" && len(missing) > 0:
		c.reject(missing[0], "missing, as %s is set: %s", given[0], choices)
	}
}

// accountName matches the subdomain of a PagerDuty account.
var accountName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]*$`)

func (c *checker) pagerduty() {
	p := c.cfg.PagerDuty
	c.expect(isEmail(p.UserEmail), "pagerduty.user_email", `the login e-mail address of a PagerDuty user, such as "me@example.com"`)
	c.expect(isEndpoint(p.APIEndpoint), "pagerduty.api_endpoint",
		`a URL such as "https://api.pagerduty.com" without user, query or fragment (http only for a loopback address)`)
	c.expect(p.Account == "" || accountName.MatchString(p.Account), "pagerduty.account",
		`the subdomain alone, such as "acme" for https://acme.pagerduty.com`)

	holders := map[string]string{}
	for _, e := range []struct{ name, annotation string }{
		{"pagerduty.notify_service", p.NotifyService},
		{"pagerduty.services", p.Services},
		{"pagerduty.schedules", p.Schedules},
		{"pagerduty.user_email_annotation", p.UserEmailAnnotation},
	} {
		c.expect(e.annotation != "", e.name, "the name of an annotation")
		if other, taken := holders[e.annotation]; taken {
			c.reject(e.name, "names the annotation of %s too: want a name of its own", other)
		}
		holders[e.annotation] = e.name
	}
}

func (c *checker) webhook() {
	w := c.cfg.Webhook
	c.expect(isAddress(w.Listen, false), "webhook.listen", `an address to listen on, such as ":8081" or "127.0.0.1:8081"`)
	c.expect(isPath(w.Path), "webhook.path", `a URL path that begins with "/", without "?", "#", "%", ":", "*" or white space`)
	c.entries("webhook.client_names", w.ClientNames, "the names that a client certificate may have")
	c.transport(w)
}

func (c *checker) admin() {
	a := c.cfg.Admin
	c.expect(isAddress(a.Listen, false), "admin.listen", `an address to listen on, such as "127.0.0.1:8082"`)
	if c.sound("webhook.listen", "admin.listen") && collide(c.cfg.Webhook.Listen, a.Listen) {
		c.reject("admin.listen", `the same address as webhook.listen, want one of its own, such as "127.0.0.1:8082"`)
	}
	if c.sound("admin.listen", "admin.token") && a.Token == "" && !isLoopback(a.Listen) {
		c.reject("admin.token", "missing: needed because admin.listen (%s) is not a loopback address", a.Listen)
	}
}

// transport checks that exactly one of TLS and plain HTTP is chosen.
func (c *checker) transport(w Webhook) {
	if !c.sound("webhook.tls_cert", "webhook.tls_key", "webhook.insecure_http", "webhook.client_ca") {
		return
	}
	const choices = "set either webhook.tls_cert with webhook.tls_key, or webhook.insecure_http = true behind an ingress that ends TLS"
	switch {
	case w.InsecureHTTP && (w.TLSCert != "" || w.TLSKey != ""):
		c.reject("webhook.insecure_http", "true beside a TLS file: %s", choices)
	case w.InsecureHTTP && w.ClientCA != "":
		c.reject("webhook.client_ca", "client certificates need TLS: remove it, or webhook.insecure_http")
	case !w.InsecureHTTP && w.TLSCert == "":
		c.reject("webhook.tls_cert", "missing: %s", choices)
	case !w.InsecureHTTP && w.TLSKey == "":
		c.reject("webhook.tls_key", "missing: %s", choices)
	}
}

// secrets reads every secret once.
func (c *checker) secrets() {
	c.secret("pagerduty.api_key", c.cfg.PagerDuty.APIKey, true)
	if c.sound("webhook.secrets") && len(c.cfg.Webhook.Secrets) == 0 {
		c.reject("webhook.secrets", "missing, want the signing secret of the webhook subscription, or the path of a file that holds it")
	}
	_, problems := c.cfg.Webhook.readSecrets()
	for _, err := range problems {
		c.add("%s: %w", c.source("webhook.secrets"), err)
	}
	c.secret("admin.token", c.cfg.Admin.Token, false)
}

func (c *checker) secret(name string, source SecretSource, required bool) {
	switch {
	case !c.sound(name) || source == "" && !required:
	case source == "":
		c.reject(name, "missing, want the secret itself, or the path of a file that holds it")
	default:
		_, err := source.Read()
		if _, isFile := source.File(); isFile && errors.Is(err, fs.ErrNotExist) {
			c.reject(name, `begins with "/" and so names a file: %w`, err)
		} else if err != nil {
			c.reject(name, "%w", err)
		}
	}
}

// isAddress reports whether s is host:port. An address to dial needs a host and a port above 0.
func isAddress(s string, dial bool) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, "/@ \t") {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && !(dial && (host == "" || number == 0))
}

// isLoopback reports whether only this machine can reach the address.
func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// collide reports whether only one of two addresses can be listened on. Any free port never collides.
func collide(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	every := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	return portA == portB && portA != "0" && (hostA == hostB || every(hostA) || every(hostB))
}

func isEmail(s string) bool {
	address, err := mail.ParseAddress(s)
	return err == nil && address.Address == s
}

func isEndpoint(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, "?#") {
		return false
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return u.Scheme == "https" || u.Scheme == "http" && isLoopback(net.JoinHostPort(u.Hostname(), port))
}

func isPath(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsAny(s, "?#%:* \t\r\n")
}
