package chart_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"

	"github.com/pdhook/pdhook/config"
)

// existing holds the secrets that the examples expect in the namespace.
var existing = map[string]map[string]string{
	"tbot-out":                           {"identity": "an identity"},
	"teleport-plugin-pagerduty-identity": {"auth_id": "an identity"},
	"pdhook-pagerduty-key":               {"pagerDutyApiKey": "the-api-key"},
	"teleport-pagerduty-api-key":         {"pagerDutyApiKey": "the-api-key"},
	"pdhook-webhook":                     {"webhook-secret": "the-signing-secret-of-pagerduty"},
	"pdhook-tls":                         {"tls.crt": "a certificate", "tls.key": "a key"},
	"pagerduty-client-ca":                {"ca.crt": "authorities"},
	"pdhook-admin-token":                 {"token": "the-token"},
}

// mount lays out the pod's volumes below a folder of the test, as Kubernetes does in the container, and gives it.
func mount(t *testing.T, all objects) string {
	t.Helper()
	root := t.TempDir()
	pod := all.pod(t).Spec
	for _, m := range pod.Containers[0].VolumeMounts {
		files := content(t, all, volume(t, pod, m.Name))
		at := filepath.Join(root, m.MountPath)
		if m.SubPath != "" {
			write(t, at, files[m.SubPath])
			continue
		}
		for name, text := range files {
			write(t, filepath.Join(at, name), text)
		}
	}
	return root
}

func volume(t *testing.T, pod core.PodSpec, name string) core.VolumeSource {
	t.Helper()
	for _, v := range pod.Volumes {
		if v.Name == name {
			return v.VolumeSource
		}
	}
	return core.VolumeSource{} // of a volumeClaimTemplate
}

func content(t *testing.T, all objects, v core.VolumeSource) map[string]string {
	t.Helper()
	switch {
	case v.ConfigMap != nil:
		return the[*core.ConfigMap](t, all, v.ConfigMap.Name).Data
	case v.Secret == nil:
		return nil
	}
	files := maps.Clone(existing[v.Secret.SecretName])
	for _, s := range every[*core.Secret](all) {
		if s.Name == v.Secret.SecretName {
			files = map[string]string{}
			for name, data := range s.Data {
				files[name] = string(data)
			}
		}
	}
	if files == nil && (v.Secret.Optional == nil || !*v.Secret.Optional) {
		t.Fatalf("the pod waits for the secret %s", v.Secret.SecretName)
	}
	return files
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// configuration gives what pdhook makes of the file, the variables and the secrets that it finds in the pod, and the
// folder that stands for the pod's root.
func configuration(t *testing.T, all objects) (cfg *config.Config, root string) {
	t.Helper()
	root = mount(t, all)
	path := filepath.Join(root, "etc/pdhook.toml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.ReplaceAll(string(text), `"/var/`, `"`+root+`/var/`))
	var environ []string
	for _, v := range all.pod(t).Spec.Containers[0].Env {
		environ = append(environ, v.Name+"="+v.Value)
	}
	cfg, err = config.Load(path, environ)
	if err != nil {
		t.Fatalf("pdhook refuses its configuration: %v\n%s", err, text)
	}
	return cfg, root
}

func loaded(t *testing.T, all objects) *config.Config {
	t.Helper()
	cfg, _ := configuration(t, all)
	return cfg
}

func read(t *testing.T, source config.SecretSource) string {
	t.Helper()
	secret, err := source.Read()
	if err != nil {
		t.Fatal(err)
	}
	return secret.Reveal()
}

// secretOf reads which secret is mounted under a name.
func secretOf(t *testing.T, name string) func(objects) any {
	return func(all objects) any {
		t.Helper()
		secret := volume(t, all.pod(t).Spec, name).Secret
		if secret == nil {
			t.Fatalf("no secret is mounted as %s", name)
		}
		return secret.SecretName
	}
}

// key reads the rest of the first line of the configuration file that begins so.
func key(t *testing.T, beginning string) func(objects) any {
	return func(all objects) any {
		t.Helper()
		_, rest, _ := strings.Cut(all.toml(t), "\n"+beginning)
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
}
