package subscription

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// finding is something that people have to know, with what they can do about it.
type finding struct {
	level   slog.Level
	problem string // "": none
	hint    string
}

// findings judges what one look showed.
type findings struct {
	keeper     *Keeper
	ours       []access.Subscription
	listed     int                             // how many subscriptions there are in all
	unreadable error                           // why they cannot be listed
	failures   map[access.SubscriptionID]error // of enabling
}

// all gives everything that was found as one finding.
func (f findings) all(overdue access.IncidentID) finding {
	several := []finding{f.none()}
	for _, s := range f.ours {
		several = append(several, f.of(s))
	}
	if overdue != "" {
		several = append(several, finding{slog.LevelWarn,
			fmt.Sprintf("no webhook came for incident %s, which pdhook opened or resolved over %s ago", overdue, echoWithin),
			"check the URL of the subscription, what it is filtered by, and the ingress; where there are several replicas, another may have taken it"})
	}
	one := finding{level: slog.LevelInfo}
	for _, next := range several {
		if next.problem == "" {
			continue
		}
		one.level = max(one.level, next.level)
		one.problem, one.hint = joined(one.problem, next.problem), joined(one.hint, next.hint)
	}
	return one
}

// joined adds a text to others, each once.
func joined(texts, text string) string {
	switch {
	case texts == "":
		return text
	case strings.Contains(texts, text):
		return texts
	}
	return access.Cut(texts+"; "+text, 1000)
}

// none judges that no subscription was found. A key that may not read them is a choice.
func (f findings) none() finding {
	path, level := f.keeper.cfg.Path, slog.LevelWarn
	if errors.Is(f.unreadable, access.ErrDenied) {
		level = slog.LevelInfo
	}
	wayOut := fmt.Sprintf("make one with \"pdhook subscribe --url https://HOST%s\"; one of another account or region than the API key's is not seen here", path)
	switch {
	case f.unreadable != nil:
		return finding{level,
			fmt.Sprintf("webhook subscriptions cannot be read, so that one which PagerDuty disables is not noticed: %v", f.unreadable),
			"let the key of pagerduty.api_key read webhook subscriptions (webhook_subscriptions.read; Manager, Admin or Owner)"}
	case f.listed == 0:
		return finding{slog.LevelWarn, "the API key sees no webhook subscription: pdhook works by polling alone", wayOut}
	case len(f.ours) == 0:
		return finding{slog.LevelWarn,
			fmt.Sprintf("none of the %d webhook subscriptions that the API key sees leads to %s: pdhook works by polling alone", f.listed, path),
			wayOut}
	}
	return finding{}
}

// of judges one subscription.
func (f findings) of(s access.Subscription) finding {
	switch missing := f.missing(s); {
	case !s.Active && !slices.ContainsFunc(f.ours, delivers):
		return finding{slog.LevelWarn,
			fmt.Sprintf("webhook subscription %s is switched off (active is false): pdhook works by polling alone", s.ID),
			"its owner can switch it on in PagerDuty, or with \"pdhook subscribe\" and its URL"}
	case !s.Active: // another one does its work
		return finding{}
	case s.Disabled && f.keeper.cfg.DryRun():
		return finding{slog.LevelWarn,
			fmt.Sprintf("PagerDuty has disabled webhook subscription %s, and a dry run enables nothing", s.ID),
			"enable it in PagerDuty"}
	case s.Disabled:
		return f.stillDisabled(s)
	case len(missing) > 0:
		return finding{slog.LevelWarn,
			fmt.Sprintf("webhook subscription %s lacks event types that pdhook uses: %s", s.ID, strings.Join(missing, ", ")),
			"\"pdhook subscribe\" with its URL adds them; until then pdhook learns of these changes by polling"}
	}
	return finding{}
}

// stillDisabled judges a subscription that was to be enabled.
func (f findings) stillDisabled(s access.Subscription) finding {
	err := f.failures[s.ID]
	if err == nil || mayPass(err) {
		return finding{slog.LevelWarn,
			fmt.Sprintf("PagerDuty has disabled webhook subscription %s, and enabling it did not work yet", s.ID),
			"it is tried again; it can also be enabled in PagerDuty"}
	}
	return finding{slog.LevelError,
		fmt.Sprintf("PagerDuty has disabled webhook subscription %s, and pdhook may not enable it: %v", s.ID, err),
		"enable it in PagerDuty, and let the key of pagerduty.api_key do it the next time (webhook_subscriptions.write; Manager, Admin or Owner)"}
}

// missing gives the event types that pdhook uses and the subscription does not ask for.
func (f findings) missing(s access.Subscription) []string {
	return slices.DeleteFunc(slices.Clone(f.keeper.cfg.EventTypes), func(t string) bool { return slices.Contains(s.EventTypes, t) })
}

// status shows the first subscription that has a problem, or else the first that delivers.
func (f findings) status(problem string) Status {
	shown := Status{Problem: problem, LastLook: time.Now().UTC()}
	if len(f.ours) == 0 {
		return shown
	}
	at := slices.IndexFunc(f.ours, func(s access.Subscription) bool { return f.of(s).problem != "" })
	if at < 0 {
		at = max(0, slices.IndexFunc(f.ours, delivers))
	}
	s := f.ours[at]
	shown.ID, shown.URL, shown.Active, shown.Disabled, shown.Missing = s.ID, s.URL, s.Active, s.Disabled, f.missing(s)
	return shown
}

// tell logs what was found, once, and again when its text changes.
func (k *Keeper) tell(ctx context.Context, f finding) {
	switch {
	case f.problem == k.said:
		return
	case f.problem == "":
		k.cfg.Log.Info("The webhook subscription is as it should be again")
	default:
		k.cfg.Log.Log(ctx, f.level, "The webhook subscription needs attention", "problem", f.problem, "hint", f.hint)
	}
	k.said = f.problem
}
