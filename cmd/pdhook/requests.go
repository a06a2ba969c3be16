package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

func requestsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "requests",
		Short: "List the access requests that wait, as the running service knows them",
		Long: `List the access requests that the running service has something left to do for, the oldest first, with their
PagerDuty incidents. "pdhook explain REQUEST" tells the whole story of one.`,
		Example: `  pdhook requests
  pdhook requests --all
  pdhook requests --json | jq -r '.requests[] | select(.state == "pending") | .request_id'`,
		Args: cobra.NoArgs,
	}
	service := serviceFlags(cmd)
	all := cmd.Flags().Bool("all", false, "also those that were decided lately")
	asJSON := cmd.Flags().Bool("json", false, "print what /api/v1/requests answers")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := service()
		if err != nil {
			return err
		}
		if *asJSON {
			text, err := client.RequestsJSON(cmd.Context(), *all)
			return printJSON(cmd.OutOrStdout(), text, err)
		}
		list, err := client.Requests(cmd.Context(), *all)
		if err != nil {
			return withWayOut(err)
		}
		if len(list) == 0 {
			_, err := fmt.Fprintln(cmd.ErrOrStderr(), noRequests(*all))
			return err
		}
		out := cmd.OutOrStdout()
		_, err = io.WriteString(out, table(list, paintFor(out, os.Getenv), widthOf(out), time.Now()))
		return err
	}
	return cmd
}

func printJSON(out io.Writer, text []byte, err error) error {
	if err != nil {
		return withWayOut(err)
	}
	_, err = fmt.Fprintf(plainJSON{out}, "%s\n", text)
	return err
}

func noRequests(all bool) string {
	if all {
		return "No access request is known."
	}
	return `No access request waits; "pdhook requests --all" shows those that were decided lately.`
}

// table lists requests. Its lines are cut to width, where that is not 0.
func table(list []admin.Request, p paint, width int, now time.Time) string {
	rows := [][]string{{"REQUEST", "USER", "ROLES", "STATE", "INCIDENTS", "AGE", "VERDICT"}}
	for _, r := range list {
		verdict, _ := r.Verdict()
		rows = append(rows, []string{plain(string(r.ID)), plain(r.User), plain(strings.Join(r.Roles, ",")), plain(string(r.State)),
			plain(strings.Join(incidentIDs(r), ",")), age(r.Created, now), plain(verdict)})
	}
	widest := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widest[i] = max(widest[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for n, row := range rows {
		var line strings.Builder
		for i, cell := range row[:len(row)-1] {
			line.WriteString(cell + strings.Repeat(" ", widest[i]-utf8.RuneCountInString(cell)+2))
		}
		line.WriteString(row[len(row)-1])
		shown := strings.TrimRight(line.String(), " ")
		if width > 0 {
			shown = access.Cut(shown, width)
		}
		text.WriteString(tint(p, n, list, shown) + "\n")
	}
	return text.String()
}

// tint colours a line of the table by where the request of it stands.
func tint(p paint, line int, list []admin.Request, text string) string {
	if line == 0 {
		return p.bold(text)
	}
	switch list[line-1].State {
	case access.Pending:
		return text
	case access.Approved:
		return p.green(text)
	}
	return p.dim(text)
}

func incidentIDs(r admin.Request) []string {
	var ids []string
	for _, i := range r.Incidents {
		ids = append(ids, string(i.ID))
	}
	return ids
}

func age(created, now time.Time) string {
	if created.IsZero() {
		return "-"
	}
	return length(now.Sub(created))
}
