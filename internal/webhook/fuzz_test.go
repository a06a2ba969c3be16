package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/pdhook/pdhook/internal/webhook"
)

func FuzzParseEvent(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := webhook.ParseEvent(body)
		if err != nil {
			return
		}
		keys := []string{string(e.ID), string(e.Service)}
		for _, id := range e.Incidents {
			if id == "" {
				t.Error("an empty incident ID")
			}
			keys = append(keys, string(id))
		}
		for _, key := range keys {
			if len(key) > 256 || strings.ContainsFunc(key, unicode.IsControl) {
				t.Errorf("%q is no safe key", key)
			}
		}
		if e.ID == "" || len(e.Type) > 256 || len(e.Incidents) > 64 {
			t.Errorf("got %+v", e)
		}
	})
}

func FuzzSignatureHeader(f *testing.F) {
	body := fixture(f, "incident.acknowledged")
	good := "v1=" + acknowledgedDigest
	for _, header := range []string{good, "v2=1, " + good, "v1=" + strings.ToUpper(acknowledgedDigest), "", ",", "v1=,v1=00", "V1=" + acknowledgedDigest, good + "0"} {
		f.Add(header)
	}
	wellFormed := regexp.MustCompile(`(?:^|,)[ \t]*v1=[0-9a-fA-F]{64}[ \t]*(?:,|$)`)
	matching := regexp.MustCompile(`(?:^|,)[ \t]*v1=(?i:` + acknowledgedDigest + `)[ \t]*(?:,|$)`)
	e := newEndpoint(f)
	f.Fuzz(func(t *testing.T, header string) {
		if strings.ContainsAny(header, "\r\n") {
			return // no header line
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("X-PagerDuty-Signature", header)
		e.log.Reset()
		want := 403
		switch {
		case matching.MatchString(header):
			want = 202
		case !wellFormed.MatchString(header):
			want = 400
		}
		if got := e.serve(r).StatusCode; got != want {
			t.Errorf("%q: got %d, want %d", header, got, want)
		}
	})
}
