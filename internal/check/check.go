// Package check tries once what a configuration says, against both systems, and tells what is wrong and how to mend
// it. It promises that it changes nothing anywhere, and that what it could not see is never shown as right.
package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// Status says how a check went.
type Status string

// The values of Status.
const (
	OK      Status = "ok"
	Warning Status = "warning" // works, but somebody should know; or could not be seen
	Failed  Status = "failed"
)

// Finding is what one check saw.
type Finding struct {
	Check  string `json:"check"` // what was looked at
	Status Status `json:"status"`
	Saw    string `json:"saw"`            // in one line
	Mend   string `json:"mend,omitempty"` // what to do about it, in lines
}

// Config is what is looked at. A part that is nil is not checked: its section has mistakes.
type Config struct {
	File     string  // of the configuration; "": variables alone
	Mistakes []error // of the configuration, one by one
	Secrets  []SecretFile

	Teleport  *Teleport
	PagerDuty *PagerDuty
	Webhook   *Webhook
	Store     *Store
	Admin     *Admin
	Log       string // file of the log; "": none
	Approval  Approval
}

// How long all of it may take, and how much of that the connections.
const (
	patience      = 20 * time.Second
	firstPatience = 12 * time.Second
)

// Run makes all checks, side by side where they do not need each other. The order of the findings is fixed.
func Run(ctx context.Context, cfg Config) []Finding {
	if cfg.empty() {
		return cfg.configuration()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	first, cancel := context.WithTimeoutCause(ctx, firstPatience, fmt.Errorf("no answer within %s", firstPatience))
	defer cancel()

	var cluster clusterSeen
	var account accountSeen
	var here placeSeen
	var looking sync.WaitGroup
	looking.Go(func() { cluster = cfg.Teleport.look(first) })
	looking.Go(func() { account = cfg.PagerDuty.look(first) })
	looking.Go(func() { here = cfg.look(first) })
	looking.Wait()
	named := cfg.Approval.look(ctx, cfg.PagerDuty, account.usable, cluster)

	var all []Finding
	for _, part := range [][]Finding{
		cfg.configuration(), fileModes(cfg.Secrets), cluster.findings, account.findings, here.findings,
		cfg.Webhook.subscribed(account, here.running), named,
	} {
		all = append(all, part...)
	}
	return all
}

// configuration tells the mistakes.
func (cfg Config) configuration() []Finding {
	from := cfg.File
	if from == "" {
		from = "the variables alone"
	}
	const name = "configuration"
	if len(cfg.Mistakes) == 0 {
		return []Finding{ok(name, "%s: no mistakes", from)}
	}
	var all []Finding
	for _, mistake := range cfg.Mistakes {
		all = append(all, failed(name, wayOut(mistake), "%v", mistake))
	}
	if cfg.empty() {
		return append(all, warning(name, "", "nothing else is checked before this is mended"))
	}
	return all
}

// empty reports whether no part could be built.
func (cfg Config) empty() bool {
	return cfg.Teleport == nil && cfg.PagerDuty == nil && cfg.Webhook == nil && cfg.Store == nil && cfg.Admin == nil
}

// wayOut adds to a mistake what it does not say itself.
func wayOut(mistake error) string {
	switch {
	case errors.Is(mistake, fs.ErrPermission):
		return "let the user that runs pdhook read it"
	case !errors.Is(mistake, fs.ErrNotExist):
		return ""
	case strings.Contains(mistake.Error(), "teleport.identity"), strings.Contains(mistake.Error(), "PDHOOK_TELEPORT_IDENTITY"):
		return "correct the path, or let tbot (output of type identity) or \"tctl auth sign --user=pdhook --out=FILE\" write the file"
	}
	return "put the file there, or correct the path"
}

// notChecked stands for the checks of a section that has mistakes.
func notChecked(name, section string) []Finding {
	return []Finding{warning(name, "", "not checked: [%s] has mistakes, see above", section)}
}

func ok(name, saw string, args ...any) Finding {
	return Finding{Check: name, Status: OK, Saw: line(saw, args)}
}

func warning(name, mend, saw string, args ...any) Finding {
	return Finding{Check: name, Status: Warning, Saw: line(saw, args), Mend: mend}
}

func failed(name, mend, saw string, args ...any) Finding {
	return Finding{Check: name, Status: Failed, Saw: line(saw, args), Mend: mend}
}

// maxLine bounds what one finding says: others write a part of it.
const maxLine = 1000

func line(format string, args []any) string {
	return access.OneLine(fmt.Sprintf(format, args...), maxLine)
}

// plural is "1 request" or "3 requests".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
