package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// PagerDuty is where the subscription is made. All but CreateSubscription and PingSubscription can be repeated without
// harm.
type PagerDuty interface {
	Source
	// CreateSubscription gives the signing secret too, which PagerDuty never shows again. An unclear error means that
	// a subscription may have been made.
	CreateSubscription(ctx context.Context, s access.Subscription) (made access.Subscription, secret string, err error)
	// UpdateSubscription changes description, event types, filter and switch.
	UpdateSubscription(ctx context.Context, s access.Subscription) error
	// DeleteSubscription gives access.ErrNotFound for one that is gone.
	DeleteSubscription(ctx context.Context, id access.SubscriptionID) error
	// PingSubscription gives PagerDuty's time at its answer, zero when it did not tell.
	PingSubscription(ctx context.Context, id access.SubscriptionID) (time.Time, error)
}

// Running is the pdhook that runs on this machine, or does not.
type Running interface {
	// Pings gives the test events that it accepted lately. ErrNotRunning: nobody answers.
	Pings(ctx context.Context) ([]access.Event, error)
	// Reload makes it read its secrets again.
	Reload(ctx context.Context) error
	// NotReady gives why it cannot take webhooks; none when it can, or when that could not be told.
	NotReady(ctx context.Context) []string
}

// ErrNotRunning says that no pdhook answers on [admin].
var ErrNotRunning = errors.New("pdhook is not running")

// SecretFile holds signing secrets, one a line, the newest last.
type SecretFile interface {
	// Read gives none when the file is not there.
	Read() ([]string, error)
	// Writable gives why Write cannot work, and changes nothing.
	Writable() error
	// Write puts these into the file, whole or not at all, and on disk; with none there is no file any more.
	Write(secrets []string) error
}

// Order is what a person wants.
type Order struct {
	URL    string                     // see CheckURL
	Filter *access.SubscriptionFilter // nil: as it is; for a new subscription the account
	Rotate bool                       // the subscription is to be replaced by one with another signing secret
	Wait   time.Duration              // for the test ping
}

// SubscribeConfig is what Subscribe works with. Every field is required but HaveSecret.
type SubscribeConfig struct {
	PagerDuty  PagerDuty
	Running    Running
	File       SecretFile
	FileName   string   // for people
	HaveSecret bool     // webhook.secrets gives at least one now
	Path       string   // webhook.path
	EventTypes []string // that pdhook uses
	Say        func(line string)

	underWay   time.Duration // default: underWay
	firstPause time.Duration // default: firstPause
}

// Result is what a run of Subscribe leaves behind.
type Result struct {
	SubscriptionID access.SubscriptionID `json:"subscription_id"` // "": none
	URL            string                `json:"url"`
	Filter         string                `json:"filter,omitempty"`
	SecretFile     string                `json:"secret_file"`
	Tested         bool                  `json:"tested"`     // a ping arrived at the running pdhook
	NotTested      string                `json:"not_tested"` // why not
	Done           []string              `json:"done"`       // in order
	NotUndone      []string              `json:"not_undone"` // what a failure left behind
}

// The descriptions of pdhook's subscriptions. PagerDuty keeps them for the next run to read how far the last one came;
// access.UnfinishedSubscription is the third.
const (
	inUse        = "pdhook"
	takesPlaceOf = "pdhook: takes the place of "
)

// What is found at the URL, what it means, and what a run does. It can be killed at any point: the next one goes on.
//
//	nothing                                   no run so far                     create
//	inactive, described as unfinished         a run ended before the secret     delete it, go on as if it were not there
//	                                          was safe: it may be nowhere
//	one other, whoever made it                it is in use                      update, enable, ping; with --rotate replace
//	one that takes the place of another       a rotation ended before its       ping; delete the other; keep the new secret
//	                                          end: the last line of the file    alone
//	                                          is its secret
//	several others                            made by hand                      change nothing, name them
//
// Creating goes: subscription inactive and unfinished → secret to disk → service reads it → active → ping. Rotating
// begins the same with the second subscription, old and new secret both in the file, and waits for other replicas to read
// it before it is active; then: first one deleted → wait for deliveries under way → new secret alone → service reads it.
// A run that was killed may leave the secret of a deleted subscription in the file. Nobody signs with it, and the next
// rotation removes it.

// Subscribe makes PagerDuty deliver to the URL, with what pdhook uses and a signing secret that it knows. What it made
// and cannot finish it undoes, and tells of. Result is complete with an error, too.
func Subscribe(ctx context.Context, cfg SubscribeConfig, order Order) (Result, error) {
	r := &run{SubscribeConfig: cfg, order: order, result: Result{
		URL: order.URL, SecretFile: cfg.FileName, Done: []string{}, NotUndone: []string{},
	}}
	if r.underWay == 0 {
		r.underWay = underWay
	}
	if r.firstPause == 0 {
		r.firstPause = firstPause
	}
	err := r.subscribe(ctx)
	return r.result, err
}

// run is one run of the command.
type run struct {
	SubscribeConfig
	order     Order
	alone     error                 // ErrNotRunning with its cause; nil: a service runs
	elsewhere bool                  // another subscription may lead here, signed with a secret of the file
	replaced  access.SubscriptionID // by the rotation; "": none
	before    []string              // what the file held before the new secret was written to it
	wrote     []string              // what it held then, the new secret last; none: it was not written
	result    Result
}

// isAlone reports whether no pdhook runs here: its secrets cannot be loaded, nor a ping looked for.
func (r *run) isAlone() bool { return r.alone != nil }

func (r *run) subscribe(ctx context.Context) error {
	if _, err := r.Running.Pings(ctx); errors.Is(err, ErrNotRunning) {
		r.alone = err
	} else if err != nil {
		return fmt.Errorf("asking the running pdhook, which has to read the secret: %w", err)
	}
	here, err := r.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case here.next != nil:
		return r.finishRotation(ctx, here)
	case here.current == nil && r.order.Rotate:
		return fmt.Errorf("no webhook subscription leads to %s, so there is none to rotate: leave out --rotate to make one", r.order.URL)
	case here.current == nil:
		return r.create(ctx)
	case r.order.Rotate:
		return r.rotate(ctx, *here.current)
	}
	return r.keep(ctx, *here.current)
}

// say tells what was done.
func (r *run) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.result.Done = append(r.result.Done, line)
	r.Say(line)
}
