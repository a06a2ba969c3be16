// Command pdhook answers Teleport Access Requests with what PagerDuty knows. It reads flags and signals,
// and exits with 0 when all went well, 1 when something failed and 2 when it was called the wrong way.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it: it executes the command that args name and
// gives the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	understood := false
	root := rootCommand(&understood)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	report(stderr, err)
	if understood && !errors.Is(err, errNoCommand) {
		return 1
	}
	fmt.Fprintf(stderr, "pdhook: \"%s --help\" tells how it is called\n", called.CommandPath())
	return 2
}

// rootCommand gives the program with its commands. understood becomes true once a command was called the right way.
func rootCommand(understood *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "pdhook",
		Short: "Access Requests of Teleport, decided by who is on call in PagerDuty",
		Long: `pdhook opens a PagerDuty incident for each Teleport Access Request whose role names a service, approves at once
who is on call, and resolves the incident with the request.

  pdhook configure > /etc/pdhook.toml    write an example configuration, then fill it in
  pdhook check                           try everything once, and say how to mend what is wrong
  pdhook start                           run the service
  pdhook subscribe --url https://…       have PagerDuty send its webhooks to it`,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { *understood = true },
		RunE:             func(*cobra.Command, []string) error { return errNoCommand },
	}
	root.AddCommand(configureCommand(), checkCommand(), startCommand(), subscribeCommand(), explainCommand(), requestsCommand(), healthCommand(), versionCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // of no shell, or of one that is not known: Cobra would print help instead of a script
			c.RunE = root.RunE
		}
	}
	return root
}

var errNoCommand = errors.New("no command given")

// report prints an error, each mistake of a configuration on a line of its own.
func report(stderr io.Writer, err error) {
	if problems, ok := errors.AsType[config.Errors](err); ok {
		for _, problem := range problems {
			fmt.Fprintln(stderr, "pdhook:", plainLines(problem.Error()))
		}
		return
	}
	fmt.Fprintln(stderr, "pdhook:", plainLines(strings.TrimSpace(err.Error())))
}

// defaultConfig is read when --config is not given and it exists.
const defaultConfig = "/etc/pdhook.toml"

// configFlag adds --config to a command.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("config", "", "configuration `file` (default "+defaultConfig+" if it exists, else variables alone)")
}

// configPath gives the file to read: the one of the flag, else the default one, else none.
func configPath(flag string) string {
	if flag != "" {
		return flag
	}
	if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return defaultConfig
}
