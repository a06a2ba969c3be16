package e2e

import (
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/ports"
	"github.com/pdhook/pdhook/test/teleporttest"
)

func TestStartEndsWithOneErrorForWhatOnlyTheOperatorCanMend(t *testing.T) {
	for _, c := range []struct {
		name  string
		setUp func(w *world)
		lines [][]string // each line of the output with what it has to hold
	}{
		{"several mistakes, all at once",
			func(w *world) {
				w.conf["teleport.addr"] = `"https://teleport.example.com"`
				w.conf["policy.max_access"] = `"60"`
				w.conf["policy.notify"] = `"never"`
				delete(w.conf, "pagerduty.user_email")
			},
			[][]string{
				{"policy.max_access", `"60"`, `"90s"`},
				{"policy.notify", `"never"`, `"always" or "unless_approved"`},
				{"teleport.addr", "host:port", `"teleport.example.com:443"`},
				{"pagerduty.user_email", "missing"},
			}},
		{"unknown key", func(w *world) { w.conf["webhook.lisen"] = `":1"` },
			[][]string{{"pdhook.toml", `"webhook.lisen"`, `rename it to "webhook.listen"`}}},
		{"one address for both endpoints", func(w *world) {
			w.conf["webhook.listen"], w.conf["admin.listen"] = `"127.0.0.1:8099"`, `"127.0.0.1:8099"`
		},
			[][]string{{"admin.listen", "the same address as webhook.listen"}}},
		{"webhook secret of two words", func(w *world) { w.write("webhook-secret", secret+" "+secret+"\n") },
			[][]string{{"webhook.secrets", "/webhook-secret", "must be one word"}}},
		{"folder of the log missing", func(w *world) { w.conf["log.output"] = quote(w.path("nowhere/pdhook.log")) },
			[][]string{{"log.output", "nowhere/pdhook.log", "does its folder exist"}}},
		{"unsupported policy", func(w *world) { w.conf["policy.lock_on_shift_end"] = "true" },
			[][]string{{"policy.lock_on_shift_end", "not supported by this version"}}},
		{"short webhook secret", func(w *world) { w.write("webhook-secret", "fifteen-bytes-x") },
			[][]string{{"webhook.secrets", "webhook-secret", "fewer than 16 bytes"}}},
		{"no certificate", func(w *world) { delete(w.conf, "webhook.tls_cert"); delete(w.conf, "webhook.tls_key") },
			[][]string{{"webhook.tls_cert with webhook.tls_key", "webhook.insecure_http = true"}}},
		{"certificate and plain HTTP", func(w *world) { w.conf["webhook.insecure_http"] = "true" },
			[][]string{{"webhook.tls_cert with webhook.tls_key", "webhook.insecure_http"}}},
		{"identity file missing", func(w *world) { w.remove("identity") },
			[][]string{{"teleport.identity", "/identity", "no such file"}}},
		{"key pair without its certificate", func(w *world) {
			_, key, cas := w.writeKeyPair()
			delete(w.conf, "teleport.identity")
			w.conf["teleport.client_key"], w.conf["teleport.root_cas"] = quote(key), quote(cas)
		}, [][]string{{"teleport.client_crt", "missing"}}},
		{"identity is no identity", func(w *world) { w.write("identity", "garbage\n") },
			[][]string{{"teleport.identity", "/identity", "tctl auth sign"}}},
		{"api key file missing", func(w *world) { w.remove("api-key") },
			[][]string{{"pagerduty.api_key", "/api-key", "no such file"}}},
		{"certificate file missing", func(w *world) { w.remove("tls.crt") },
			[][]string{{"webhook.tls_cert", "/tls.crt", "no such file"}}},
		{"key of another certificate", func(w *world) { writeCertificate(w.t, w.path("other.crt"), w.path("tls.key")) },
			[][]string{{"webhook.tls_cert", "/tls.crt", "tls_key", "/tls.key", "do not form a pair"}}},
		{"no authority in client_ca", func(w *world) { w.write("ca.pem", "garbage\n"); w.conf["webhook.client_ca"] = quote(w.path("ca.pem")) },
			[][]string{{"webhook.client_ca", "/ca.pem", "no certificate"}}},
		{"store cannot be created", func(w *world) { w.conf["store.path"] = quote(w.path("nowhere/store")) },
			[][]string{{"nowhere/store", "create the directory", "store.path"}}},
		{"store is a file", func(w *world) { w.write("store", "") },
			[][]string{{"store.path", "/store", "not a directory"}}},
		{"webhook port in use", func(w *world) { w.conf["webhook.listen"] = quote(taken(w.t)) },
			[][]string{{"webhook.listen", "address already in use", "choose another address"}}},
		{"admin port in use", func(w *world) { w.conf["admin.listen"] = quote(taken(w.t)) },
			[][]string{{"admin.listen", "address already in use", "choose another address"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.setUp(w)
			w.refuses(c.lines...)
			if calls := w.pd.CountRequests("") + w.teleport.Calls("Ping"); calls > 0 {
				t.Errorf("a pdhook that did not start made %d calls", calls)
			}
		})
	}
}

func TestAKeyPairServesInsteadOfAnIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, without("teleport.identity"))
	crt, key, cas := w.writeKeyPair()
	w.conf["teleport.client_crt"], w.conf["teleport.client_key"], w.conf["teleport.root_cas"] = quote(crt), quote(key), quote(cas)
	w.start()
	w.reaches(w.request("kim@example.com", "payments-admin"), types.RequestState_APPROVED)
}

func (w *world) writeKeyPair() (crt, key, cas string) {
	w.t.Helper()
	crt, key, cas, err := w.teleport.WriteKeyPair(w.dir, bot, teleporttest.IdentityOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return crt, key, cas
}

func TestAStoreThatIsInUseEndsTheSecondPdhookOnly(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	second := w.beside()
	second.conf["store.path"] = w.conf["store.path"]
	second.refuses([]string{w.path("store"), "another pdhook runs on", "stop it or set another store.path"})
	w.opened(w.request("dana@example.com", "payments-admin"))
}

func TestAnUnknownUserEmailIsToldAtStart(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("pagerduty.user_email", `"nobody@example.com"`))
	line := w.proc.says("PagerDuty needs attention")
	w.complains(line, "nobody@example.com", "pagerduty.user_email")
	w.eventually("/status shows it", func() bool { return strings.Contains(w.status().PagerDuty.LastError, "pagerduty.user_email") })
}

func TestHealthTellsWhetherTheServiceIsReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("webhook-secret")
	w.launch()
	if code, out := run(t, nil, "health", "--config", w.configure()); code != 1 || !strings.Contains(out, "not ready") {
		t.Errorf("without a webhook secret: got %d %q, want 1 and why", code, out)
	}
	w.write("webhook-secret", secret)
	w.proc.says("Secrets have changed and were read again")
	addr := strings.TrimPrefix(w.admin, "http://")
	if code, out := run(t, nil, "health", "--addr", addr); code != 0 || out != "" {
		t.Errorf("ready: got %d %q, want 0 and nothing", code, out)
	}
	if code, _ := run(t, []string{"PDHOOK_ADMIN_LISTEN=" + addr}, "health"); code != 0 {
		t.Errorf("by the environment: got %d, want 0", code)
	}
	w.proc.stop()
	if code, out := run(t, nil, "health", "--addr", addr); code != 1 || !strings.Contains(out, addr) {
		t.Errorf("stopped: got %d %q, want 1 and the address", code, out)
	}
	if code, _ := run(t, nil, "health", "--nonsense"); code != 2 {
		t.Errorf("wrong usage: got %d, want 2", code)
	}
}

func TestVersionNamesVersionCommitAndGo(t *testing.T) {
	t.Parallel()
	code, out := run(t, nil, "version")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 3 {
		t.Fatalf("got %d %q, want 0 and three lines", code, out)
	}
	for i, begin := range []string{"pdhook ", "commit ", "go1."} {
		if !strings.HasPrefix(lines[i], begin) {
			t.Errorf("line %d is %q, want it to begin with %q", i+1, lines[i], begin)
		}
	}
}

func TestTheExampleConfigurationRunsOnceItsSamplesAreFilledIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, example := run(t, nil, "configure")
	if code != 0 {
		t.Fatalf("configure: got exit code %d", code)
	}
	w.write("pagerduty-api-key", pagerdutytest.DefaultAPIKey)
	filled := strings.NewReplacer(
		"/var/lib/pdhook/", w.dir+"/", "teleport.example.com:443", w.teleport.Addr(), "me@example.com", botPD,
		`"https://api.pagerduty.com"`, w.conf["pagerduty.api_endpoint"],
		`":8081"`, `"127.0.0.1:0"`, `"127.0.0.1:8082"`, `"127.0.0.1:0"`, `format = "text"`, `format = "json"`,
	).Replace(example)
	w.write("example.toml", filled)
	w.proc = launch(t, nil, "start", "--config", w.path("example.toml"))
	w.proc.says("Watching access requests")
	w.opened(w.request("dana@example.com", "payments-admin"))
	w.proc.stop()
}

func TestTheEnvironmentAloneConfiguresPdhook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.conf["policy.auto_approve_roles"] = `["payments-admin","other"]`
	w.conf["pagerduty.api_key"] = quote(pagerdutytest.DefaultAPIKey)
	w.conf["webhook.secrets"] = quote(secret)
	var env []string
	for key, value := range w.conf {
		name := "PDHOOK_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		env = append(env, name+"="+strings.NewReplacer(`"`, "", "[", "", "]", "").Replace(value))
	}
	env = append(env, "PDHOOK_SERVICE_HOST=10.0.0.1", "PDHOOK_PORT_8081_TCP_PORT=8081", "PDHOOK_WEBHOOK_CLIENT_CA=")
	w.proc = launch(t, env, "start")
	w.proc.says("Watching access requests")
	id := w.request("kim@example.com", "payments-admin")
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.tellsNoSecret()
	w.proc.stop()

	code, out := run(t, append(env, "PDHOOK_POLICY_NOTIFY=never", "PDHOOK_TYPO=1"), "start")
	if code != 1 || !strings.Contains(out, "PDHOOK_POLICY_NOTIFY") || !strings.Contains(out, "PDHOOK_TYPO") || strings.Count(out, "\n") != 2 {
		t.Errorf("two wrong variables: got %d %q, want 1 and a line for each", code, out)
	}
}

func TestNoSecretIsToldAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("log.severity", `"DEBUG"`), with("admin.token", `"the-token-of-admin"`))
	w.launch()
	w.proc.says("Watching access requests")
	id := w.request("kim@example.com", "payments-admin")
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	denied := w.request("dana@example.com", "payments-admin")
	w.opened(denied)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusUnauthorized})
	late := w.request("sam@example.com", "payments-admin")
	w.proc.says("refused the API key")
	w.pd.ClearFaults()
	w.hangUp()
	w.opened(late)
	w.pd.Acknowledge(w.opened(denied).ID, w.kim.ID)
	if status, body := w.get("/status"); status != http.StatusUnauthorized || strings.Contains(string(body), "teleport") {
		t.Errorf("/status without the token: got %d %s, want 401", status, body)
	}
	var told strings.Builder
	for _, path := range []string{"/status", "/metrics", "/readyz", "/healthz", "/nothing-here"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("any", "the-token-of-admin")
		status, body := fetch(req)
		if status != http.StatusOK && path != "/nothing-here" {
			t.Errorf("%s with the token: got %d", path, status)
		}
		told.Write(body)
	}
	w.proc.stop()
	w.tellsNoSecret("the-token-of-admin")
	for _, s := range []string{pagerdutytest.DefaultAPIKey, secret, "the-token-of-admin"} {
		if strings.Contains(told.String(), s) {
			t.Errorf("[admin] tells %q", s)
		}
	}
}

// refuses starts pdhook, which has to end within 5 s with these lines and nothing else, not having listened.
func (w *world) refuses(lines ...[]string) {
	w.t.Helper()
	w.proc = launch(w.t, nil, "start", "--config", w.configure())
	if code := w.proc.wait(5 * time.Second); code != 1 {
		w.t.Errorf("got exit code %d, want 1", code)
	}
	got := strings.Split(strings.TrimSuffix(w.proc.output(), "\n"), "\n")
	if len(got) != len(lines) {
		w.t.Fatalf("got %d lines, want %d:\n%s", len(got), len(lines), w.proc.output())
	}
	for _, want := range lines {
		if !slices.ContainsFunc(got, func(line string) bool { return holds(line, want) && strings.HasPrefix(line, "pdhook: ") }) {
			w.t.Errorf("no line holds all of %q in\n%s", want, w.proc.output())
		}
	}
}

func holds(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

// complains checks that a line of the log is an ERROR that holds all parts in its attributes.
func (w *world) complains(line logLine, parts ...string) {
	w.t.Helper()
	text := line.text("error") + " " + line.text("endpoint") + " " + line.text("hint")
	if line.text("level") != "ERROR" || !holds(text, parts) {
		w.t.Errorf("got %v, want an ERROR with %q", line, parts)
	}
}

// complained checks how many ERROR lines there were by now.
func (w *world) complained(n int) {
	w.t.Helper()
	if lines := w.proc.find(func(l logLine) bool { return l.text("level") == "ERROR" }); len(lines) != n {
		w.t.Errorf("got %d ERROR lines, want %d: %v", len(lines), n, lines)
	}
}

// tellsNoSecret looks for the secrets in all that pdhook has printed.
func (w *world) tellsNoSecret(more ...string) {
	w.t.Helper()
	for _, s := range append(more, pagerdutytest.DefaultAPIKey, secret) {
		if strings.Contains(w.proc.output(), s) {
			w.t.Errorf("the log tells %q", s)
		}
	}
}

// beside gives a world for another pdhook between the same two systems, with files and a store of its own.
func (w *world) beside() *world {
	other := *w
	other.dir, other.proc, other.sub = w.t.TempDir(), nil, pagerdutytest.Subscription{}
	other.conf = maps.Clone(w.conf)
	other.conf["store.path"] = quote(filepath.Join(other.dir, "store"))
	other.conf["webhook.listen"], other.conf["admin.listen"] = quote(ports.Held(w.t)), quote(ports.Held(w.t))
	return &other
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

// run gives exit code and output of a command that ends by itself.
func run(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(cleanEnv(), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("running pdhook: %v", err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// taken gives an address on which somebody else listens until the end of the test.
func taken(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// read gives the content of a file, "" when there is none.
func (w *world) read(name string) string {
	content, _ := os.ReadFile(w.path(name)) // that it is not there yet is an answer
	return string(content)
}
