package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/check"
)

var someFindings = []check.Finding{
	{Check: "store", Status: check.OK, Saw: "writable"},
	{Check: "clock", Status: check.Warning, Saw: "differs", Mend: "NTP"},
	{Check: "Teleport reviews", Status: check.Failed, Saw: "denied <why>", Mend: "paste:\nkind: role"},
}

func TestFindingsAreShownAsLinesWithTheWayOutBelow(t *testing.T) {
	var out strings.Builder
	if err := show(&out, someFindings, false); err != nil {
		t.Fatal(err)
	}
	want := "✓ store: writable\n! clock: differs\n    NTP\n✗ Teleport reviews: denied <why>\n    paste:\n    kind: role\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if err := verdict(someFindings); err == nil || err.Error() != "1 check failed" {
		t.Errorf("got %v", err)
	}
	if err := verdict(someFindings[:2]); err != nil {
		t.Errorf("a warning fails: %v", err)
	}
}

func TestFindingsAreShownAsData(t *testing.T) {
	var out strings.Builder
	if err := show(&out, someFindings, true); err != nil {
		t.Fatal(err)
	}
	var got struct {
		OK       bool
		Findings []check.Finding
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got.OK || len(got.Findings) != 3 || got.Findings[2] != someFindings[2] {
		t.Errorf("got %+v, %v", got, err)
	}
	if !strings.Contains(out.String(), `"status": "failed"`) || !strings.Contains(out.String(), "denied <why>") {
		t.Errorf("got %s", out.String())
	}
}
