package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

// teller prints what happens, each entry with the time since it began.
type teller struct {
	*stage
	began time.Time
}

// Entries have the time, who, and a text of at most so many columns.
const (
	textWidth = 79
	textBegin = "\n                     "
)

func (t *teller) say(who, format string, args ...any) {
	var lines []string
	for text := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		lines = append(lines, wrapped(text)...)
	}
	fmt.Printf("%6.1fs  %-10s  %s\n", time.Since(t.began).Seconds(), who, strings.Join(lines, textBegin))
}

// wrapped breaks a text between its words.
func wrapped(text string) (lines []string) {
	now := ""
	for _, word := range strings.Fields(text) {
		if now != "" && len([]rune(now))+1+len([]rune(word)) > textWidth {
			lines, now = append(lines, now), ""
		}
		now = strings.TrimPrefix(now+" "+word, " ")
	}
	return append(lines, now)
}

// asks makes an access request and tells of it.
func (t *teller) asks(ctx context.Context, p *person, role, reason string) (id string, err error) {
	if id, err = p.ask(ctx, role, reason); err == nil {
		t.say(short(p.name), "asks Teleport for %s: %q", role, reason)
	}
	return id, err
}

// decided tells pdhook's first decision with one of the verdicts, of any when there are none.
func (t *teller) decided(ctx context.Context, id, verdict string) (d access.Decision, err error) {
	pdhook := admin.NewClient(t.status, "")
	err = until(ctx, "pdhook has decided", func() (bool, error) {
		found, err := pdhook.Request(ctx, access.RequestID(id))
		switch {
		case errors.Is(err, access.ErrNotFound):
			return false, nil
		case err != nil || found.Decision == nil:
			return false, err
		}
		d = *found.Decision
		return verdict == "" || string(d.Verdict) == verdict, nil
	})
	if err == nil {
		why, evidence, _ := strings.Cut(d.Sentence, " (")
		arrow := " → "
		if len(d.Cause)+len(d.Verdict)+len(why) > textWidth-5 {
			arrow = " →\n"
		}
		if evidence != "" {
			evidence = "\n(" + evidence
		}
		t.say("pdhook", "%s%s%s: %s%s", d.Cause, arrow, d.Verdict, why, evidence)
	}
	return d, err
}

// paged tells whom the request's incident was assigned to.
func (t *teller) paged(ctx context.Context, id string) error {
	i, err := t.incident(ctx, id, "triggered", 0)
	if err == nil {
		t.say("PagerDuty", "pages %s: #%d %q", t.account.assignees(i), i.Number, i.Title)
	}
	return err
}

// approved waits for the approval and tells how long it took since began, and on what evidence.
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
	_, evidence, _ := strings.Cut(req.GetReviews()[0].Reason, "\n")
	t.say("Teleport", "approved after %d ms, with this evidence in the review:\n%s", took.Milliseconds(), evidence)
	return nil
}

// wroteBack waits until review and decision are on the incident, and the incident is resolved.
func (t *teller) wroteBack(ctx context.Context, id string) error {
	i, err := t.incident(ctx, id, "resolved", 2)
	if err != nil {
		return err
	}
	var told []string
	for _, n := range i.Notes {
		first, _, _ := strings.Cut(n.Content, "\n")
		told = append(told, fmt.Sprintf("#%d note: %s", i.Number, first))
	}
	t.say("PagerDuty", "%s\n#%d resolved", strings.Join(told, "\n"), i.Number)
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

// short gives the name in front of an e-mail's @.
func short(email string) string {
	name, _, _ := strings.Cut(email, "@")
	return name
}
