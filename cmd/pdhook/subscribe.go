package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/app"
	"github.com/pdhook/pdhook/internal/subscription"
)

func subscribeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscribe --url https://HOST/webhooks/pagerduty",
		Short: "Make PagerDuty send its webhooks here: create or mend the subscription, keep its secret, test it",
		Long: `Create PagerDuty's webhook subscription for this pdhook, or make the one that exists what it should be. Its signing
secret, which PagerDuty shows only once, goes into the first file of webhook.secrets. Beside a running service the
secret is loaded at once and a test ping has to arrive; what cannot be finished is undone. Without one, everything
but the test is done. Running it again changes only what differs, and tests again.

The API key needs the right to read and write webhook subscriptions. URL and secret of a subscription cannot be
changed: --rotate makes a second one, accepts both secrets, and deletes the first when the second is proven.`,
		Example: `  pdhook subscribe --url https://pdhook.example.com/webhooks/pagerduty
  pdhook subscribe --url https://pdhook.example.com/webhooks/pagerduty --filter "service:Payments API"
  pdhook subscribe --url https://pdhook.example.com/webhooks/pagerduty --rotate`,
	}
	o := app.SubscribeOptions{}
	configFile := configFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.URL, "url", "", "`URL` at which PagerDuty reaches pdhook or the ingress before it")
	filter := flags.String("filter", "", "whose `events`: account, service:NAME or team:NAME, where NAME may be id: and an ID (default: unchanged; account for a new one)")
	flags.StringVar(&o.SecretFile, "secret-file", "", "`file` of webhook.secrets for the signing secret (default the first)")
	flags.BoolVar(&o.Rotate, "rotate", false, "replace the subscription by one with a new signing secret")
	flags.DurationVar(&o.Wait, "wait", 30*time.Second, "how long the test ping may take to arrive")
	asJSON := flags.Bool("json", false, "print one JSON object at the end")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		var err error
		if *filter != "" {
			o.Filter, err = parsedFilter(*filter)
		}
		switch {
		case err != nil:
			return err
		case o.URL == "":
			return errors.New("--url is needed: where PagerDuty reaches pdhook, such as https://pdhook.example.com/webhooks/pagerduty")
		case o.Wait < time.Second:
			return errors.New("--wait is at least 1s")
		}
		return errors.Join(cobra.NoArgs(cmd, args), subscription.CheckURL(o.URL, true))
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return subscribe(cmd, configPath(*configFile), o, *asJSON) }
	return cmd
}

func parsedFilter(text string) (*subscription.Wanted, error) {
	w, err := subscription.ParseFilter(text)
	if err != nil {
		return nil, fmt.Errorf("--filter: %w", err)
	}
	return &w, nil
}

// subscribe does it. The first signal to stop has it undo what is not finished, the second one ends it. A terminal that
// is closed is such a signal; that nobody reads on, as with "| head", is none.
func subscribe(cmd *cobra.Command, path string, o app.SubscribeOptions, asJSON bool) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	context.AfterFunc(ctx, stop)
	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	o.Say = func(line string) {
		if !asJSON {
			fmt.Fprintln(cmd.OutOrStdout(), plainLines(line))
		}
	}
	result, err := app.Subscribe(ctx, cfg, o)
	if !asJSON {
		return err
	}
	printed := json.NewEncoder(plainJSON{cmd.OutOrStdout()})
	printed.SetIndent("", "  ")
	printed.SetEscapeHTML(false)
	return errors.Join(err, printed.Encode(result))
}
