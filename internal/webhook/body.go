package webhook

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

const (
	// maxBody is accepted, one byte more is not. PagerDuty drops events over 256 KB by itself.
	maxBody = 512 << 10
	// usualBody is what any sender may make us hold. Real events have some 2 to 8 KiB.
	usualBody = 16 << 10
	// largeBodies bounds how many longer bodies are read side by side. So slow senders on every
	// connection cannot fill the memory; whoever finds no place is asked to come again.
	largeBodies = 16
)

// read gives the whole body, or the refusal that says why not.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(limited, usualBody))
	if err == nil && n == usualBody {
		select {
		case h.large <- struct{}{}:
			defer func() { <-h.large }()
		default:
			return nil, errBusy
		}
		_, err = body.ReadFrom(limited)
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, errNotRead.because(err)
	}
	return body.Bytes(), nil
}
