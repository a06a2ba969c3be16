package pagerduty

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// account is a PagerDuty account with Alice on call for Payments through a schedule, Bob directly behind
// her, and the bot; its requests are checked against PagerDuty's OpenAPI document where that is at hand.
type account struct {
	*pagerdutytest.Server
	client          *Client
	alice, bob, bot pagerdutytest.User
	primary         pagerdutytest.Schedule
	policy          pagerdutytest.Policy
	payments        pagerdutytest.Service
}

func newAccount(t *testing.T, opts pagerdutytest.Options) *account {
	t.Helper()
	opts.OpenAPI = pagerdutytest.FindOpenAPI()
	a := &account{Server: pagerdutytest.New(opts)}
	a.alice = a.AddUser("Alice", "Alice@example.com")
	a.bob = a.AddUser("Bob", "bob@example.com")
	a.bot = a.AddUser("pdhook", testFrom)
	a.primary = a.AddSchedule("Primary")
	a.SetOnCall(a.primary.ID, a.alice.ID, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	a.policy = a.AddPolicy("Payments policy", []pagerdutytest.Target{a.primary}, []pagerdutytest.Target{a.bob})
	a.payments = a.AddService("Payments", a.policy.ID)
	a.Start()
	t.Cleanup(func() {
		a.Close()
		if got := a.Violations(); len(got) != 0 {
			t.Errorf("got %q against the OpenAPI document, want nothing", got)
		}
	})
	a.client = newClient(t, Config{Endpoint: a.URL(), Key: func() string { return pagerdutytest.DefaultAPIKey }})
	return a
}

func (a *account) open(t *testing.T) access.Incident {
	t.Helper()
	opened, err := a.client.CreateIncident(t.Context(), a.order())
	if err != nil {
		t.Fatalf("opening an incident: %v", err)
	}
	return opened
}

func (a *account) order() access.NewIncident {
	return access.NewIncident{Key: access.IncidentKey("1"), Service: access.ServiceID(a.payments.ID), Title: "Access request from alice", Details: "because"}
}

func TestAnAccountIsReadFromNamesToWhoIsOnCall(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	ctx := t.Context()
	user, err := a.client.User(ctx, "alice@EXAMPLE.com")
	if err != nil || string(user.ID) != a.alice.ID || user.Email != "Alice@example.com" || user.Name != "Alice" || user.Account != "acme" {
		t.Errorf("got %+v, %v, want Alice of acme", user, err)
	}
	for _, ref := range []string{"payments", "id:" + a.payments.ID} {
		service, err := a.client.Service(ctx, ref)
		if err != nil || string(service.ID) != a.payments.ID || string(service.Policy) != a.policy.ID {
			t.Errorf("service %q: got %+v, %v, want Payments", ref, service, err)
		}
	}
	entries, now, err := a.client.OnCalls(ctx, access.OnCallQuery{
		Users: []access.UserID{access.UserID(a.alice.ID), access.UserID(a.bob.ID)},
	})
	if err != nil || len(entries) != 2 || now.IsZero() {
		t.Fatalf("got %+v at %v, %v, want the entries of Alice and Bob", entries, now, err)
	}
	slices.SortFunc(entries, func(a, b access.OnCall) int { return a.Level - b.Level })
	alice, bob := entries[0], entries[1]
	if alice.User.Email != "Alice@example.com" || string(alice.Schedule) != a.primary.ID || alice.Start.IsZero() || !alice.At(now) {
		t.Errorf("got %+v, want Alice on call through Primary", alice)
	}
	if string(bob.User.ID) != a.bob.ID || bob.Level != 2 || bob.Schedule != "" || !bob.Start.IsZero() || !bob.End.IsZero() || !bob.At(now) {
		t.Errorf("got %+v, want Bob always on call at level 2", bob)
	}
	if bot, err := a.client.Bot(ctx); err != nil || string(bot.ID) != a.bot.ID {
		t.Errorf("got %+v, %v, want the bot", bot, err)
	}
}

func TestLookingAheadFindsTheNextShift(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	start := time.Now().Add(2 * time.Hour).Truncate(time.Second)
	a.UpgradeSchedule(a.primary.ID)
	a.SetOnCall(a.primary.ID, a.alice.ID, start, start.Add(time.Hour))
	q := access.OnCallQuery{Users: []access.UserID{access.UserID(a.alice.ID)}, Until: start.Add(time.Minute)}
	entries, _, err := a.client.OnCalls(t.Context(), q)
	if err != nil || !slices.ContainsFunc(entries, func(e access.OnCall) bool { return e.Start.Equal(start) }) {
		t.Errorf("got %+v, %v, want an entry that starts at %v", entries, err, start)
	}
}

func TestAnIncidentLivesFromItsCreationToItsEnd(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	ctx := t.Context()
	opened := a.open(t)
	if opened.Status != access.Triggered || opened.URL == "" {
		t.Errorf("got %+v, want it triggered", opened)
	}
	if _, err := a.client.CreateIncident(ctx, a.order()); !errors.Is(err, access.ErrDuplicateKey) || access.IsUnclear(err) {
		t.Errorf("second creation: got %v, want ErrDuplicateKey", err)
	}
	a.Acknowledge(string(opened.ID), a.alice.ID)
	got, err := a.client.Incident(ctx, opened.ID, "")
	if err != nil || got.Status != access.Acknowledged || !slices.Equal([]string{got.Acknowledged[0].Name}, []string{"Alice"}) || string(got.TriggeredBy) != a.bot.ID || got.TriggerNotShown {
		t.Errorf("got %+v, %v, want it acknowledged by Alice and triggered by the bot", got, err)
	}
	if err := a.client.AddNote(ctx, opened.ID, "Access request has been approved"); err != nil {
		t.Errorf("adding a note: %v", err)
	}
	notes, err := a.client.Notes(ctx, opened.ID)
	if err != nil || len(notes) != 1 || notes[0].Content != "Access request has been approved" || notes[0].Created.IsZero() {
		t.Errorf("got notes %+v, %v, want the one", notes, err)
	}
	for range 2 {
		if err := a.client.Resolve(ctx, opened.ID); err != nil {
			t.Errorf("resolving: %v", err)
		}
	}
	again := a.open(t)
	found, err := a.client.IncidentsByKey(ctx, opened.Key, opened.Service)
	if err != nil || len(found) != 2 || found[0].ID != again.ID || found[1].ID != opened.ID || found[1].ResolvedBy != "pdhook" || string(found[1].TriggeredBy) != a.bot.ID {
		t.Errorf("got %+v, %v, want the new one, then the one resolved by the bot", found, err)
	}
}

func TestWhoEndedAnIncidentIsSeen(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	byPerson := a.open(t)
	a.Resolve(string(byPerson.ID), a.alice.ID)
	byTimeout := a.open(t)
	a.Resolve(string(byTimeout.ID), "")
	merged := a.open(t)
	into := a.AddIncident(a.payments.ID, pagerdutytest.IncidentOptions{Title: "the big one"})
	a.Merge(string(merged.ID), into.ID, a.alice.ID)
	for _, tt := range []struct {
		id         access.IncidentID
		resolvedBy string
		mergedInto access.IncidentID
	}{{byPerson.ID, "Alice", ""}, {byTimeout.ID, "", ""}, {merged.ID, "Alice", access.IncidentID(into.ID)}} {
		got, err := a.client.Incident(t.Context(), tt.id, "")
		if err != nil || got.Status != access.Resolved || got.ResolvedBy != tt.resolvedBy || got.MergedInto != tt.mergedInto {
			t.Errorf("got %+v, %v, want it resolved by %q, merged into %q", got, err, tt.resolvedBy, tt.mergedInto)
		}
	}
	if _, err := a.client.Incident(t.Context(), "QNONE", ""); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestAServiceThatTakesNoIncidentsIsForAnAdmin(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	for name, change := range map[string]func(){
		"disabled":       func() { a.DisableService(a.payments.ID) },
		"in maintenance": func() { a.StartMaintenance(a.payments.ID) },
		"nobody on call": func() { a.SetLevels(a.policy.ID, []pagerdutytest.Target{a.AddSchedule("Empty")}) },
	} {
		change()
		_, err := a.client.CreateIncident(t.Context(), a.order())
		if !access.IsPermanent(err) || access.IsUnclear(err) || errors.Is(err, access.ErrDuplicateKey) || !strings.Contains(err.Error(), "on call") && !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, want a permanent error with the likely reasons", name, err)
		}
		a.EnableService(a.payments.ID)
		a.SetLevels(a.policy.ID, []pagerdutytest.Target{a.bob})
	}
}

func TestFaultsOfPagerDutyAreNeverAnAnswer(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	for round, fault := range []pagerdutytest.Fault{
		{Kind: pagerdutytest.EmptyObject},
		{Kind: pagerdutytest.HTML},
		{Kind: pagerdutytest.ResetBefore},
		{Kind: pagerdutytest.ResetAfter},
		{Kind: pagerdutytest.Status, Status: http.StatusServiceUnavailable},
		{Kind: pagerdutytest.Status, Status: http.StatusRequestTimeout},
		{Kind: pagerdutytest.StatusAfter, Status: http.StatusBadGateway, Bare: true},
	} {
		a.ClearFaults()
		order := a.order()
		order.Key = access.IncidentKey(access.RequestID(fmt.Sprint(round)))
		opened, err := a.client.CreateIncident(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		a.Fault(fault)
		for name, act := range map[string]func() error{
			"User":    func() error { _, err := a.client.User(t.Context(), a.alice.Email); return err },
			"Service": func() error { _, err := a.client.Service(t.Context(), "Payments"); return err },
			"Incident": func() error {
				_, err := a.client.Incident(t.Context(), opened.ID, "")
				return err
			},
			"IncidentsByKey": func() error {
				_, err := a.client.IncidentsByKey(t.Context(), opened.Key, opened.Service)
				return err
			},
			"Schedule": func() error {
				_, _, err := a.client.Schedule(t.Context(), "Primary", time.Time{})
				return err
			},
			"OpenIncidents": func() error {
				_, err := a.client.OpenIncidents(t.Context(), []access.ServiceID{opened.Service})
				return err
			},
			"Resolver": func() error {
				_, err := a.client.Resolver(t.Context(), opened.ID)
				return err
			},
			"AddNote": func() error { return a.client.AddNote(t.Context(), opened.ID, "text") },
			"Resolve": func() error { return a.client.Resolve(t.Context(), opened.ID) },
		} {
			f := failure(t, act())
			if f.Class != access.Retry || f.Unclear != isWrite(name) || errors.Is(f, access.ErrNotFound) {
				t.Errorf("%s with fault %+v: got class %d, unclear %t: %v", name, fault, f.Class, f.Unclear, f)
			}
		}
	}
}

func TestAWritePerformedWithoutAnswerIsSentOnceAndFoundAgain(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.ResetAfter, Route: "POST /incidents", Times: 1})
	_, err := a.client.CreateIncident(t.Context(), a.order())
	if !access.IsUnclear(err) || a.CountRequests("POST /incidents") != 1 {
		t.Errorf("got %v after %d calls, want it unclear after one", err, a.CountRequests("POST /incidents"))
	}
	found, err := a.client.IncidentsByKey(t.Context(), a.order().Key, a.order().Service)
	if err != nil || len(found) != 1 {
		t.Errorf("got %+v, %v, want the incident that was opened after all", found, err)
	}
}

func TestIgnoredFiltersAndLostPagesMislead(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	for n := range 120 {
		a.AddService(fmt.Sprintf("Payments %d", n), a.policy.ID)
		a.AddIncident(a.payments.ID, pagerdutytest.IncidentOptions{Title: "other", Key: fmt.Sprintf("other-%d", n)})
	}
	opened := a.open(t)
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.IgnoreFilters})
	if found, err := a.client.IncidentsByKey(t.Context(), opened.Key, opened.Service); err != nil || len(found) != 1 || found[0].ID != opened.ID {
		t.Errorf("got %+v, %v, want only the incident asked for", found, err)
	}
	entries, _, err := a.client.OnCalls(t.Context(), access.OnCallQuery{Users: []access.UserID{access.UserID(a.bob.ID)}})
	if err != nil || len(entries) != 1 || string(entries[0].User.ID) != a.bob.ID {
		t.Errorf("got %+v, %v, want only Bob", entries, err)
	}
	if _, err := a.client.User(t.Context(), "alice@example.com"); err != nil {
		t.Errorf("got %v, want Alice among all users", err)
	}
	a.ClearFaults()
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.LosePage})
	if _, err := a.client.Service(t.Context(), "Payments"); err == nil || errors.Is(err, access.ErrNotFound) {
		t.Errorf("got %v, want could not tell without the second page", err)
	}
}

func TestAWrongKeyAndAnUnknownFromNameWhatToMend(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{APIKey: "another"})
	if _, err := a.client.User(t.Context(), a.alice.Email); !errors.Is(err, access.ErrDenied) || !strings.Contains(err.Error(), "pagerduty.api_key") {
		t.Errorf("got %v, want ErrDenied that names pagerduty.api_key", err)
	}
	a = newAccount(t, pagerdutytest.Options{})
	a.ChangeEmail(a.bot.ID, "moved@example.com")
	if _, err := a.client.CreateIncident(t.Context(), a.order()); !access.IsPermanent(err) || !strings.Contains(err.Error(), "pagerduty.user_email") {
		t.Errorf("got %v, want a permanent error that names pagerduty.user_email", err)
	}
}

func TestTheRateLimitIsNeverOverrunByNotes(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{RateLimit: 50})
	opened := a.open(t)
	background := WithPriority(t.Context(), Background)
	var held error
	for held == nil {
		held = a.client.AddNote(background, opened.ID, "text")
	}
	if f := failure(t, held); f.Class != access.Wait || f.NotBefore.IsZero() {
		t.Errorf("got %v, want to wait", held)
	}
	if got := a.CountRequests(""); got != 41 {
		t.Errorf("got %d calls, want 41: 9 of 50 are less than 20 %%", got)
	}
	if _, err := a.client.User(t.Context(), a.alice.Email); err != nil {
		t.Errorf("got %v, want an approval's question to be answered still", err)
	}
	a.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Status, Status: http.StatusTooManyRequests, Bare: true, Times: 1})
	_, err := a.client.User(t.Context(), a.alice.Email)
	if f := failure(t, err); f.Class != access.Wait || !f.NotBefore.After(time.Now()) {
		t.Errorf("got %v, want to wait after a 429 without headers", err)
	}
}

func TestOnDutyTellsEverybodyOnThePolicy(t *testing.T) {
	a := newAccount(t, pagerdutytest.Options{})
	entries, now, err := a.client.OnDuty(t.Context(), access.PolicyID(a.policy.ID))
	if err != nil || now.IsZero() || len(entries) == 0 {
		t.Fatalf("got %v, %v, %v", entries, now, err)
	}
	for _, e := range entries {
		if string(e.Policy) != a.policy.ID || e.User.Email == "" {
			t.Errorf("got entry %+v, want one on policy %s with an e-mail address", e, a.policy.ID)
		}
	}
	if _, _, err := a.client.OnDuty(t.Context(), ""); err == nil {
		t.Error("an empty ID was asked for")
	}
}
