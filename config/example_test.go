package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// installed writes a configuration whose samples name files below /var/lib/pdhook, with these files in a
// folder of the test, and gives its path and the folder.
func installed(t *testing.T, content string) (path, folder string) {
	t.Helper()
	folder = t.TempDir()
	for _, name := range []string{"identity", "pagerduty-api-key", "webhook-secret", "tls.crt", "tls.key", "auth.key", "auth.crt", "auth.cas"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("content-of-the-file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return write(t, "pdhook.toml", strings.ReplaceAll(content, "/var/lib/pdhook/", folder+"/")), folder
}

// samples is what the specification's block and the example say beside the defaults.
func samples(folder string) *Config {
	c := defaults()
	c.Teleport.Addr = "teleport.example.com:443"
	c.Teleport.Identity = folder + "/identity"
	c.PagerDuty.APIKey = SecretSource(folder + "/pagerduty-api-key")
	c.PagerDuty.UserEmail = "me@example.com"
	c.Webhook.Secrets = []SecretSource{SecretSource(folder + "/webhook-secret")}
	c.Webhook.TLSCert = folder + "/tls.crt"
	c.Webhook.TLSKey = folder + "/tls.key"
	c.Store.Path = folder + "/store"
	return c
}

func TestTheBlockOfTheSpecificationLoadsToItsSamplesAndTheDefaults(t *testing.T) {
	block, err := os.ReadFile("testdata/spec.toml")
	if err != nil {
		t.Fatal(err)
	}
	path, folder := installed(t, string(block))
	equal(t, load(t, path), samples(folder))
	if spec, err := os.ReadFile("../../shared/spec.md"); err == nil && !strings.Contains(string(spec), string(block)) {
		t.Error("the specification holds another block than testdata/spec.toml")
	}
}

func TestTheExampleLoadsToItsSamplesAndTheDefaults(t *testing.T) {
	path, folder := installed(t, Example())
	equal(t, load(t, path), samples(folder))
}

// entry finds a key in the example, set or commented out, with the comment before it.
func entry(name string) (comment, value string) {
	section, key, _ := strings.Cut(name, ".")
	_, rest, _ := strings.Cut(Example(), "\n["+section+"]\n")
	rest, _, _ = strings.Cut(rest, "\n[")
	found := regexp.MustCompile(`(?m)((?:^#.*\n)+)(?:# )?` + key + ` = (.*)$`).FindStringSubmatch(rest)
	if found == nil {
		return "", ""
	}
	return found[1], found[2]
}

func TestTheExampleSaysOfEveryKeyItsVariableAndDefault(t *testing.T) {
	required := regexp.MustCompile(`^(teleport\.(addr|identity|client_key|client_crt|root_cas)|pagerduty\.(api_key|user_email)|webhook\.(secrets|tls_cert|tls_key))$`)
	for _, k := range keys {
		comment, value := entry(k.name)
		if value == "" {
			t.Errorf("%s: not in the example", k.name)
			continue
		}
		if !strings.Contains(comment, "Variable: "+k.variable+"\n") {
			t.Errorf("%s: got comment\n%swant %s in it", k.name, comment, k.variable)
		}
		if want := "Default: " + inTOML(k, defaults()) + ". "; !required.MatchString(k.name) && !strings.Contains(comment, want) {
			t.Errorf("%s: got comment\n%swant %q in it", k.name, comment, want)
		}
	}
}

// inTOML shows a key's value as the example does.
func inTOML(k key, c *Config) string {
	switch v := k.of(c).(type) {
	case time.Duration:
		return `"` + strings.TrimSuffix(strings.TrimSuffix(v.String(), "0s"), "0m") + `"`
	case string:
		return fmt.Sprintf("%q", v)
	case SecretSource:
		return fmt.Sprintf("%q", string(v))
	case []string:
		if v == nil {
			return "any role"
		}
		return "PagerDuty's two, as below"
	default:
		if k.name == "log.severity" {
			return fmt.Sprintf("%q", v)
		}
		return fmt.Sprint(v)
	}
}

func TestEveryKeyOfTheExampleCanComeFromTheEnvironment(t *testing.T) {
	path, folder := installed(t, Example())
	d := newDraft(path)
	d.readFile()
	var environ []string
	for _, k := range keys {
		if s, ok := d.settings[k.name]; ok {
			environ = append(environ, k.variable+"="+asText(s.value))
		}
	}
	equal(t, load(t, "", environ...), samples(folder))
}

// asText shows a value as it is written in a variable.
func asText(value any) string {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Slice {
		var entries []string
		for i := range v.Len() {
			entries = append(entries, v.Index(i).String())
		}
		return strings.Join(entries, ",")
	}
	if v.Kind() == reflect.String {
		return v.String()
	}
	return fmt.Sprint(value)
}
