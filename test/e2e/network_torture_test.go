//go:build torture

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/pdhook/pdhook/test/teleporttest"
)

// network is a network namespace for pdhook, and a router between it and the two systems that can drop packets
// as a broken network does: neither side is told.
//
//	pdhook 10.x.b.2 ── 10.x.b.1 router 10.x.a.2 ── 10.x.a.1 here, 10.x.a.11 Teleport, 10.x.a.12 PagerDuty
type network struct {
	t                           testing.TB
	space, router               string // names of namespaces
	inside, teleport, pagerDuty string // addresses
}

const (
	teleportName  = "teleport.test"
	pagerDutyName = "pagerduty.test"
)

var networks atomic.Int32

func newNetwork(t testing.TB) *network {
	t.Helper()
	number := networks.Add(1)
	tag := fmt.Sprintf("pd%dn%d", os.Getpid()%100000, number)
	a, b := 2*(int(number)+os.Getpid()*7)%256, (2*(int(number)+os.Getpid()*7)+1)%256
	addr := func(net, host int) string { return fmt.Sprintf("10.231.%d.%d", net, host) }
	n := &network{t: t, space: tag + "p", router: tag + "r", inside: addr(b, 2), teleport: addr(a, 11), pagerDuty: addr(a, 12)}
	etc := filepath.Join("/etc/netns", n.space)
	t.Cleanup(func() { _ = os.RemoveAll(etc) })
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	// Nobody answers there, and says so: a name that is not among the hosts does not resolve.
	n.write("resolv.conf", "nameserver "+addr(a, 1)+"\noptions timeout:1 attempts:1\n")
	n.resolve(true)

	for _, space := range []string{n.router, n.space} {
		tool(t, "ip", "netns", "add", space)
		t.Cleanup(func() { tidy("ip", "netns", "del", space) }) // its links and routes go with it
	}
	ip := func(space string, args ...string) { tool(t, "ip", append([]string{"-n", space}, args...)...) }
	tool(t, "ip", "link", "add", tag, "type", "veth", "peer", "name", "north", "netns", n.router)
	ip(n.space, "link", "add", "wan", "type", "veth", "peer", "name", "south", "netns", n.router)
	tool(t, "ip", "link", "set", tag, "up")
	for _, own := range []string{addr(a, 1) + "/24", n.teleport + "/32", n.pagerDuty + "/32"} {
		tool(t, "ip", "addr", "add", own, "dev", tag)
	}
	for dev, own := range map[string]string{"north": addr(a, 2), "south": addr(b, 1)} {
		ip(n.router, "addr", "add", own+"/24", "dev", dev)
		ip(n.router, "link", "set", dev, "up")
	}
	tool(t, "ip", "netns", "exec", n.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	ip(n.space, "link", "set", "lo", "up")
	ip(n.space, "addr", "add", n.inside+"/24", "dev", "wan")
	ip(n.space, "link", "set", "wan", "up")
	ip(n.space, "route", "add", "default", "via", addr(b, 1))
	tool(t, "ip", "route", "add", addr(b, 0)+"/24", "via", addr(a, 2), "dev", tag)
	return n
}

// drop loses all packets from and to the address.
func (n *network) drop(addr string) { n.rule("add", addr) }

// pass lets them through again.
func (n *network) pass(addr string) { n.rule("del", addr) }

func (n *network) rule(what, addr string) {
	n.t.Helper()
	for _, way := range []string{"from", "to"} {
		tool(n.t, "ip", "-n", n.router, "rule", what, way, addr, "blackhole")
	}
}

// resolve says whether the names of the two systems resolve.
func (n *network) resolve(known bool) {
	n.t.Helper()
	hosts := "127.0.0.1 localhost\n"
	if known {
		hosts += n.teleport + " " + teleportName + "\n" + n.pagerDuty + " " + pagerDutyName + "\n"
	}
	n.write("hosts", hosts)
}

// write changes a file in place: the namespace sees this very file.
func (n *network) write(name, content string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join("/etc/netns", n.space, name), []byte(content), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// behind moves pdhook of the world into the namespace, and gives the relay to Teleport.
func (w *world) behind(n *network) *teleporttest.Proxy {
	w.t.Helper()
	relay, err := teleporttest.NewProxy(n.teleport+":0", w.teleport.Addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(relay.Close)
	roots := w.path("pagerduty.crt")
	writeCertificate(w.t, roots, w.path("pagerduty.key"), pagerDutyName)
	api := serveTLS(w.t, n.pagerDuty+":0", w.pd.Handler(), roots, w.path("pagerduty.key"))
	w.roots = writeCertificate(w.t, w.path("tls.crt"), w.path("tls.key"), n.inside)
	w.env = append(w.env, "SSL_CERT_FILE="+roots)
	w.under = []string{"ip", "netns", "exec", n.space}
	w.token = "a-token-of-the-test"
	w.conf["teleport.addr"] = quote(teleportName + port(w.t, relay.Addr()))
	w.conf["pagerduty.api_endpoint"] = quote("https://" + pagerDutyName + port(w.t, api))
	w.conf["webhook.listen"], w.conf["admin.listen"] = quote(n.inside+":8081"), quote(n.inside+":8082")
	w.conf["admin.token"] = quote(w.token)
	return relay
}
