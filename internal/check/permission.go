package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pdhook/pdhook/internal/access"
)

// nowhere is the ID of no request: Teleport makes IDs of version 7, or 4. What is written there changes nothing, and
// Teleport asks for the permission before it looks for the request.
const nowhere access.RequestID = "00000000-0000-0000-0000-000000000000"

// trial is how the calls went that pdhook makes.
type trial struct {
	requests []access.Request
	rules    []access.Rule
	roles    []access.OwnRole

	listing, watching, reading, writing, reviewing, ruling, showing error
}

// try makes each call that needs a permission, side by side, in a way that has no effect: plugin data is expected to
// hold what nobody writes, and the review would deny.
func try(ctx context.Context, c Cluster) (t trial) {
	const key = "pdhook_check"
	var calls sync.WaitGroup
	calls.Go(func() { t.requests, t.listing = c.List(ctx) })
	calls.Go(func() { t.watching = c.TryWatch(ctx) })
	calls.Go(func() { _, t.reading = c.PluginData(ctx, nowhere) })
	calls.Go(func() {
		t.writing = c.UpdatePluginData(ctx, nowhere, map[string]string{key: ""}, map[string]string{key: "never written"})
	})
	calls.Go(func() { _, t.reviewing = c.SubmitReview(ctx, nowhere, access.Denied, "pdhook check") })
	calls.Go(func() { t.rules, t.ruling = c.ListRules(ctx) })
	calls.Go(func() { t.roles, t.showing = c.OwnRoles(ctx) })
	calls.Wait()
	return t
}

// permissions judges them.
func (t *Teleport) permissions(tried trial) []Finding {
	return append([]Finding{t.requests(tried), t.pluginData(tried)}, append(t.reviews(tried), t.rules(tried))...)
}

func (t *Teleport) requests(tried trial) Finding {
	const name = "Teleport requests"
	for _, err := range []error{tried.watching, tried.reading, tried.listing} {
		switch {
		case errors.Is(err, access.ErrDenied):
			return failed(name, t.grant(tried.roles, rule("access_request", "list", "read")), "may not be listed and read: %v", err)
		case err != nil:
			return untried(name, err)
		}
	}
	return ok(name, "may be listed, read and watched; Teleport has %s", plural(len(tried.requests), "request"))
}

func (t *Teleport) pluginData(tried trial) Finding {
	const name = "Teleport plugin data"
	switch err := tried.writing; {
	case err == nil, errors.Is(err, access.ErrNotFound), errors.Is(err, access.ErrConflict):
		return ok(name, "may be written")
	case errors.Is(err, access.ErrDenied) && t.DryRun:
		return warning(name, t.grant(tried.roles, rule("access_plugin_data", "update")), "may not be written, which a dry run does not need: %v", err)
	case errors.Is(err, access.ErrDenied):
		return failed(name, t.grant(tried.roles, rule("access_plugin_data", "update")), "may not be written: %v", err)
	default:
		return untried(name, err)
	}
}

func (t *Teleport) rules(tried trial) Finding {
	const name = "Teleport rules"
	switch err := tried.ruling; {
	case err == nil:
		return ok(name, "may be read; %s to pdhook", plural(len(tried.rules), "access monitoring rule")+lead(len(tried.rules)))
	case errors.Is(err, access.ErrDenied):
		return warning(name, t.grant(tried.roles, rule("access_monitoring_rule", "list", "read")),
			"access monitoring rules may not be read: who is notified is read from annotations alone")
	case access.IsPermanent(err):
		return ok(name, "this cluster has no access monitoring rules: who is notified is read from annotations")
	default:
		return untried(name, err)
	}
}

func lead(n int) string {
	if n == 1 {
		return " leads"
	}
	return " lead"
}

// untried tells of a call that failed for another reason than a missing permission.
func untried(name string, err error) Finding {
	return failed(name, "try again; when it stays, look into the log of Teleport's auth server", "could not be tried: %v", err)
}

// grant says how to add what a role lacks. It is a role that holds nothing else, so that it shows the place, too.
func (t *Teleport) grant(roles []access.OwnRole, missing string) string {
	name := "pdhook"
	for _, r := range roles {
		if name = r.Name; len(r.Reviews) > 0 {
			break
		}
	}
	return fmt.Sprintf(`Teleport user %s needs a role with this (tctl edit role/%s adds it to the one there is):
kind: role
version: v7
metadata:
  name: %q
spec:
  allow:
%s`, t.User, name, name, missing)
}

// rule is an entry of spec.allow.rules.
func rule(resource string, verbs ...string) string {
	return fmt.Sprintf("    rules:\n      - resources: [%s]\n        verbs: [%s]", resource, strings.Join(verbs, ", "))
}
