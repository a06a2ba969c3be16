package policy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pdhook/pdhook/internal/access"
)

// asked puts the questions of a look to PagerDuty as it is, for a requester who was found to be user.
func asked(user access.Fact[access.User], services []NamedService, duty []access.OnCall, at time.Time) Facts {
	of := func(wanted func(access.OnCall) bool) access.Fact[access.OnCalls] {
		entries := slices.DeleteFunc(slices.Clone(duty), func(e access.OnCall) bool { return !wanted(e) })
		return access.Fact[access.OnCalls]{Value: access.OnCalls{Entries: entries, Now: now}, ReadAt: at}
	}
	f := approvable().Facts
	f.User, f.Services, f.OnDuty = user, services, map[access.PolicyID]access.Fact[access.OnCalls]{}
	f.OnCalls = of(func(e access.OnCall) bool { return e.User.ID == user.Value.ID })
	for _, s := range services {
		f.OnDuty[s.Fact.Value.Policy] = of(func(e access.OnCall) bool { return e.Policy == s.Fact.Value.Policy })
	}
	return f
}

func TestWhatDutyConfirmsIsDecidedAsIfTheUserHadJustBeenLookedUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := approvable().Rules
		rules.MaxEscalationLevel = rapid.IntRange(0, 2).Draw(t, "max level")
		// Alice's address belongs to one of three users, or to none.
		users := []access.User{{ID: "U1", Email: "one@example.com"}, {ID: "U2", Email: "two@example.com"}, {ID: "U3"}}
		fresh := notFound[access.User]()
		if n := rapid.IntRange(0, 3).Draw(t, "who is alice"); n < 3 {
			users[n].Email = rapid.SampledFrom([]string{alice.Email, "Alice@Example.com"}).Draw(t, "address")
			fresh = known(users[n])
		}
		remembered := known(access.User{ID: rapid.SampledFrom(users).Draw(t, "remembered").ID, Email: alice.Email})
		remembered.ReadAt = now.Add(-time.Hour)
		duty := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) access.OnCall {
			return shift(by(rapid.SampledFrom(users).Draw(t, "on duty")), level(rapid.IntRange(1, 3).Draw(t, "level")),
				of(rapid.SampledFrom([]access.PolicyID{"PPAY", "PSHIP", "POTHER"}).Draw(t, "policy")))
		}), 0, 4).Draw(t, "duty")
		services := rapid.SampledFrom([][]NamedService{
			{{Ref: "payments", Fact: known(payments)}},
			{{Ref: "payments", Fact: known(payments)}, {Ref: "shipping", Fact: known(shipping)}},
		}).Draw(t, "services")

		at := now.Add(-time.Second)
		stale := asked(remembered, services, duty, at)
		decision := Decide(rules, stale)
		read, confirmed := Confirmed(rules, stale, at)
		if decision.Verdict == access.Approve && !confirmed {
			t.Errorf("an approval names an entry with the requester's address, so it is confirmed: %+v", stale)
		}
		if want := Decide(rules, asked(fresh, services, duty, at)); confirmed && (decision.Verdict != want.Verdict || !read.Equal(at)) {
			t.Errorf("confirmed as of %s is %q (%s), looked up anew it is %q (%s)", read, decision.Verdict, decision.Sentence, want.Verdict, want.Sentence)
		}
	})
}

func TestWhatIsOldOrUnknownConfirmsNobody(t *testing.T) {
	at := now.Add(-time.Second)
	off := func() Facts {
		return asked(known(alice), []NamedService{{Ref: "payments", Fact: known(payments)}}, nil, at)
	}
	on := func() Facts {
		return asked(known(alice), []NamedService{{Ref: "payments", Fact: known(payments)}}, []access.OnCall{shift()}, at)
	}
	for _, tt := range []struct {
		name  string
		facts Facts
		spoil func(*Facts)
		want  bool
	}{
		{"on call", on(), func(*Facts) {}, true},
		{"off call", off(), func(*Facts) {}, true},
		{"on call, asked for before", on(), func(f *Facts) { f.OnCalls.ReadAt = at.Add(-1) }, false},
		{"on call, could not be read", on(), func(f *Facts) { f.OnCalls.Err = errDown }, false},
		{"on call, without address", on(), func(f *Facts) { f.OnCalls.Value.Entries[0].User.Email = "" }, false},
		{"on call, by a schedule, too", on(), func(f *Facts) { f.Schedules = []NamedSchedule{{Ref: "night"}} }, false},
		{"off call, asked for before", off(), func(f *Facts) {
			duty := f.OnDuty["PPAY"]
			duty.ReadAt = at.Add(-1)
			f.OnDuty["PPAY"] = duty
		}, false},
		{"off call, who is on duty could not be read", off(), func(f *Facts) { f.OnDuty["PPAY"] = unknown[access.OnCalls](errDown) }, false},
		{"off call, who is on duty was not asked for", off(), func(f *Facts) { f.OnDuty = nil }, false},
		{"off call, the service could not be read", off(), func(f *Facts) { f.Services[0].Fact.Err = errDown }, false},
		{"off call, no service is named", off(), func(f *Facts) { f.Services = nil }, false},
		{"off call, but on duty by the next answer", off(), func(f *Facts) {
			duty := f.OnDuty["PPAY"]
			duty.Value.Entries = []access.OnCall{shift()}
			f.OnDuty["PPAY"] = duty
		}, false},
		{"off call, but somebody else has the address", off(), func(f *Facts) {
			duty := f.OnDuty["PPAY"]
			duty.Value.Entries = []access.OnCall{shift(by(access.User{ID: "UNEW", Email: alice.Email}))}
			f.OnDuty["PPAY"] = duty
		}, false},
	} {
		tt.spoil(&tt.facts)
		if _, got := Confirmed(approvable().Rules, tt.facts, at); got != tt.want {
			t.Errorf("%s: confirmed = %v, want %v", tt.name, got, tt.want)
		}
	}
}
