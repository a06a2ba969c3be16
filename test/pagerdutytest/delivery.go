package pagerdutytest

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Sign gives the value of X-PagerDuty-Signature for a body: the secret's ASCII bytes are the key.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// webhookClient speaks as PagerDuty's sender does: TLS 1.2 only, its cipher suites as far as Go has them,
// a client certificate when the receiver asks, an answer within 5 s, no redirects.
func (s *Server) webhookClient(sub *Subscription) *http.Client {
	config := &tls.Config{}
	if s.opts.WebhookTLS != nil {
		config = s.opts.WebhookTLS.Clone()
	}
	if sub.TLS != nil {
		config = sub.TLS.Clone()
	}
	config.MinVersion = tls.VersionTLS12
	config.MaxVersion = tls.VersionTLS12
	config.CipherSuites = []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	}
	return &http.Client{
		Timeout:       s.opts.WebhookTimeout,
		Transport:     &http.Transport{TLSClientConfig: config},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// send makes one attempt.
func send(ctx context.Context, client *http.Client, sub Subscription, d Delivery) result {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.URL, bytes.NewReader(d.Body))
	if err != nil {
		return result{err: err}
	}
	for name, value := range sub.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "PagerDuty-Webhook/V3.0")
	req.Header.Set("X-Webhook-Id", d.WebhookID)
	req.Header.Set("X-Webhook-Subscription", sub.ID)
	req.Header.Set("X-PagerDuty-Signature", Sign(sub.Secret, d.Body))
	resp, err := client.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return result{status: resp.StatusCode}
}

// result is how one attempt ended.
type result struct {
	status int
	err    error
}

func (r result) text() string {
	if r.err == nil {
		return ""
	}
	return r.err.Error()
}

type outcome int

const (
	accepted outcome = iota
	again
	dropped
)

// outcome: no answer, 5xx, 429 and an expired server certificate are tried again; any other 4xx and any
// other TLS error is dropped at once. 3xx is not documented: dropped here, so that nobody relies on it.
func (r result) outcome() outcome {
	switch {
	case r.err != nil:
		return failed(r.err)
	case r.status >= 200 && r.status < 300:
		return accepted
	case r.status >= 500 || r.status == http.StatusTooManyRequests:
		return again
	default:
		return dropped
	}
}

func failed(err error) outcome {
	if invalid, is := errors.AsType[x509.CertificateInvalidError](err); is && invalid.Reason == x509.Expired {
		return again
	}
	// crypto/tls says "tls: …" for what either side refuses; net/http has its own words for plain HTTP.
	if text := err.Error(); strings.Contains(text, "tls: ") || strings.Contains(text, "HTTP response to HTTPS client") {
		return dropped
	}
	return again
}
