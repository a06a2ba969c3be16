package pagerdutytest

import (
	"slices"
	"time"
)

// Note is a note of an incident.
type Note struct {
	ID      string    `json:"id"`
	User    Ref       `json:"user"`
	Content string    `json:"content"`
	Created time.Time `json:"created"`
}

// Note writes a note on an incident as a user.
func (s *Server) Note(incidentID, userID, text string) {
	s.act(incidentID, userID, func(i *Incident, by Ref) error {
		s.addNote(i, by, text)
		return nil
	})
}

// Notes gives the notes of an incident, oldest first.
func (s *Server) Notes(incidentID string) (notes []Note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(must(s.incident(incidentID)).notes)
}

func (s *Server) addNote(i *Incident, by Ref, text string) Note {
	n := Note{ID: s.id("P%06d"), User: by, Content: text, Created: s.opts.Now()}
	i.notes = append(i.notes, n)
	s.record(i, "annotate", by, "note", text)
	s.emit(event{
		kind: "incident.annotated", resource: i.ID, service: i.Service, agent: by,
		data: object{"incident": s.ref(i.ref()), "id": n.ID, "content": text, "trimmed": false, "type": "incident_note"},
	})
	return n
}

func (s *Server) renderNote(n Note) object {
	return object{
		"id": n.ID, "user": s.ref(n.User), "content": n.Content,
		"channel":    object{"summary": "The PagerDuty website or APIs"},
		"created_at": stamp(n.Created), "updated_at": stamp(n.Created),
	}
}

// listNotes shows all notes, newest first: this list has no pages.
func (s *Server) listNotes(c *call) (answer, error) {
	i, err := s.incident(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	notes := []object{}
	for _, n := range slices.Backward(i.notes) {
		notes = append(notes, s.renderNote(n))
	}
	return ok(object{"notes": notes})
}

// createNote answers 200, as the OpenAPI document says. An incident takes at most 2000 notes.
func (s *Server) createNote(c *call) (answer, error) {
	i, err := s.incident(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	var body struct{ Note struct{ Content string } }
	if err := c.decode(&body); err != nil {
		return answer{}, err
	}
	if body.Note.Content == "" {
		return answer{}, invalid("Content cannot be empty")
	}
	if len(i.notes) >= 2000 {
		return answer{}, badRequest(2019, "Product Limit Reached")
	}
	return ok(object{"note": s.renderNote(s.addNote(i, UserRef(c.from.ID), body.Note.Content))})
}
