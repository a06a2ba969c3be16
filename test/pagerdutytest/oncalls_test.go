package pagerdutytest

import (
	"fmt"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty"
)

func TestOnCallNowListsEveryLevelAndDirectUsersWithoutTimes(t *testing.T) {
	w := newWorld(t, Options{})
	got, err := w.client.ListOnCallsWithContext(t.Context(), pagerduty.ListOnCallOptions{EscalationPolicyIDs: []string{w.policy.ID}, Includes: []string{"users"}})
	if err != nil || len(got.OnCalls) != 2 {
		t.Fatalf("got %+v, %v, want two entries", got, err)
	}
	bob, alice := got.OnCalls[0], got.OnCalls[1]
	if bob.User.Email != w.bob.Email || bob.EscalationLevel != 2 || bob.Schedule.ID != "" || bob.Start != "" || bob.End != "" {
		t.Errorf("direct user: got %+v, want Bob on level 2 without schedule and times", bob)
	}
	if alice.User.ID != w.alice.ID || alice.EscalationLevel != 1 || alice.Schedule.ID != w.primary.ID || alice.Start != "2026-03-01T21:00:00-05:00" {
		t.Errorf("schedule: got %+v, want Alice on level 1 with an offset in her times", alice)
	}
	w.noViolations()
}

func TestOnCallFilters(t *testing.T) {
	w := newWorld(t, Options{})
	unused := w.AddSchedule("Unused")
	w.SetOnCall(unused.ID, w.alice.ID, time.Time{}, time.Time{})
	later := w.clock.Now().Add(2 * time.Hour)
	w.SetOnCall(w.primary.ID, w.bot.ID, later, later.Add(time.Hour))
	w.SetOnCall(w.primary.ID, w.bot.ID, later.Add(5*time.Hour), later.Add(6*time.Hour))
	until := later.Add(10 * time.Hour).Format(time.RFC3339)
	for query, want := range map[string]int{
		"user_ids[]=" + w.alice.ID:                                 1,
		"user_ids[]=" + w.bot.ID:                                   0,
		"user_ids[]=" + w.bot.ID + "&until=" + until:               2,
		"earliest=true&user_ids[]=" + w.bot.ID + "&until=" + until: 1,
		"schedule_ids[]=" + w.primary.ID:                           1,
		"schedule_ids[]=null":                                      1,
		"schedule_ids[]=" + unused.ID:                              0,
		"escalation_policy_ids[]=PNONE":                            0,
	} {
		if got := w.get("/oncalls?" + query).json(t)["oncalls"].([]any); len(got) != want {
			t.Errorf("%s: got %d entries, want %d", query, len(got), want)
		}
	}
}

func TestShiftEndsAndOverrideReplaces(t *testing.T) {
	w := newWorld(t, Options{})
	now := w.clock.Now()
	w.Override(w.primary.ID, w.bob.ID, now.Add(10*time.Minute), now.Add(20*time.Minute))
	for _, step := range []struct {
		at   time.Duration
		want string
	}{{0, w.alice.ID}, {10 * time.Minute, w.bob.ID}, {20 * time.Minute, w.alice.ID}, {time.Hour, ""}} {
		w.clock.Advance(now.Add(step.at).Sub(w.clock.Now()))
		got := ""
		for _, entry := range w.get("/oncalls?schedule_ids[]=" + w.primary.ID).json(t)["oncalls"].([]any) {
			got += fmt.Sprint(entry.(map[string]any)["user"].(map[string]any)["id"])
		}
		if got != step.want {
			t.Errorf("on call after %s: got %q, want %q", step.at, got, step.want)
		}
	}
}

func TestShiftsBeginAndEndOnTheSecondThatIsTold(t *testing.T) {
	w := newWorld(t, Options{})
	begin := w.clock.Now().Truncate(time.Second).Add(2 * time.Hour)
	w.SetOnCall(w.primary.ID, w.bot.ID, begin.Add(900*time.Millisecond), begin.Add(time.Minute+900*time.Millisecond))
	for at, want := range map[time.Duration]int{-time.Second: 0, 0: 1, 59 * time.Second: 1, time.Minute: 0} {
		now := begin.Add(at).Format(time.RFC3339)
		got := w.get("/oncalls?user_ids[]=" + w.bot.ID + "&since=" + now + "&until=" + now).json(t)["oncalls"].([]any)
		if len(got) != want {
			t.Errorf("on call %s after the begin: got %d entries, want %d", at, len(got), want)
		}
		for _, entry := range got {
			if told := entry.(map[string]any)["start"]; told != begin.In(time.FixedZone("", -5*3600)).Format(time.RFC3339) {
				t.Errorf("start: got %s, want %s", told, begin)
			}
		}
	}
}

func TestScheduleUsersWithoutATimeAreEverybody(t *testing.T) {
	w := newWorld(t, Options{})
	w.SetOnCall(w.primary.ID, w.bob.ID, w.clock.Now().Add(time.Hour), time.Time{})
	now := w.clock.Now().Format(time.RFC3339)
	for query, want := range map[string]int{"": 2, "?since=" + now + "&until=" + now: 1} {
		if got := w.get("/schedules/" + w.primary.ID + "/users" + query).json(t)["users"].([]any); len(got) != want {
			t.Errorf("users%s: got %d, want %d", query, len(got), want)
		}
	}
}

func TestShiftBasedSchedulesAreAWorldOfTheirOwn(t *testing.T) {
	w := newWorld(t, Options{})
	shifts := w.AddShiftSchedule("Shifts")
	w.SetOnCall(shifts.ID, w.alice.ID, time.Time{}, time.Time{})
	w.SetOnCall(shifts.ID, w.bob.ID, time.Time{}, time.Time{})
	w.SetOnCall(shifts.ID, "", time.Time{}, time.Time{})
	if got := w.get("/schedules?query=shifts").json(t)["schedules"].([]any); len(got) != 0 {
		t.Errorf("/schedules: got %v, want none", got)
	}
	list := w.get("/v3/schedules?query=shifts").json(t)["schedules"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["summary"] != "Shifts" {
		t.Errorf("/v3/schedules: got %v, want the name in summary", list)
	}
	if got := w.get("/v3/schedules/" + w.primary.ID); got.StatusCode != 400 {
		t.Errorf("layer-based schedule on /v3: got %d, want 400", got.StatusCode)
	}
	since, until := w.clock.Now().Format(time.RFC3339), w.clock.Now().Add(time.Second).Format(time.RFC3339)
	got := w.get("/v3/schedules/" + shifts.ID + "?include[]=final_schedule&since=" + since + "&until=" + until).json(t)
	final := got["schedule"].(map[string]any)["final_schedule"].(map[string]any)
	var members []any
	for _, a := range final["computed_shift_assignments"].([]any) {
		members = append(members, a.(map[string]any)["member"].(map[string]any)["user_id"])
	}
	if fmt.Sprint(members) != fmt.Sprint([]any{w.alice.ID, w.bob.ID, nil}) {
		t.Errorf("on call: got %v, want Alice, Bob and an empty member", members)
	}
	w.noViolations()
}

func TestLayerBasedScheduleIsRenderedAndUpgraded(t *testing.T) {
	w := newWorld(t, Options{})
	now := w.clock.Now()
	got, err := w.client.GetScheduleWithContext(t.Context(), w.primary.ID, pagerduty.GetScheduleOptions{Since: now.Format(time.RFC3339), Until: now.Add(time.Second).Format(time.RFC3339)})
	if err != nil || len(got.FinalSchedule.RenderedScheduleEntries) != 1 || got.FinalSchedule.RenderedScheduleEntries[0].User.ID != w.alice.ID {
		t.Errorf("final schedule: got %+v, %v, want Alice", got, err)
	}
	w.UpgradeSchedule(w.primary.ID)
	entry := w.get("/oncalls?schedule_ids[]=" + w.primary.ID).json(t)["oncalls"].([]any)[0].(map[string]any)
	if kind := entry["schedule"].(map[string]any)["type"]; kind != "schedule_v3_reference" {
		t.Errorf("type after the upgrade: got %v, want schedule_v3_reference", kind)
	}
	w.noViolations()
}
