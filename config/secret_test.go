package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestSecretsShowInNoFormat(t *testing.T) {
	const secret = "tell-nobody"
	cfg := good(t, func(c *Config) {
		c.PagerDuty.APIKey = secret
		c.Webhook.Secrets = []SecretSource{secret}
		c.Admin.Token = secret
	})
	var shown []string
	for _, value := range []any{Secret(secret), SecretSource(secret), []Secret{secret}, cfg, *cfg, cfg.Webhook, map[string]Secret{"a": secret}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
			shown = append(shown, fmt.Sprintf(verb, value))
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "value", value)
		shown = append(shown, fmt.Sprint(value), fmt.Errorf("%w: %v", fs.ErrInvalid, value).Error(), string(encoded), log.String())
	}
	hex := fmt.Sprintf("%x", secret)
	for _, text := range shown {
		if strings.Contains(text, secret) || strings.Contains(strings.ToLower(text), hex) {
			t.Errorf("got the secret in %q", text)
		}
	}
	if got := Secret(secret).Reveal(); got != secret {
		t.Errorf("Reveal: got %q, want the secret", got)
	}
	for _, text := range []string{Secret(secret).String(), fmt.Sprintf("%q", Secret(secret)), SecretSource(secret).String()} {
		if text != "<redacted>" {
			t.Errorf("got %q, want <redacted>", text)
		}
	}
	if got := fmt.Sprintf("%v", SecretSource("/path/of/file")); got != "/path/of/file" {
		t.Errorf("got %q, want the path", got)
	}
}

func TestASecretIsTheValueOrTheContentOfItsFile(t *testing.T) {
	path := write(t, "key", "\n  from-the-file \r\n")
	for source, want := range map[SecretSource]string{
		"plain":                "plain",
		"\tplain\n":            "plain",
		SecretSource(path):     "from-the-file",
		"no/path/but/a/secret": "no/path/but/a/secret",
	} {
		secret, err := source.Read()
		if err != nil || secret.Reveal() != want {
			t.Errorf("got %q, %v, want %q", secret.Reveal(), err, want)
		}
	}
	if err := os.WriteFile(path, []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if secret, err := SecretSource(path).Read(); err != nil || secret.Reveal() != "changed" {
		t.Errorf("got %q, %v, want what the file holds now", secret.Reveal(), err)
	}
}

func TestASecretThatIsEmptyOrNotThereIsAnError(t *testing.T) {
	empty, folder := write(t, "empty", " \n"), t.TempDir()
	for source, want := range map[SecretSource]string{
		"":                         "the value is empty",
		SecretSource(empty):        empty + " is empty",
		SecretSource(folder):       "opening " + folder + ": not a regular file",
		"/nowhere/at/all":          "opening /nowhere/at/all: no such file or directory",
		SecretSource(empty + "/x"): "opening " + empty + "/x: not a directory",
	} {
		if _, err := source.Read(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := SecretSource("/nowhere/at/all").Read(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestASecretIsOneWord(t *testing.T) {
	for name, content := range map[string]string{
		"two lines":           "0123456789abcdef\nfedcba9876543210\n",
		"a byte order mark":   "\ufeff0123456789abcdef",
		"a space":             "0123456789 abcdef",
		"a zero-width joiner": "0123456789\u200dabcdef",
		"UTF-16":              "0\x001\x002\x003\x004\x005\x006\x007\x00",
	} {
		path := write(t, "secret", content)
		want := path + " must be one word: there is white space or an invisible character in it"
		if _, err := SecretSource(path).Read(); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
		_, err := Webhook{Secrets: []SecretSource{SecretSource(path)}}.ReadSecrets()
		if got := lines(t, err); !slices.Equal(got, []string{"entry 1: " + want}) {
			t.Errorf("%s: got %q, want it refused as a webhook secret", name, got)
		}
	}
}

func TestReadSecretsTellsMissingFilesFromWrongOnes(t *testing.T) {
	first := write(t, "first", "0123456789abcdef\n")
	later := filepath.Join(t.TempDir(), "later")
	w := Webhook{Secrets: []SecretSource{SecretSource(first), SecretSource(later), "inline-0123456789"}}

	secrets, err := w.ReadSecrets()
	want := [][]byte{[]byte("0123456789abcdef"), nil, []byte("inline-0123456789")}
	if err != nil || !reflect.DeepEqual(secrets, want) {
		t.Errorf("got %q and error %v, want %q and none", secrets, err, want)
	}

	if err := os.WriteFile(later, []byte("too-short"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Secrets = append(w.Secrets, SecretSource(filepath.Dir(later)))
	_, err = w.ReadSecrets()
	problems := []string{
		"entry 2: " + later + " has fewer than 16 bytes",
		"entry 4: opening " + filepath.Dir(later) + ": not a regular file",
	}
	if got := lines(t, err); !slices.Equal(got, problems) {
		t.Errorf("got %q, want %q", got, problems)
	}
}

func TestNoMistakeShowsASecret(t *testing.T) {
	const secret = "s3cr3t"
	for _, content := range []string{
		"[pagerduty]\napi_key = " + secret,
		"[pagerduty]\napi_key = \"" + secret,
		"[pagerduty]\napi_key = [\"" + secret + "\"]",
		"[pagerduty]\napi_key = \"" + secret + " " + secret + "\"",
		"[pagerduty]\napi_key = {a = \"" + secret + "\"}",
		"[webhook]\nsecrets = \"" + secret + "\"",
		"[webhook]\nsecrets = [1, \"" + secret + "\"]",
		"[webhook]\nsecrets = [\"" + secret + "\"]",
		"[admin]\ntoken = \"" + secret + "\u0000\"",
		"[admin]\ntoken = \"" + secret + "\\u0000\"",
		"pagerduty = \"" + secret + "\"",
		"[pagerduty]\nuser_email = \"" + secret + "\"\naccount = \"" + secret + "!\"\napi_endpoint = \"" + secret + "\"\nuser_email_annotation = [\"" + secret + "\"]",
		"[teleport]\naddr = \"" + secret + "\"\nidentity = \"" + secret + "\"",
		"[webhook]\nlisten = \"" + secret + "\"\npath = \"" + secret + "\"\ntls_key = \"" + secret + "\"\nclient_names = \"" + secret + "\"",
		"[log]\noutput = \"" + secret + "\"",
		"[pagerduty]\napi_key = \"" + secret + "\"\napi_key = \"" + secret + "\"",
		"[pagerduty]\napi_kee = \"" + secret + "\"",
	} {
		_, err := Load(write(t, "pdhook.toml", content), []string{"PDHOOK_PAGERDUTY_APIKEY=" + secret, "PDHOOK_ADMIN_TOKEN=" + secret + " x"})
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
			t.Errorf("%q: got %v, want an error without the secret", content, err)
		}
	}
}
