package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Admin is the section [admin].
type Admin struct {
	Listen string
	// Ask asks the pdhook that may be running there.
	Ask func(ctx context.Context) Running
}

// Running is what the service at admin.listen says of itself.
type Running struct {
	Up           bool
	Unasked      bool  // it may be up: [admin] has mistakes
	Err          error // why it does not tell more
	Version      string
	Reasons      []string // why it takes no webhooks
	Trouble      []string // with its connections
	Subscription string   // what it finds wrong with the subscription
}

// Store is the section [store].
type Store struct {
	Path string
	// Look tries the directory. With shared, a pdhook may be running on it.
	Look func(shared bool) (Place, error)
}

// Place is the directory of the store.
type Place struct {
	New  bool   // it is still to be made
	Free uint64 // bytes left on its volume
	Need uint64 // bytes that have to be left
}

// placeSeen is what was found on this machine.
type placeSeen struct {
	findings []Finding
	running  Running
}

// look checks what is on this machine.
func (cfg Config) look(ctx context.Context) (seen placeSeen) {
	var service []Finding
	if cfg.Admin == nil {
		service, seen.running.Unasked = notChecked("running service", "admin"), true
	} else {
		seen.running = cfg.Admin.Ask(ctx)
		service = append(cfg.Admin.service(seen.running), port(ctx, "admin.listen", cfg.Admin.Listen, seen.running)...)
	}
	if cfg.Webhook == nil {
		seen.findings = notChecked("webhook", "webhook")
	} else {
		seen.findings = append(cfg.Webhook.certificate(time.Now()), cfg.Webhook.secrets()...)
		seen.findings = append(seen.findings, port(ctx, "webhook.listen", cfg.Webhook.Listen, seen.running)...)
	}
	if cfg.Store == nil {
		seen.findings = append(seen.findings, notChecked("store", "store")...)
	} else {
		seen.findings = append(seen.findings, cfg.Store.check(seen.running.Up || seen.running.Unasked))
	}
	seen.findings = append(append(seen.findings, service...), logFile(cfg.Log)...)
	return seen
}

// service judges what the running pdhook says.
func (a *Admin) service(r Running) []Finding {
	const name = "running service"
	if !r.Up {
		return []Finding{ok(name, "none at %s, so this is what a start would find", a.Listen)}
	}
	var all []Finding
	if len(r.Reasons) > 0 {
		all = append(all, failed(name, "mend what is told of it above: it goes on by itself", "takes no webhooks, or not all: %s", strings.Join(r.Reasons, "; ")))
	}
	for _, trouble := range r.Trouble {
		all = append(all, failed(name, "where all else here is in order, send it SIGHUP", "%s", trouble))
	}
	if r.Err != nil {
		all = append(all, failed(name, "give the token that the running pdhook has in admin.token, or send it SIGHUP when it was changed; when it is another program, choose another admin.listen",
			"what answers at %s does not tell how it is: %v", a.Listen, r.Err))
	}
	if len(all) > 0 {
		return all
	}
	return []Finding{ok(name, "pdhook %s at %s takes webhooks, and its connections stand", r.Version, a.Listen)}
}

// port judges whether an address can be listened on, or is by the running pdhook.
func port(ctx context.Context, key, address string, running Running) []Finding {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		_ = listener.Close() // nobody has connected
	}
	switch {
	case err == nil && running.Up:
		return []Finding{warning(key, "restart it, where this is its configuration", "the running pdhook does not listen on %s", address)}
	case err == nil:
		return []Finding{ok(key, "%s is free", address)}
	case running.Up && errors.Is(err, syscall.EADDRINUSE):
		return []Finding{ok(key, "%s is in use, as pdhook runs", address)}
	case running.Unasked && errors.Is(err, syscall.EADDRINUSE):
		return []Finding{warning(key, "", "%s is in use: by pdhook where it runs, else by another program", address)}
	case errors.Is(err, syscall.EADDRINUSE):
		return []Finding{failed(key, "stop what listens there (ss -ltnp shows it), or set another "+key, "%s is in use by another program", address)}
	}
	return []Finding{failed(key, "set "+key+" to an address of this machine; a port under 1024 needs a privilege", "%v", err)}
}

// check judges the directory.
func (s *Store) check(running bool) Finding {
	const name = "store"
	place, err := s.Look(running)
	switch {
	case err != nil:
		return failed(name, "", "%v", err)
	case place.New:
		return ok(name, "%s will be made; %s free, %s are needed", s.Path, size(place.Free), size(place.Need))
	}
	return ok(name, "%s is writable; %s free, %s are needed", s.Path, size(place.Free), size(place.Need))
}

// logFile judges whether the log can be written to its file.
func logFile(path string) []Finding {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0) // a pipe that nobody reads must not hold it
	if errors.Is(err, fs.ErrNotExist) {
		if file, err = os.CreateTemp(filepath.Dir(path), ".writable-*"); err == nil {
			defer func() { _ = os.Remove(file.Name()) }()
		}
	}
	if err != nil {
		return []Finding{failed("log.output", "create its folder, and let the user that runs pdhook write there; or set another log.output", "%s cannot be written: %v", path, err)}
	}
	_ = file.Close() // nothing was written
	return []Finding{ok("log.output", "%s is writable", path)}
}

func size(bytes uint64) string {
	if bytes >= 10<<30 {
		return fmt.Sprintf("%d GiB", bytes>>30)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
