package e2e

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/pdhook/pdhook/test/tlstest"
)

// writeCertificate makes a certificate for 127.0.0.1 and other names, and gives the pool that trusts it.
func writeCertificate(t testing.TB, certFile, keyFile string, names ...string) *x509.CertPool {
	t.Helper()
	cert, err := tlstest.WriteCertificate(certFile, keyFile, names...)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// fetch gives status and body of an answer, 0 when there is none.
func fetch(req *http.Request) (int, []byte) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

// samples gives the project's own sample of every webhook event type.
func samples(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../internal/webhook/testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples of webhooks: %v", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var sample struct {
			Event struct {
				Type string `json:"event_type"`
			} `json:"event"`
		}
		if err := json.Unmarshal(body, &sample); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[sample.Event.Type] = body
	}
	return all
}

// everyEvent names every event type that a subscription can ask for.
func everyEvent(t testing.TB) []string {
	var types []string
	for name := range samples(t) {
		if name != "pagey.ping" {
			types = append(types, name)
		}
	}
	return types
}
