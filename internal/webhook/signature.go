package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
)

// The check is our own because webhookv3.VerifySignature of go-pagerduty v1.8.0 takes one secret a call,
// signs only the first 2 MiB of a longer body, reads only the first header line, does not see an entry
// after ", ", and calls a header without any v1 entry malformed only by accident of its parsing.

// signatures gives the digests of all entries "v1=" and 64 hex digits of all X-PagerDuty-Signature lines.
// Other entries are ignored: PagerDuty may introduce further versions.
func signatures(header http.Header) [][]byte {
	var digests [][]byte
	for _, line := range header.Values("X-PagerDuty-Signature") {
		for entry := range strings.SplitSeq(line, ",") {
			digits, v1 := strings.CutPrefix(strings.Trim(entry, " \t"), "v1=")
			if !v1 || len(digits) != hex.EncodedLen(sha256.Size) {
				continue
			}
			if digest, err := hex.DecodeString(digits); err == nil {
				digests = append(digests, digest)
			}
		}
	}
	return digests
}

// signedBy reports whether one of the digests is the HMAC-SHA256 of the body under one of the secrets.
// Every pair is compared, so that the time taken tells nothing about which one matched.
func signedBy(secrets [][]byte, body []byte, digests [][]byte) bool {
	matched := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		want := mac.Sum(nil)
		for _, digest := range digests {
			matched = hmac.Equal(want, digest) || matched
		}
	}
	return matched
}
