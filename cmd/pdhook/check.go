package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/app"
	"github.com/pdhook/pdhook/internal/check"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try everything once and say what is wrong and how to mend it",
		Long: `Try everything that the configuration says once: files, Teleport and what its user may do, PagerDuty and what the
key may do, certificate, ports, store, log file, webhook subscription, and whether a level or schedule holds more
than ten people who would be approved. Nothing is changed anywhere. It may run before the service and beside it. A line
begins with ✓ (right), ! (works, but look at it, or it could not be seen) or ✗ (wrong); with any ✗ it exits with 1.`,
		Example: `  pdhook check
  pdhook check --config /etc/pdhook.toml --service "Payments API"
  pdhook check --json | jq '.findings[] | select(.status == "failed")'`,
		Args: cobra.NoArgs,
	}
	configFile := configFlag(cmd)
	services := cmd.Flags().StringArray("service", nil, "`name` of a PagerDuty service that a role names; may be repeated")
	schedules := cmd.Flags().StringArray("schedule", nil, "`name` of a PagerDuty schedule that a role names; may be repeated")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path := configPath(*configFile)
		findings := app.Check(cmd.Context(), app.CheckConfig{
			File: path, Examined: config.Examine(path, os.Environ()), Services: *services, Schedules: *schedules,
		})
		out := cmd.OutOrStdout()
		if err := show(out, findings, *asJSON); err != nil {
			return err
		}
		return verdict(findings)
	}
	return cmd
}

// show prints what was found.
func show(w io.Writer, findings []check.Finding, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(plainJSON{w})
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(map[string]any{"ok": verdict(findings) == nil, "findings": findings})
	}
	var text strings.Builder
	colours := paintFor(w, os.Getenv)
	for _, f := range findings {
		fmt.Fprintf(&text, "%s %s: %s\n", mark(colours, f.Status), f.Check, f.Saw)
		for line := range strings.Lines(plainLines(f.Mend)) {
			fmt.Fprintf(&text, "    %s\n", strings.TrimSuffix(line, "\n"))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func mark(p paint, s check.Status) string {
	switch s {
	case check.OK:
		return p.green("✓")
	case check.Warning:
		return p.yellow("!")
	}
	return p.red("✗")
}

// verdict is an error when something is wrong.
func verdict(findings []check.Finding) error {
	wrong := 0
	for _, f := range findings {
		if f.Status == check.Failed {
			wrong++
		}
	}
	switch wrong {
	case 0:
		return nil
	case 1:
		return errors.New("1 check failed")
	}
	return fmt.Errorf("%d checks failed", wrong)
}
