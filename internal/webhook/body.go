package webhook

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxBody is accepted, one byte more is not. PagerDuty drops events over 256 KB by itself.
	maxBody = 512 << 10
	// usualBody is what any sender may make us hold. Real events have some 2 to 8 KiB.
	usualBody = 16 << 10
	// largeBodies bounds how many longer bodies are read side by side. So slow senders on every
	// connection cannot fill the memory.
	largeBodies = 16
	// largeWait is how long a longer body waits for its place, largeRead how long it may keep it: a slow one
	// leaves before whoever waits behind it is asked to come again. PagerDuty waits 5 s in all.
	largeWait = 2 * time.Second
	largeRead = 1500 * time.Millisecond
)

// read gives the whole body, or the refusal that says why not.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errTooLarge
	}
	limited := http.MaxBytesReader(w, r.Body, maxBody)
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), usualBody)) + bytes.MinRead)
	n, err := body.ReadFrom(io.LimitReader(limited, usualBody))
	if err == nil && n == usualBody {
		select {
		case h.large <- struct{}{}:
			defer func() { <-h.large }()
		case <-time.After(largeWait):
			return nil, errBusy
		}
		// A writer without deadlines is a test's.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(largeRead))
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
