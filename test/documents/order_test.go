package documents

import (
	"slices"
	"strings"
	"testing"
)

// Who follows the guide from its top finds what a command needs made by one above it.
func TestWhatACommandOfTheGuideNeedsIsMadeAboveIt(t *testing.T) {
	all := documents(t)
	guide := all[slices.IndexFunc(all, func(d Document) bool { return d.Path == "docs/guide.md" })]
	var lines []string
	for _, b := range guide.Blocks {
		if b.Language == "sh" {
			lines = append(lines, Commands(b.Text)...)
		}
	}
	first := func(part string) int {
		return slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, part) })
	}
	for needed, made := range map[string]string{
		"-u pdhook ":                   "systemd-sysusers",
		"-o pdhook ":                   "systemd-sysusers",
		"chgrp pdhook ":                "systemd-sysusers",
		" /var/lib/pdhook/":            "install -d -m 0700 -o pdhook -g pdhook /var/lib/pdhook",
		"tbot install systemd":         "systemd-sysusers",
		"enable --now tbot":            "-g pdhook TOKEN /etc/pdhook/tbot-token",
		"helm install tbot":            "kubectl create namespace pdhook",
		"helm install pdhook":          "kubectl create namespace pdhook",
		"kubectl create secret":        "kubectl create namespace pdhook",
		"kubectl exec statefulset/":    "helm install pdhook",
		"tctl auth sign --user=pdhook": "deploy/teleport/impersonator.yaml",
	} {
		if use, make := first(needed), first(made); use < 0 || make < 0 || use < make {
			t.Errorf("%q is used by command %d of the guide, and %q makes it in command %d", needed, use, made, make)
		}
	}
}
