package pagerdutytest

import (
	"slices"
	"time"
)

// Schedule is an on-call schedule of either kind.
type Schedule struct {
	ID         string `json:"id"`
	Name       string `json:"name"`
	ShiftBased bool   `json:"shift_based,omitempty"` // /v3/schedules instead of /schedules

	shifts    []turn
	overrides []turn
}

func (sc *Schedule) id() string { return sc.ID }

func (sc Schedule) target() Ref {
	if sc.ShiftBased {
		return Ref{"schedule_v3", sc.ID}
	}
	return Ref{"schedule", sc.ID}
}

// AddSchedule adds a layer-based schedule.
func (s *Server) AddSchedule(name string) Schedule { return s.addSchedule(name, false) }

// AddShiftSchedule adds a shift-based schedule (May 2026 and later): no endpoint lists both kinds.
func (s *Server) AddShiftSchedule(name string) Schedule { return s.addSchedule(name, true) }

func (s *Server) addSchedule(name string, shiftBased bool) (sc Schedule) {
	s.do(func() { sc = s.newSchedule(name, shiftBased) })
	return sc
}

func (s *Server) newSchedule(name string, shiftBased bool) Schedule {
	sc := &Schedule{ID: s.id("P%06d"), Name: name, ShiftBased: shiftBased}
	s.schedules = append(s.schedules, sc)
	return *sc
}

// UpgradeSchedule turns a layer-based schedule into a shift-based one: the ID stays, the kind changes, also
// on the policies that use it.
func (s *Server) UpgradeSchedule(id string) {
	s.do(func() {
		must(s.schedule(id)).ShiftBased = true
		for _, p := range s.policies {
			for _, targets := range p.Levels {
				if i := slices.Index(targets, Ref{"schedule", id}); i >= 0 {
					targets[i].Kind = "schedule_v3"
				}
			}
		}
	})
}

// turn is one stretch of duty: from start up to, but not including, end. Both are whole seconds, as in every
// answer of PagerDuty: what is told is what holds.
type turn struct {
	user       string // "": an empty member of a shift-based schedule
	start, end time.Time
}

// forever stands for the end of a turn that has none.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// SetOnCall puts a user on duty for [start, end), each cut to its second. A zero start is now, a zero end is
// never. An empty user is an empty member: nobody.
func (s *Server) SetOnCall(scheduleID, userID string, start, end time.Time) {
	s.do(func() { check(s.setOnCall(scheduleID, userID, start, end)) })
}

func (s *Server) setOnCall(scheduleID, userID string, start, end time.Time) error {
	return s.addTurn(scheduleID, userID, start, end, func(sc *Schedule) *[]turn { return &sc.shifts })
}

// addTurn puts a user on duty among the shifts or the overrides of a schedule.
func (s *Server) addTurn(scheduleID, userID string, start, end time.Time, among func(*Schedule) *[]turn) error {
	sc, err := s.schedule(scheduleID)
	if err != nil {
		return err
	}
	t, err := s.turn(userID, start, end)
	if err != nil {
		return err
	}
	turns := among(sc)
	*turns = append(*turns, t)
	return nil
}

// Override puts a user on duty for [start, end) instead of everybody else on the schedule. No webhook
// tells of it.
func (s *Server) Override(scheduleID, userID string, start, end time.Time) {
	s.do(func() { check(s.override(scheduleID, userID, start, end)) })
}

func (s *Server) override(scheduleID, userID string, start, end time.Time) error {
	return s.addTurn(scheduleID, userID, start, end, func(sc *Schedule) *[]turn { return &sc.overrides })
}

// ClearSchedule takes everybody off a schedule.
func (s *Server) ClearSchedule(scheduleID string) {
	s.do(func() {
		sc := must(s.schedule(scheduleID))
		sc.shifts, sc.overrides = nil, nil
	})
}

func (s *Server) turn(userID string, start, end time.Time) (turn, error) {
	if userID != "" {
		if _, err := s.user(userID); err != nil {
			return turn{}, err
		}
	}
	if start.IsZero() {
		start = s.opts.Now()
	}
	if end.IsZero() {
		end = forever
	}
	return turn{userID, start.Truncate(time.Second), end.Truncate(time.Second)}, nil
}

func (s *Server) schedule(id string) (*Schedule, error) {
	if sc, ok := byID(s.schedules, id); ok {
		return sc, nil
	}
	return nil, unknown("schedule", id)
}

// turns are the final schedule: shifts where no override covers them, and overrides.
func (sc *Schedule) turns() []turn {
	left := slices.Clone(sc.shifts)
	for _, o := range sc.overrides {
		var next []turn
		for _, t := range left {
			next = append(next, t.without(o)...)
		}
		left = next
	}
	return append(left, sc.overrides...)
}

// without gives what is left of a turn outside the override o.
func (t turn) without(o turn) (left []turn) {
	if head := (turn{t.user, t.start, earlier(t.end, o.start)}); head.start.Before(head.end) {
		left = append(left, head)
	}
	if tail := (turn{t.user, later(t.start, o.end), t.end}); tail.start.Before(tail.end) {
		left = append(left, tail)
	}
	return left
}

// overlaps reports whether the turn touches [since, until].
func (t turn) overlaps(since, until time.Time) bool {
	return !t.start.After(until) && t.end.After(since)
}

// within is the turn cut at the bounds.
func (t turn) within(since, until time.Time) turn {
	return turn{t.user, later(t.start, since), earlier(t.end, until)}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
