package pagerduty

import (
	"encoding/json"
	"errors"
	"time"
)

// reference is how PagerDuty names one object inside another; with include[] it is the object itself,
// which has the same members and more.
type reference struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
	Name    string `json:"name"`
	Email   string `json:"email"`
	HTMLURL string `json:"html_url"`
}

func (r *reference) isUser() bool {
	return r != nil && (r.Type == "user" || r.Type == "user_reference")
}

// label is what to call the object for people.
func (r *reference) label() string {
	for _, s := range []string{r.Name, r.Summary} {
		if s != "" {
			return s
		}
	}
	return r.ID
}

// maybe is a member that may be null, told apart from one that is not there at all.
type maybe[T any] struct {
	shown bool
	value *T // nil: null
}

func (m *maybe[T]) UnmarshalJSON(data []byte) error {
	m.shown = true
	return json.Unmarshal(data, &m.value)
}

// parseTime reads one of PagerDuty's times, which come with the offset of the account's zone.
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err == nil && t.IsZero() {
		err = errors.New("it is the zero time") // which means "none" in the domain's words
	}
	return t.UTC(), err
}
