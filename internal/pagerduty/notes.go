package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pdhook/pdhook/internal/access"
)

type note struct {
	ID      string `json:"id"`
	Content string `json:"content"`
	Created string `json:"created_at"`
}

// Notes gives the incident's notes as PagerDuty orders them; PagerDuty does not page them.
func (c *Client) Notes(ctx context.Context, id access.IncidentID) ([]access.Note, error) {
	notes, err := c.notes(WithPriority(ctx, Background), id)
	if err != nil {
		return nil, fmt.Errorf("reading the notes of incident %q: %w", id, err)
	}
	return notes, nil
}

func (c *Client) notes(ctx context.Context, id access.IncidentID) ([]access.Note, error) {
	if !validID(id) {
		return nil, errNoIncidentID()
	}
	a, err := c.do(ctx, call{route: "GET /incidents/{id}/notes", path: "/incidents/" + string(id) + "/notes"})
	if err != nil {
		return nil, err
	}
	listed, err := part[[]note](a, "notes")
	if err != nil {
		return nil, err
	}
	notes := make([]access.Note, len(listed))
	for i, n := range listed {
		created, err := parseTime(n.Created)
		if err != nil {
			return nil, a.unreadable(fmt.Errorf("reading created_at of note %s: %w", n.ID, err))
		}
		notes[i] = access.Note{Content: n.Content, Created: created}
	}
	return notes, nil
}

// AddNote writes a note to the incident. PagerDuty has no guard against writing it twice.
func (c *Client) AddNote(ctx context.Context, id access.IncidentID, text string) error {
	if err := c.addNote(WithPriority(ctx, Background), id, text); err != nil {
		return fmt.Errorf("adding a note to incident %q: %w", id, err)
	}
	return nil
}

func (c *Client) addNote(ctx context.Context, id access.IncidentID, text string) error {
	if !validID(id) {
		return errNoIncidentID()
	}
	if strings.TrimSpace(text) == "" {
		return permanent(errors.New("the note is empty"))
	}
	a, err := c.do(ctx, call{
		route: "POST /incidents/{id}/notes",
		path:  "/incidents/" + string(id) + "/notes",
		body:  map[string]any{"note": map[string]string{"content": text}},
	})
	if err != nil {
		return err
	}
	written, err := part[note](a, "note")
	if err == nil && written.ID == "" {
		err = a.unreadable(errors.New("the note has no id"))
	}
	return err
}
