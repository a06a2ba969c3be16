package e2e

import (
	"strings"
	"syscall"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

// hangUp sends SIGHUP.
func (w *world) hangUp() {
	w.t.Helper()
	if err := w.proc.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		w.t.Fatal(err)
	}
}

// reconfigure writes the configuration and has pdhook read it.
func (w *world) reconfigure(key, value string) {
	w.t.Helper()
	w.conf[key] = value
	w.configure()
	w.hangUp()
}

func TestAReloadTakesEffectOnPendingRequestsAtOnce(t *testing.T) {
	for _, c := range []struct {
		name       string
		key        string
		before     string
		after      string
		user       string
		whyPending string
	}{
		{"roles", "policy.auto_approve_roles", `["other"]`, `["other", "payments-admin"]`, "kim@example.com", "not among the roles"},
		{"escalation level", "policy.max_escalation_level", "1", "2", "lee@example.com", "only at level 2"},
		{"access", "policy.max_access", `"1h"`, `"0"`, "kim@example.com", "at most 1h0m0s"},
		{"account", "pagerduty.account", `"other"`, `"acme"`, "kim@example.com", "the API key belongs to account acme"},
		{"annotation", "pagerduty.services", `"duty"`, `"pagerduty_services"`, "kim@example.com", "names no service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t, with(c.key, c.before))
			id := w.request(c.user, "payments-admin")
			if incident := w.opened(id); !strings.Contains(incident.Details, c.whyPending) {
				t.Errorf("got details %q, want %q in them", incident.Details, c.whyPending)
			}
			w.stays(id)
			errors := 0
			if c.key == "pagerduty.account" {
				w.complains(w.proc.says("PagerDuty needs attention"), `pagerduty.account is "other"`)
				errors = 1
			}
			w.reconfigure(c.key, c.after)
			w.reaches(id, types.RequestState_APPROVED)
			w.ended(id, 1)
			w.proc.says("The configuration was read again")
			w.complained(errors)
		})
	}
}

func TestAReloadChangesWhenIncidentsAreOpened(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.notify", `"unless_approved"`))
	quiet := w.request("kim@example.com", "payments-admin")
	w.reaches(quiet, types.RequestState_APPROVED)
	w.reconfigure("policy.notify", `"always"`)
	w.proc.says("The configuration was read again")
	loud := w.request("kim@example.com", "payments-admin")
	w.ended(loud, 1)
	if got := len(w.incidents(quiet)); got != 0 {
		t.Errorf("the request approved before has %d incidents, want none", got)
	}
}

func TestABrokenConfigurationIsRefusedAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	w := startWorld(t, with("policy.auto_approve_roles", `["other"]`))
	pending := w.request("kim@example.com", "payments-admin")
	w.opened(pending)
	w.write("pdhook.toml", "[policy\nauto_approve_roles = 1")
	w.hangUp()
	w.complains(w.proc.says("The new configuration is refused"), w.path("pdhook.toml"))

	delete(w.conf, "policy.auto_approve_roles")
	w.reconfigure("policy.notify", `"never"`)
	w.complains(w.proc.says("policy.notify"), `"always" or "unless_approved"`)
	later := w.request("kim@example.com", "payments-admin")
	if why := w.decided(later); !strings.Contains(why, "not among the roles") {
		t.Errorf("pdhook decided because %q, want it to go by the old configuration", why)
	}
	w.stays(pending)

	w.write("webhook-secret", "too-short")
	w.reconfigure("policy.notify", `"always"`)
	w.complains(w.proc.says("fewer than 16 bytes"), "webhook.secrets", "webhook-secret")
	w.write("webhook-secret", secret)
	w.hangUp()
	w.reaches(pending, types.RequestState_APPROVED)
	w.reaches(later, types.RequestState_APPROVED)
	w.complained(3)
	w.tellsNoSecret("too-short")
}

func TestAReloadNamesWhatTakesEffectOnlyAfterARestart(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	listen := w.conf["webhook.listen"]
	w.proc.stop()
	w.start() // on the ports that the configuration names from now on
	w.conf["store.retention"] = `"1h"`
	w.reconfigure("webhook.listen", `"127.0.0.1:1"`)
	line := w.proc.says("Some changes take effect only after a restart")
	if line.text("level") != "WARN" || line.text("keys") != "webhook.listen, store.retention" {
		t.Errorf("got %v, want a WARN that names webhook.listen and store.retention", line)
	}
	w.hangUp()
	w.eventually("a second reload names them again", func() bool {
		return len(w.proc.find(func(l logLine) bool { return l.text("keys") == "webhook.listen, store.retention" })) == 2
	})
	w.conf["webhook.listen"] = listen
	id := w.request("dana@example.com", "payments-admin")
	w.pd.Acknowledge(w.opened(id).ID, w.kim.ID)
	w.settled() // webhooks still arrive on the old address
}

func TestAReloadChangesTheLog(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	isDebug := func(l logLine) bool { return l.text("level") == "DEBUG" }
	w.opened(w.request("dana@example.com", "payments-admin"))
	if lines := w.proc.find(isDebug); len(lines) > 0 {
		t.Errorf("got %d DEBUG lines at severity INFO: %v", len(lines), lines[0])
	}
	w.reconfigure("log.severity", `"debug"`)
	w.eventually("pdhook logs at DEBUG", func() bool { return len(w.proc.find(isDebug)) > 0 })
	w.reconfigure("log.output", quote(w.path("pdhook.log")))
	w.eventually("pdhook logs into the file", func() bool { return strings.Contains(w.read("pdhook.log"), `"level":"INFO"`) })
}

func TestAReloadReplacesTheKeyOfPagerDuty(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.opened(w.request("dana@example.com", "payments-admin"))
	w.write("api-key", "a-key-that-was-revoked")
	w.hangUp()
	w.proc.says("The configuration was read again")
	id := w.request("kim@example.com", "payments-admin")
	w.eventually("PagerDuty refuses the key", func() bool {
		return strings.Contains(w.status().PagerDuty.LastError, "refused the API key (pagerduty.api_key)")
	})
	w.stays(id)
	w.write("other-key", pagerdutytest.DefaultAPIKey)
	w.reconfigure("pagerduty.api_key", quote(w.path("other-key")))
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.tellsNoSecret("a-key-that-was-revoked")
}

func TestAKeyOfPagerDutyThatIsReplacedOnDiskIsUsedWithoutASignal(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	w.write("api-key", "a-key-that-was-revoked")
	w.proc.says("Secrets have changed and were read again")
	id := w.request("kim@example.com", "payments-admin")
	w.eventually("PagerDuty refuses the key", func() bool {
		return strings.Contains(w.status().PagerDuty.LastError, "refused the API key (pagerduty.api_key)")
	})
	w.stays(id)
	w.write("api-key", pagerdutytest.DefaultAPIKey)
	w.reaches(id, types.RequestState_APPROVED)
	w.ended(id, 1)
	w.tellsNoSecret("a-key-that-was-revoked")
}
