package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/pdhook/pdhook/config"
	"github.com/pdhook/pdhook/internal/app"
)

func startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run the service",
		Long: `Run the service until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads the configuration
again. A new identity, secret, key or certificate on disk is taken without it.`,
		Args: cobra.NoArgs,
	}
	configFile := configFlag(cmd)
	debug := cmd.Flags().BoolP("debug", "d", false, "log everything, whatever log.severity says")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return start(cmd, configPath(*configFile), *debug) }
	return cmd
}

func start(cmd *cobra.Command, path string, debug bool) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	// Go ends a process whose standard error nobody reads any more, as after a restart of journald, and systemd takes
	// that end for an orderly one. The service is worth more than its log.
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)

	cfg, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	log, logging, err := newLogger(cfg.Log, debug, cmd.OutOrStdout(), cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer logging.aside()()
	fitMemory(log)
	a, err := app.New(app.Config{
		Config:  cfg,
		Log:     log,
		Version: thisBuild().Version,
		Reload: func() (*config.Config, error) {
			next, err := config.Load(path, os.Environ())
			if err != nil {
				return nil, err
			}
			return next, logging.apply(next.Log)
		},
	})
	if err != nil {
		return err
	}
	return serve(cmd.Context(), a, signals)
}

// service is what signals act upon.
type service interface {
	Run(ctx context.Context) error
	Reload(ctx context.Context) error
}

// errSecondSignal ends the process while parts of the service are still at work.
var errSecondSignal = errors.New("stopped by a second signal before the work was finished; it is taken up again at the next start")

// serve runs the service until it ends. The first signal to stop lets it finish, the second one does not.
func serve(ctx context.Context, s service, signals <-chan os.Signal) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case sig := <-signals:
			switch {
			case sig != syscall.SIGHUP && ctx.Err() != nil:
				return errSecondSignal
			case sig != syscall.SIGHUP:
				stop()
			case ctx.Err() == nil:
				_ = s.Reload(ctx) // the log has it
			}
		}
	}
}
