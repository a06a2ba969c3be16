package pagerduty

import (
	"errors"
	"fmt"

	"github.com/pdhook/pdhook/internal/access"
)

// schedule is one of either kind. Its final schedule is what comes out of layers or rotations, overrides and
// gaps.
type schedule struct {
	reference
	Policies []reference `json:"escalation_policies"`
	Final    struct {
		Entries     *[]scheduleEntry   `json:"rendered_schedule_entries"`  // of a layer-based one
		Assignments *[]shiftAssignment `json:"computed_shift_assignments"` // of a shift-based one
	} `json:"final_schedule"`
}

type scheduleEntry struct {
	User  *reference    `json:"user"`
	Start string        `json:"start"`
	End   maybe[string] `json:"end"`
}

type shiftAssignment struct {
	Start  string        `json:"start_time"`
	End    maybe[string] `json:"end_time"`
	Member struct {
		Type string `json:"type"`
		User string `json:"user_id"`
	} `json:"member"`
}

// scheduleIn reads the schedule of an answer; it must be the one that was meant.
func scheduleIn(a answer, kind scheduleKind, id string) (access.Schedule, error) {
	if a.date.IsZero() {
		return access.Schedule{}, a.unreadable(errors.New("it has no Date: who is on duty depends on the time"))
	}
	raw, err := part[schedule](a, "schedule")
	if err != nil {
		return access.Schedule{}, err
	}
	if raw.ID != id {
		return access.Schedule{}, a.unreadable(fmt.Errorf("schedule %q came instead of %q", raw.ID, id))
	}
	s := access.Schedule{ID: access.ScheduleID(id), Name: raw.label(), Account: accountOf(raw.HTMLURL), Used: len(raw.Policies) > 0}
	if kind == shiftBased {
		s.Shifts, err = shiftsOf(raw.Final.Assignments)
	} else {
		s.Shifts, err = shiftsOf(raw.Final.Entries)
	}
	if err != nil {
		return access.Schedule{}, a.unreadable(fmt.Errorf("schedule %s: %w", id, err))
	}
	return s, nil
}

// shiftsOf gives the slots in which somebody is paged.
func shiftsOf[T interface {
	shift() (s access.Shift, paged bool, err error)
}](slots *[]T) (shifts []access.Shift, err error) {
	if slots == nil {
		return nil, errors.New("it does not show the final schedule")
	}
	for _, slot := range *slots {
		s, paged, err := slot.shift()
		if err != nil {
			return nil, err
		}
		if paged {
			shifts = append(shifts, s)
		}
	}
	return shifts, nil
}

// shift reads an entry; one without user is a gap.
func (e scheduleEntry) shift() (access.Shift, bool, error) {
	if e.User == nil {
		return access.Shift{}, false, nil
	}
	s, err := newShift(e.User.ID, e.Start, e.End)
	return s, true, err
}

// shift reads an assignment. A slot that is left empty on purpose pages nobody, and a kind of member that is not
// known may be a shadow, who is not paged either.
func (a shiftAssignment) shift() (access.Shift, bool, error) {
	switch a.Member.Type {
	case "user_member":
		s, err := newShift(a.Member.User, a.Start, a.End)
		return s, true, err
	case "":
		return access.Shift{}, false, errors.New("a shift without member")
	}
	return access.Shift{}, false, nil
}

// newShift reads a shift. Only an end that is shown to be null means that there is none.
func newShift(user, start string, end maybe[string]) (access.Shift, error) {
	s := access.Shift{User: access.UserID(user)}
	if user == "" || !end.shown {
		return s, fmt.Errorf("a shift of user %q lacks user or end", user)
	}
	var err error
	if s.Start, err = parseTime(start); err != nil {
		return s, fmt.Errorf("reading the start of user %s: %w", user, err)
	}
	if end.value != nil {
		if s.End, err = parseTime(*end.value); err != nil {
			return s, fmt.Errorf("reading the end of user %s: %w", user, err)
		}
	}
	return s, nil
}
