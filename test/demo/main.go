// Command demo shows pdhook at work: it runs simulators of Teleport and PagerDuty and the real pdhook as
// separate processes, tells what happens, and checks that each step does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  demo story [--pdhook BINARY] [--once]   tell the story; with --once end after it
  demo sandbox [--dir DIR]                both simulators and what pdhook needs to know of them, to set it up by hand
  demo request [--user NAME] [--role R]   ask for access while the demo runs
  demo teleport --dir DIR                 only the Teleport simulator
  demo pagerduty --ca FILE                only the PagerDuty simulator
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the demo at once
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("say what to do\n" + usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error
	binary := flags.String("pdhook", "bin/pdhook", "the pdhook to show")
	once := flags.Bool("once", false, "end after the story")
	user := flags.String("user", "kim@example.com", "who asks")
	role := flags.String("role", roleName, "for which role")
	dir := flags.String("dir", "", "where files are written")
	ca := flags.String("ca", "", "certificate of pdhook's webhook endpoint")
	err := flags.Parse(args[1:])
	if errors.Is(err, flag.ErrHelp) || args[0] == "--help" {
		fmt.Print(usage)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	switch args[0] {
	case "story":
		return tell(ctx, *binary, *once)
	case "sandbox":
		return sandbox(ctx, *dir)
	case "request":
		return request(ctx, *user, *role)
	case "teleport":
		return runTeleport(ctx, *dir)
	case "pagerduty":
		return runPagerDuty(ctx, *ca)
	}
	return fmt.Errorf("there is no %q\n%s", args[0], usage)
}
