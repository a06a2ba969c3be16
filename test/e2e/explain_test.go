package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/teleporttest"
)

// ask runs a command beside the running service, with its configuration.
func (w *world) ask(env []string, args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(w.t.Context(), binary, append(args, "--config", w.path("pdhook.toml"))...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(cleanEnv(), env...), &out, &errs
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// explained asks until the explanation holds all of the texts.
func (w *world) explained(id string, texts ...string) {
	w.t.Helper()
	last := ""
	w.eventually("explain tells "+strings.Join(texts, ", "), func() bool {
		_, out, errs := w.ask(nil, "explain", id)
		if out+errs != last {
			last = out + errs
			w.t.Log(last)
		}
		for _, text := range texts {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), text) {
				return false
			}
		}
		return true
	})
}

func TestExplainAnswersWhyARequestIsStillPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, with("admin.token", `"sesame-sesame"`), with("policy.auto_approve_roles", `["payments-admin", "typo", "bare"]`))
	w.token = "sesame-sesame"
	w.teleport.SetRole("typo", map[string][]string{"pagerduty_services": {"Payment API"}})
	w.teleport.SetRole("bare", map[string][]string{"pagerduty_notify_service": {"Payments API"}})
	w.teleport.SetRole("root", map[string][]string{"pagerduty_services": {"Payments API"}})
	w.start()
	w.configure() // with the ports that were found

	notOnCall := w.teleport.CreateRequest(teleporttest.Request{User: "dana@example.com", Roles: []string{"payments-admin"}, Reason: "checkout fails\x1b[2J"})
	incident := w.opened(notOnCall)
	w.explained(notOnCall, "is pending", "Not approved automatically: dana@example.com is not on call for Payments API: level 1 is kim@example.com",
		"→ dana@example.com comes on call for the escalation policy of Payments API", "reason checkout fails[2J",
		"incident "+incident.ID+" on Payments API, triggered", "next look", "tsh request review --approve "+notOnCall)
	w.explained(w.request("nobody@example.com", "payments-admin"), "✗ user PagerDuty knows no user with the login e-mail nobody@example.com", "→ somebody gives PagerDuty a user")
	w.explained(w.request("kim@example.com", "typo"), `PagerDuty knows no service "Payment API"`, "→ an admin corrects the name in the annotation pagerduty_services")
	w.explained(w.request("kim@example.com", "bare"), "names no service or schedule", "→ an admin adds the annotation pagerduty_services")
	w.explained(w.request("kim@example.com", "root"), "role root is not among the roles", "→ an admin adds root to policy.auto_approve_roles")

	w.pd.Acknowledge(incident.ID, w.kim.ID)
	w.explained(notOnCall, "acknowledged by Kim")
	if err := w.teleport.Review(notOnCall, "kim@example.com", types.RequestState_DENIED, "no"); err != nil {
		t.Fatal(err)
	}
	w.explained(notOnCall, "is denied", "review denied by kim@example.com")

	if code, out, errs := w.ask([]string{"PDHOOK_ADMIN_TOKEN=another"}, "explain", notOnCall); code != 1 || out != "" || !strings.Contains(errs, "admin.token") {
		t.Errorf("with another token: got %d %q %q", code, out, errs)
	}
	if code, out, errs := w.ask(nil, "explain", "ffffffff-0000"); code != 1 || out != "" || !strings.Contains(errs, "pdhook requests --all") {
		t.Errorf("an unknown request: got %d %q %q", code, out, errs)
	}
	w.proc.stop()
	if code, out, errs := w.ask(nil, "requests"); code != 1 || out != "" || !strings.Contains(errs, "no pdhook answers at") || !strings.Contains(errs, "pdhook start") {
		t.Errorf("without a service: got %d %q %q", code, out, errs)
	}
}

func TestExplainTellsOfAReviewThatDidNotSuffice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		set        setting
		thresholds []types.AccessReviewThreshold
		want       []string
	}{
		{"Teleport wants more", func(*world) {}, []types.AccessReviewThreshold{{Approve: 2, Deny: 1}},
			[]string{"but more approvals are needed", "✓ review", "Teleport wants more reviews than pdhook's"}},
		{"Teleport refuses it", func(w *world) { w.teleport.Deny(bot, teleporttest.ReviewRequests) }, nil,
			[]string{"Qualifies, but is not approved: Teleport refuses pdhook's review", "✗ review", "→ an admin lets the Teleport role of pdhook review payments-admin", "incident Q"}},
		{"dry run", with("policy.dry_run", "true"), nil,
			[]string{"Would be approved automatically, but this is a dry run: kim@example.com is on call for Payments API", "✗ review", "dry run pdhook changes nothing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, c.set)
			w.configure()
			id := w.teleport.CreateRequest(teleporttest.Request{User: "kim@example.com", Roles: []string{"payments-admin"}, Thresholds: c.thresholds})
			w.explained(id, c.want...)
		})
	}
}

func TestTheCommandsPrintTheJSONOfTheAPI(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.configure()
	if code, out, errs := w.ask(nil, "requests"); code != 0 || out != "" || !strings.Contains(errs, "No access request waits") {
		t.Errorf("none: got %d %q %q", code, out, errs)
	}
	waits, done := w.request("dana@example.com", "payments-admin"), w.request("kim@example.com", "payments-admin")
	w.opened(waits)
	w.ended(done, 1)
	w.settled()
	for _, c := range []struct {
		path string
		args []string
	}{
		{"/api/v1/requests?all=false", []string{"requests", "--json"}},
		{"/api/v1/requests?all=true", []string{"requests", "--all", "--json"}},
		{"/api/v1/requests/" + waits, []string{"explain", "--json", waits}},
		{"/api/v1/requests/" + done, []string{"explain", "--json", done}},
	} {
		w.eventually(strings.Join(c.args, " ")+" prints what the API answers", func() bool {
			_, body := w.get(c.path)
			code, out, errs := w.ask(nil, c.args...)
			return code == 0 && errs == "" && out == string(body) && json.Valid(body)
		})
	}
	code, out, _ := w.ask(nil, "requests", "--all")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 3 || !strings.HasPrefix(lines[1], waits) || !strings.Contains(lines[1], "pending") || !strings.HasSuffix(lines[2], "Approved automatically") {
		t.Errorf("got %d\n%s", code, out)
	}
}
