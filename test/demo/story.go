package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

const demoKey = pagerdutytest.DefaultAPIKey

// teller prints the story, each line with the time since it began.
type teller struct {
	*stage
	began time.Time
}

func (t *teller) say(who, format string, args ...any) {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n                      ")
	fmt.Fprintf(os.Stdout, "%5.1fs  %-12s  %s\n", time.Since(t.began).Seconds(), who, text)
}

func (t *teller) chapter(ctx context.Context, title string) error {
	fmt.Fprintf(os.Stdout, "\n── %s\n", title)
	return pause(ctx, 1500*time.Millisecond)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// tell runs the story; every step is waited for, and one that does not happen is an error.
func tell(ctx context.Context, binary string, once bool) (err error) {
	t := &teller{began: time.Now()}
	t.say("demo", "starting simulators of Teleport and PagerDuty, and %s", binary)
	// The processes outlive ctx: they are ended in order by close.
	t.stage, err = setUp(context.WithoutCancel(ctx), binary)
	if t.stage != nil {
		defer func() { err = errors.Join(err, t.close()) }()
	}
	if err != nil {
		return err
	}
	t.say("demo", "kim is on call for the service Payments API; the role %s notifies it and names it for approval", roleName)
	for _, chapter := range []func(context.Context) error{t.notOnCall, t.onCall, t.takesOver, t.denied} {
		if err := chapter(ctx); err != nil {
			return fmt.Errorf("%w\nlog of pdhook:\n%s", err, t.pdhook.text())
		}
	}
	fmt.Fprintln(os.Stdout)
	t.say("demo", "every step was seen to happen")
	if once {
		return nil
	}
	return t.stayUp(ctx)
}

func (t *teller) notOnCall(ctx context.Context) error {
	if err := t.chapter(ctx, "A request becomes an incident"); err != nil {
		return err
	}
	dana := t.people["dana@example.com"]
	id, err := dana.ask(ctx, roleName, "checkout fails with 502")
	if err != nil {
		return err
	}
	t.say("dana", "asks Teleport for the role %s: checkout fails with 502", roleName)
	if err := t.decided(ctx, id); err != nil {
		return err
	}
	i, err := t.incident(ctx, id, "triggered", 0)
	if err != nil {
		return err
	}
	t.say("PagerDuty", "pages kim: #%d %q on Payments API\n%s", i.Number, i.Title, lastLine(i.Details))
	return nil
}

func (t *teller) onCall(ctx context.Context) error {
	if err := t.chapter(ctx, "Who is on call is approved at once"); err != nil {
		return err
	}
	kim := t.people["kim@example.com"]
	began := time.Now()
	id, err := kim.ask(ctx, roleName, "looking at the 502s")
	if err != nil {
		return err
	}
	t.say("kim", "asks for the same role")
	if err := t.approved(ctx, kim, id, began); err != nil {
		return err
	}
	return t.wroteBack(ctx, id, 2)
}

func (t *teller) takesOver(ctx context.Context) error {
	if err := t.chapter(ctx, "A webhook makes pdhook look again"); err != nil {
		return err
	}
	dana := t.people["dana@example.com"]
	pending, err := t.pendingOf(ctx, dana)
	if err != nil {
		return err
	}
	alert, err := t.account.alert(ctx, "Payments API: error rate 12 %")
	if err != nil {
		return err
	}
	t.say("monitoring", "triggers an incident on Payments API: error rate 12 %%; dana's request is looked at again and stays pending")
	if err := pause(ctx, 3*time.Second); err != nil { // webhooks make pdhook look at once, then at most every 2 s
		return err
	}
	if err := t.account.putOnCall(ctx, dana.name); err != nil {
		return err
	}
	t.say("dana", "takes over the shift from kim (PagerDuty sends no webhook for that)")
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	began := time.Now()
	if err := t.account.acknowledge(ctx, alert, dana.name); err != nil {
		return err
	}
	t.say("dana", "acknowledges that incident; PagerDuty sends the webhook incident.acknowledged")
	if err := t.approved(ctx, dana, pending, began); err != nil {
		return err
	}
	return t.wroteBack(ctx, pending, 2)
}

func (t *teller) denied(ctx context.Context) error {
	if err := t.chapter(ctx, "A person decides"); err != nil {
		return err
	}
	lee := t.people["lee@example.com"]
	id, err := lee.ask(ctx, roleName, "curious")
	if err != nil {
		return err
	}
	t.say("lee", "asks for the role, being on call for nothing")
	if err := t.decided(ctx, id); err != nil {
		return err
	}
	i, err := t.incident(ctx, id, "triggered", 0)
	if err != nil {
		return err
	}
	t.say("PagerDuty", "pages dana: #%d %q", i.Number, i.Title)
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	if err := t.people["kim@example.com"].deny(ctx, id, "no incident needs it"); err != nil {
		return err
	}
	t.say("kim", "denies it in Teleport: no incident needs it")
	return t.wroteBack(ctx, id, 2)
}

// decided tells what pdhook decided and why.
func (t *teller) decided(ctx context.Context, id string) error {
	l, err := t.pdhook.wait(ctx, func(l line) bool { return l.Message == "Decided" && l.Request == id })
	if err != nil {
		return err
	}
	t.say("pdhook", "%s: %s (%s)", l.Verdict, l.Why, l.Cause)
	return nil
}

// approved waits for pdhook's approval and tells its evidence.
func (t *teller) approved(ctx context.Context, p *person, id string, began time.Time) error {
	var req types.AccessRequest
	err := until(ctx, "Teleport has the request approved", func() (yes bool, err error) {
		req, err = p.look(ctx, id)
		return err == nil && req.GetState() == types.RequestState_APPROVED, err
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	l, err := t.pdhook.wait(ctx, func(l line) bool { return l.Message == "Decided" && l.Request == id && l.Verdict == "approve" })
	if err != nil {
		return err
	}
	t.say("pdhook", "%s: %s (%s)", l.Verdict, l.Why, l.Cause)
	t.say("Teleport", "the request is approved after %d ms; the review says:\n%s", took.Milliseconds(), req.GetReviews()[0].Reason)
	return nil
}

// wroteBack waits until reviews and decision are on the incident, and the incident is resolved.
func (t *teller) wroteBack(ctx context.Context, id string, notes int) error {
	i, err := t.incident(ctx, id, "resolved", notes)
	if err != nil {
		return err
	}
	for _, n := range i.Notes {
		t.say("PagerDuty", "#%d note: %s", i.Number, strings.ReplaceAll(cut(n.Content), "\n", " / "))
	}
	t.say("PagerDuty", "#%d is resolved", i.Number)
	return nil
}

// incident waits for the request's incident with a status and so many notes.
func (t *teller) incident(ctx context.Context, id, status string, notes int) (i incident, err error) {
	err = until(ctx, fmt.Sprintf("the incident is %s with %d notes", status, notes), func() (bool, error) {
		found, ok, err := t.account.of(ctx, id)
		i = found
		return ok && i.Status == status && len(i.Notes) == notes, err
	})
	return i, err
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

func (t *teller) stayUp(ctx context.Context) error {
	if err := t.save(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, `
The demo stays up until Ctrl-C. In another terminal:
  make demo-request USER=kim@example.com    ask for the role (dana is on call now, kim and lee are not)
  curl %s/status             how pdhook is
  tail -f %s     what pdhook logs
`, t.status, t.path("pdhook.log"))
	<-ctx.Done()
	fmt.Fprintln(os.Stdout, "\nstopping")
	return nil
}

// ask makes a request in a running demo and tells what becomes of it.
func ask(ctx context.Context, user, role string) error {
	text, err := os.ReadFile(stateFile())
	if err != nil {
		return errors.New("no demo is running: start it with `make demo` in another terminal")
	}
	var st state
	if err := json.Unmarshal(text, &st); err != nil {
		return err
	}
	p, err := login(ctx, st.Places.Teleport, identityOf(st.Dir, user), user)
	if err != nil {
		return fmt.Errorf("%w (the demo knows %s)", err, strings.Join(people, ", "))
	}
	defer func() { _ = p.client.Close() }()
	t := &teller{stage: &stage{dir: st.Dir, places: st.Places, account: &account{places: st.Places}}, began: time.Now()}
	id, err := p.ask(ctx, role, "playing with the demo")
	if err != nil {
		return err
	}
	t.say(user, "asks for %s: request %s", role, id)
	var i incident
	err = until(ctx, "PagerDuty has an incident", func() (found bool, err error) {
		i, found, err = t.account.of(ctx, id)
		return found, err
	})
	if err != nil {
		return err
	}
	t.say("PagerDuty", "#%d %q\n%s", i.Number, i.Title, lastLine(i.Details))
	req, err := p.look(ctx, id)
	if err != nil {
		return err
	}
	t.say("Teleport", "the request is %s", strings.ToLower(req.GetState().String()))
	return nil
}

func lastLine(text string) string { return text[strings.LastIndex(text, "\n")+1:] }

func cut(text string) string {
	if r := []rune(text); len(r) > 150 {
		return string(r[:149]) + "…"
	}
	return text
}
