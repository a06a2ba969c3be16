package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/check"
)

func TestWhatOthersWroteCannotSteerTheTerminal(t *testing.T) {
	const hostile = "\x1b]0;owned\a\x1b[2Jkim\u009b31m\u202e"
	var out strings.Builder
	report(&out, errors.New("creating it: "+hostile+"\n  - the name"))
	report(&out, config.Errors{errors.New(hostile)})
	if err := show(&out, []check.Finding{{Check: "PagerDuty", Status: check.Failed, Saw: "no", Mend: "spec:\n  allow: " + hostile}}, false); err != nil {
		t.Fatal(err)
	}
	const want = "pdhook: creating it: ]0;owned[2Jkim31m\n  - the name\npdhook: ]0;owned[2Jkim31m\n✗ PagerDuty: no\n    spec:\n      allow: ]0;owned[2Jkim31m\n"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}

func TestJSONCannotSteerTheTerminalAndReadsAsBefore(t *testing.T) {
	const hostile = "kim\u009b31m\u202e\x1b[2J"
	addr := answering(t, []admin.Request{asked(first, hostile, access.Pending)}, nil)
	for _, args := range [][]string{{"requests", "--json"}, {"explain", "--json", first}} {
		_, out, _ := pdhook(t, append(args, "--addr", addr)...)
		var read struct {
			User     string
			Requests []struct{ User string }
		}
		if err := json.Unmarshal([]byte(out), &read); err != nil {
			t.Fatal(err)
		}
		if len(read.Requests) > 0 {
			read.User = read.Requests[0].User
		}
		if strings.ContainsAny(out, "\u009b\u202e\x1b") || read.User != hostile {
			t.Errorf("%q: got %q, of %q", args, out, read.User)
		}
	}
	var out strings.Builder
	if err := show(&out, []check.Finding{{Saw: hostile}}, true); err != nil || strings.ContainsAny(out.String(), "\u009b\u202e\x1b") {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
