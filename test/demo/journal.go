package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// journal is pdhook's log.
type journal struct {
	file  string
	ended <-chan struct{} // closed when pdhook has ended; may be nil
}

// line is one line of it.
type line struct {
	Message  string `json:"msg"`
	Webhooks string `json:"webhooks"`
	Admin    string `json:"admin"`
}

func (j journal) text() string {
	text, err := os.ReadFile(j.file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// wait gives the oldest line that matches, as soon as there is one.
func (j journal) wait(ctx context.Context, match func(line) bool) (found line, err error) {
	err = until(ctx, "pdhook says so", func() (bool, error) {
		for text := range strings.Lines(j.text()) {
			found = line{}
			if json.Unmarshal([]byte(text), &found) == nil && match(found) {
				return true, nil
			}
		}
		select {
		case <-j.ended:
			return false, errors.New("pdhook has ended")
		default:
			return false, nil
		}
	})
	return found, err
}

// until asks again and again until the answer is yes, for at most 30 s.
func until(ctx context.Context, what string, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("waited 30 s in vain until %s", what))
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := yes()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
