package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// good gives the least configuration that loads, changed by change.
func good(t *testing.T, change func(*Config)) *Config {
	t.Helper()
	cfg := defaults()
	cfg.Teleport.Addr = "teleport.example.com:443"
	cfg.Teleport.Identity = "testdata/identity"
	cfg.PagerDuty.APIKey = "inline-api-key"
	cfg.PagerDuty.UserEmail = "me@example.com"
	cfg.Webhook.Secrets = []SecretSource{"inline-webhook-secret"}
	cfg.Webhook.InsecureHTTP = true
	change(cfg)
	return cfg
}

// equal compares whole configurations and names the keys that differ.
func equal(t *testing.T, got, want *Config) {
	t.Helper()
	for _, k := range keys {
		if !same(k, got, want) {
			t.Errorf("%s: got %#v, want %#v", k.name, k.of(got), k.of(want))
		}
	}
}

func load(t *testing.T, path string, environ ...string) *Config {
	t.Helper()
	cfg, err := Load(path, environ)
	if err != nil {
		t.Fatalf("loading %s: got error\n%v", path, err)
	}
	return cfg
}

// write gives the path of a new file with the content.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadFillsInTheDefaults(t *testing.T) {
	equal(t, load(t, "testdata/good.toml"), good(t, func(*Config) {}))
}

func TestAConfigurationOfTeleportsPluginNeedsOnlyTheWebhookSection(t *testing.T) {
	equal(t, load(t, "testdata/teleport-pagerduty.toml"), good(t, func(c *Config) {
		c.Teleport.Addr = "example.com:3025"
		c.Teleport.RefreshIdentityInterval = 30 * time.Second
		c.PagerDuty.APIEndpoint = "https://api.eu.pagerduty.com"
		c.PagerDuty.NotifyService = "notify-these"
		c.PagerDuty.Services = "approve-these"
		c.Log.Severity = slog.LevelDebug
		c.Log.Format = "json"
	}))
}

func TestAnAliasMayRepeatItsKey(t *testing.T) {
	content, err := os.ReadFile("testdata/good.toml")
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.Replace(string(content), "[teleport]", "[teleport]\nauth_server = \"teleport.example.com:443\"", 1)
	equal(t, load(t, write(t, "twice.toml", twice)), good(t, func(*Config) {}))
}

func TestZeroMeansAnyForAccessAndAge(t *testing.T) {
	cfg := load(t, "testdata/good.toml", "PDHOOK_POLICY_MAX_ACCESS=0", "PDHOOK_POLICY_MAX_REQUEST_AGE=0s")
	equal(t, cfg, good(t, func(c *Config) { c.Policy.MaxAccess, c.Policy.MaxRequestAge = 0, 0 }))
}

func TestAListReplacesItsDefault(t *testing.T) {
	cfg := load(t, "testdata/good.toml", "PDHOOK_WEBHOOK_CLIENT_NAMES=one.example.com")
	equal(t, cfg, good(t, func(c *Config) { c.Webhook.ClientNames = []string{"one.example.com"} }))
}

func TestPlainHTTPIsFineForALoopbackEndpoint(t *testing.T) {
	for _, endpoint := range []string{"http://127.0.0.1:4010", "http://localhost:4010", "http://[::1]:4010", "http://127.0.0.1"} {
		cfg := load(t, "testdata/good.toml", "PDHOOK_PAGERDUTY_API_ENDPOINT="+endpoint+"/")
		if cfg.PagerDuty.APIEndpoint != endpoint {
			t.Errorf("got %s, want %s", cfg.PagerDuty.APIEndpoint, endpoint)
		}
	}
}

func TestAFileThatIsNotThereIsTheOnlyMistake(t *testing.T) {
	_, err := Load("testdata/nowhere.toml", []string{"PDHOOK_POLICY_DRY_RUN=maybe"})
	want := []string{
		"opening testdata/nowhere.toml: no such file or directory",
		`PDHOOK_POLICY_DRY_RUN: got "maybe", want true or false`,
	}
	if got := lines(t, err); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLockOnResolveNeedsAnIncident(t *testing.T) {
	c := checker{newDraft(""), good(t, func(c *Config) { c.Policy.LockOnResolve = true })}
	c.policy()
	want := []string{`PDHOOK_POLICY_LOCK_ON_RESOLVE: needs policy.require_incident to be other than "none": without an incident none can end`}
	if got := lines(t, c.problems.orNil()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnsupportedNamesRealKeys(t *testing.T) {
	for _, name := range unsupported {
		if !slices.Contains(keyNames(), name) {
			t.Errorf("got %q in the table, want the name of a key", name)
		}
	}
}

func TestEveryKeyHasAKindAndNoneIsCalledPort(t *testing.T) {
	for _, k := range keys {
		if k.kind.want == "" {
			t.Errorf("%s: got a type without a kind", k.name)
		}
		if strings.HasSuffix(k.name, "port") || serviceLink.MatchString(k.variable) {
			t.Errorf("%s: got a variable that looks like a Kubernetes service link", k.variable)
		}
		if strings.Count(k.name, ".") != 1 || strings.HasPrefix(k.name, ".") || strings.HasSuffix(k.name, ".") {
			t.Errorf("got key %q, want a section and a name", k.name)
		}
	}
}

func TestAdminIsFoundInAConfigurationWithMistakes(t *testing.T) {
	for _, tt := range []struct {
		path    string
		environ []string
		want    string
		unread  string
	}{
		{"testdata/bad-many.toml", nil, "0.0.0.0:8082", ""},
		{"testdata/bad-many.toml", []string{"PDHOOK_ADMIN_LISTEN=127.0.0.1:9"}, "127.0.0.1:9", ""},
		{"testdata/bad-syntax.toml", []string{"PDHOOK_ADMIN_LISTEN=127.0.0.1:9"}, "127.0.0.1:9", "parsing testdata/bad-syntax.toml: line 3"},
		{"testdata/nowhere.toml", nil, "127.0.0.1:8082", "opening testdata/nowhere.toml: no such file or directory"},
		{"testdata", nil, "127.0.0.1:8082", "opening testdata: is a directory"},
		{"", nil, "127.0.0.1:8082", ""},
	} {
		got, err := AdminOf(tt.path, tt.environ)
		if got.Listen != tt.want {
			t.Errorf("AdminOf(%q, %q): got %q, want %q", tt.path, tt.environ, got.Listen, tt.want)
		}
		if (err == nil) != (tt.unread == "") || err != nil && !strings.HasPrefix(err.Error(), tt.unread) {
			t.Errorf("AdminOf(%q, %q): got error %v, want %q", tt.path, tt.environ, err, tt.unread)
		}
	}
}

func TestAFileMayBeginWithAByteOrderMark(t *testing.T) {
	content, err := os.ReadFile("testdata/good.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "marked.toml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := Examine("testdata/good.toml", nil)
	write("\ufeff" + strings.ReplaceAll(string(content), "\n", "\r\n"))
	if got := Examine(path, nil); !reflect.DeepEqual(got.Config, want.Config) {
		t.Errorf("got %+v with %v, want %+v", got.Config, got.Mistakes, want.Config)
	}
	write("\ufeff[teleport]\naddr = \"a:1\"\naddr = \"b:2\"\n")
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "line 3: key addr is already defined") {
		t.Errorf("got %v, want the line of the mistake", err)
	}
	write("\xff\xfe[\x00t\x00")
	if _, err := Load(path, nil); err == nil || !strings.Contains(err.Error(), "want text in UTF-8") {
		t.Errorf("got %v, want the encoding named", err)
	}
}

func TestRestartNamesWhatCannotChangeWhileRunning(t *testing.T) {
	running := good(t, func(*Config) {})
	if got := Restart(running, good(t, func(*Config) {})); got != nil {
		t.Errorf("got %q for equal configurations, want nothing", got)
	}

	next := good(t, func(c *Config) {
		v := reflect.ValueOf(c).Elem()
		for _, k := range keys {
			v.FieldByIndex(k.field).Set(other(v.FieldByIndex(k.field)))
		}
	})
	want := []string{
		"teleport.addr", "teleport.identity", "teleport.client_key", "teleport.client_crt", "teleport.root_cas",
		"teleport.refresh_identity", "teleport.refresh_identity_interval",
		"pagerduty.user_email", "pagerduty.api_endpoint",
		"webhook.listen", "webhook.path", "webhook.tls_cert", "webhook.tls_key", "webhook.insecure_http",
		"webhook.client_ca", "webhook.client_names", "webhook.client_auth",
		"store.path", "store.retention", "admin.listen",
	}
	if got := Restart(running, next); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// other gives a value of the same type that differs.
func other(v reflect.Value) reflect.Value {
	changed := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Bool:
		changed.SetBool(!v.Bool())
	case reflect.String:
		changed.SetString(v.String() + "x")
	case reflect.Slice:
		changed.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	default:
		changed.SetInt(v.Int() + 1)
	}
	return changed
}
