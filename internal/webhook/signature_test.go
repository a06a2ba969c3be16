package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestSignatureHeaders(t *testing.T) {
	body := fixture(t, "incident.acknowledged")
	good, old, bad := "v1="+acknowledgedDigest, "v1="+acknowledgedOldDigest, sign(stranger, []byte(body))
	both := [][]byte{[]byte(secret), []byte(oldSecret)}
	tests := []struct {
		name    string
		lines   []string
		secrets [][]byte
		want    int
	}{
		{"known signature", []string{good}, nil, 202},
		{"upper-case digits", []string{"v1=" + strings.ToUpper(acknowledgedDigest)}, nil, 202},
		{"second of a list", []string{bad + "," + good}, nil, 202},
		{"spaces around the comma", []string{bad + " ,  " + good + " "}, nil, 202},
		{"second line", []string{bad, good}, nil, 202},
		{"second line after one of another version", []string{"v2=abc", good}, nil, 202},
		{"first of two secrets", []string{good}, both, 202},
		{"second of two secrets", []string{old}, both, 202},
		{"both secrets", []string{good + "," + old}, both, 202},
		{"secret rotated away", []string{old}, nil, 403},
		{"good one among others ignored", []string{"v1=zz, v3=," + good + ",,"}, nil, 202},
		{"bad and malformed", []string{bad + ",v1=00"}, nil, 403},
		{"only another version", []string{"v2=" + acknowledgedDigest}, nil, 400},
		{"upper-case version", []string{"V1=" + acknowledgedDigest}, nil, 400},
		{"one digit missing", []string{good[:len(good)-1]}, nil, 400},
		{"one digit too many", []string{good + "0"}, nil, 400},
		{"no hex", []string{"v1=" + strings.Repeat("g", 64)}, nil, 400},
		{"space inside", []string{"v1= " + acknowledgedDigest}, nil, 400},
		{"bare digest", []string{acknowledgedDigest}, nil, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newEndpoint(t)
			if tt.secrets != nil {
				e.secrets = tt.secrets
			}
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
			for _, line := range tt.lines {
				r.Header.Add("X-PagerDuty-Signature", line)
			}
			if got := e.serve(r).StatusCode; got != tt.want {
				t.Errorf("status: got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestBodySignedInItsFirst2MiBOnlyIsTooLarge(t *testing.T) {
	e := newEndpoint(t)
	head := padded(2 << 20)
	for _, declared := range []bool{true, false} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(head+"and more that nobody signed"))
		r.Header.Set("X-PagerDuty-Signature", sign(secret, []byte(head)))
		if !declared {
			r.ContentLength = -1
		}
		if got := e.serve(r).StatusCode; got != 413 {
			t.Errorf("length declared %t: got %d, want 413", declared, got)
		}
	}
}

func TestSecretsAreAskedForEachRequest(t *testing.T) {
	e := newEndpoint(t)
	body := fixture(t, "incident.acknowledged")
	e.secrets = [][]byte{[]byte(stranger)}
	if got := e.serve(signed(body)).StatusCode; got != 403 {
		t.Errorf("before the reload: got %d, want 403", got)
	}
	e.secrets = [][]byte{[]byte(secret)}
	if got := e.serve(signed(body)).StatusCode; got != 202 {
		t.Errorf("after the reload: got %d, want 202", got)
	}
}
