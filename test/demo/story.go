package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
)

const (
	dana = "dana@example.com"
	kim  = "kim@example.com"
	lee  = "lee@example.com"
)

// people ask for access, review, or are on call; each has an identity in Teleport and a login in PagerDuty.
var people = []string{dana, kim, lee}

// tell runs the story and ends the processes; Ctrl-C is no error.
func tell(ctx context.Context, binary string, once bool) error {
	t := &teller{began: time.Now()}
	fmt.Printf("Starting simulators of Teleport and PagerDuty, and %s between them …\n", binary)
	err := t.play(ctx, binary, once)
	if ctx.Err() != nil {
		fmt.Println("\nstopping")
		err = nil
	}
	if t.stage != nil {
		err = errors.Join(err, t.close())
	}
	return err
}

// play goes through the story. Every step is waited for, and one that does not happen is an error.
func (t *teller) play(ctx context.Context, binary string, once bool) (err error) {
	if t.stage, err = setUp(ctx, binary); err != nil {
		return err
	}
	fmt.Printf(`
The role %s names the service %s: asking for the role pages whoever
is on call for the service, and whoever is on call gets it at once. Now that is kim.
`, roleName, serviceName)
	for _, chapter := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"1  A request becomes an incident", t.notOnCall},
		{"2  Who is on call is approved at once", t.onCall},
		{"3  A webhook makes pdhook look again", t.takesOver},
		{"4  A person decides", t.denied},
	} {
		fmt.Printf("\n── %s\n", chapter.title)
		err := pause(ctx, 2500*time.Millisecond)
		if err == nil {
			err = chapter.play(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w\nlog of pdhook:\n%s", err, t.journal().text())
		}
	}
	fmt.Println("\nEvery step was seen to happen.")
	if once {
		return nil
	}
	return t.stayUp(ctx)
}

func (t *teller) notOnCall(ctx context.Context) error {
	id, err := t.asks(ctx, t.people[dana], roleName, "checkout fails with 502")
	if err != nil {
		return err
	}
	if _, err := t.decided(ctx, id, ""); err != nil {
		return err
	}
	return t.paged(ctx, id)
}

func (t *teller) onCall(ctx context.Context) error {
	began := time.Now()
	id, err := t.asks(ctx, t.people[kim], roleName, "looking at the 502s")
	if err != nil {
		return err
	}
	return t.granted(ctx, t.people[kim], id, began)
}

func (t *teller) takesOver(ctx context.Context) error {
	pending, err := t.pendingOf(ctx, t.people[dana])
	if err != nil {
		return err
	}
	alert, err := t.account.alert(ctx, "error rate 12 %")
	if err != nil {
		return err
	}
	t.say("monitoring", "triggers #%d on %s: %q", alert.Number, serviceName, alert.Title)
	// Webhooks make pdhook look at a request at once, then at most every 2 s.
	if err := pause(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	if _, err := t.pendingOf(ctx, t.people[dana]); err != nil {
		return err
	}
	t.say("Teleport", "dana's request still waits")
	if err := t.account.override(ctx, dana); err != nil {
		return err
	}
	t.say("dana", "takes over kim's shift; PagerDuty sends no webhook for that")
	if err := pause(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	began := time.Now()
	if err := t.account.acknowledge(ctx, alert.ID, dana); err != nil {
		return err
	}
	t.say("dana", "acknowledges #%d; PagerDuty sends a webhook", alert.Number)
	return t.granted(ctx, t.people[dana], pending, began)
}

func (t *teller) denied(ctx context.Context) error {
	id, err := t.asks(ctx, t.people[lee], roleName, "curious")
	if err != nil {
		return err
	}
	if _, err := t.decided(ctx, id, ""); err != nil {
		return err
	}
	if err := t.paged(ctx, id); err != nil {
		return err
	}
	if err := pause(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	if err := t.people[kim].deny(ctx, id, "no incident needs it"); err != nil {
		return err
	}
	t.say("kim", `denies it in Teleport: "no incident needs it"`)
	return t.wroteBack(ctx, id)
}

// granted waits for pdhook's approval and for what it writes back.
func (t *teller) granted(ctx context.Context, p *person, id string, began time.Time) error {
	if _, err := t.decided(ctx, id, string(access.Approve)); err != nil {
		return err
	}
	if err := t.approved(ctx, p, id, began); err != nil {
		return err
	}
	return t.wroteBack(ctx, id)
}

func (t *teller) pendingOf(ctx context.Context, p *person) (string, error) {
	all, err := p.client.GetAccessRequests(ctx, types.AccessRequestFilter{User: p.name, State: types.RequestState_PENDING})
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("%s has %d pending requests, one was expected", p.name, len(all))
	}
	return all[0].GetName(), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
