package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain REQUEST",
		Short: "Tell why an access request is, or is not, approved, and what would change that",
		Long: `Ask the running service about one access request: what was decided and by which checks, what would make those pass
that did not (→), when it is looked at next, and who can decide it meanwhile. REQUEST is its ID, the beginning of it
(8 characters or more, when no other request begins so), or the link to it.`,
		Example: `  pdhook explain 0195523d-6d2a-7e1c-9f57-2f8a8c1d4b10
  pdhook explain 0195523d-6d
  pdhook explain 0195523d-6d --json | jq .decision.checks`,
		Args: oneRequest,
	}
	service := serviceFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print what /api/v1/requests/REQUEST answers")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := service()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		r, err := find(cmd.Context(), client, args[0])
		if err != nil {
			return withWayOut(err)
		}
		if *asJSON {
			text, err := client.RequestJSON(cmd.Context(), r.ID)
			return printJSON(out, text, err)
		}
		_, err = io.WriteString(out, explanation(r, paintFor(out, os.Getenv), widthOf(out), time.Now()))
		return err
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return known(cmd.Context(), service), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// oneRequest wants the one argument.
func oneRequest(_ *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] != "" {
		return nil
	}
	if len(args) < 2 {
		return errors.New(`which request? "pdhook requests" lists those that wait`)
	}
	return fmt.Errorf("one request is explained at a time, got %d", len(args))
}

// known gives the requests that wait, for the shell to complete; none when the service cannot be asked.
func known(ctx context.Context, service func() (*admin.Client, error)) []cobra.Completion {
	client, err := service()
	if err != nil {
		return nil
	}
	list, err := client.Requests(ctx, false)
	if err != nil {
		return nil
	}
	var words []cobra.Completion
	for _, r := range list {
		words = append(words, cobra.CompletionWithDesc(plain(string(r.ID)), plain(r.User+" "+strings.Join(r.Roles, ","))))
	}
	return words
}

// fewest is how many characters of an ID are taken for the beginning of one.
const fewest = 8

// find gives the request that a person means: by its ID, the beginning of it, or a link that ends in it.
func find(ctx context.Context, client *admin.Client, given string) (admin.Request, error) {
	id := strings.ToLower(strings.TrimSpace(given[strings.LastIndex(given, "/")+1:]))
	r, err := client.Request(ctx, access.RequestID(id))
	if !errors.Is(err, access.ErrNotFound) {
		return r, err
	}
	if len(id) >= fewest {
		list, err := client.Requests(ctx, true)
		if err != nil {
			return admin.Request{}, err
		}
		switch found := beginning(list, id); {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return admin.Request{}, fmt.Errorf("%d requests begin with %s: give more of the ID, %s", len(found), plain(id), examples(found))
		}
	}
	return admin.Request{}, fmt.Errorf(`pdhook knows no request %s: "pdhook requests --all" lists those that it knows, and one whose role names nothing in PagerDuty by an annotation is none of them`, plain(given))
}

func beginning(list []admin.Request, id string) []admin.Request {
	var found []admin.Request
	for _, r := range list {
		if strings.HasPrefix(string(r.ID), id) {
			found = append(found, r)
		}
	}
	return found
}

// examples names the first requests of several.
func examples(found []admin.Request) string {
	var words []string
	for _, r := range found[:min(len(found), 3)] {
		words = append(words, plain(fmt.Sprintf("%s (%s)", r.ID, r.User)))
	}
	return "such as " + strings.Join(words, " or ")
}
