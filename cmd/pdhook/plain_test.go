package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/config"
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
