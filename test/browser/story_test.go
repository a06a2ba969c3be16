package browser

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
	"github.com/pdhook/pdhook/test/teleporttest"
)

const (
	token  = "a-token-for-the-page"
	secret = "a-signing-secret-of-32-characters"
)

// service is a run of the real pdhook between both simulators: kim is on call for Payments API, dana is not.
type service struct {
	teleport  *teleporttest.Server
	pd        *pagerdutytest.Server
	dana, kim pagerdutytest.User
	schedule  pagerdutytest.Schedule
	payments  pagerdutytest.Service
	page      string // its address, with the token
}

func startService(t *testing.T) *service {
	t.Helper()
	s := &service{pd: pagerdutytest.New(pagerdutytest.Options{WebhookRetry: 200 * time.Millisecond})}
	s.pd.Start()
	t.Cleanup(s.pd.Close)
	s.pd.AddUser("pdhook", "pdhook@example.com")
	s.dana, s.kim = s.pd.AddUser("Dana", "dana@example.com"), s.pd.AddUser("Kim", "kim@example.com")
	s.schedule = s.pd.AddSchedule("Payments primary")
	s.pd.SetOnCall(s.schedule.ID, s.kim.ID, time.Time{}, time.Time{})
	s.payments = s.pd.AddService("Payments API", s.pd.AddPolicy("Payments", []pagerdutytest.Target{s.schedule}).ID)

	var err error
	if s.teleport, err = teleporttest.New(teleporttest.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := s.teleport.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.teleport.Close)
	s.teleport.SetRole("payments-admin", map[string][]string{"pagerduty_notify_service": {"Payments API"}, "pagerduty_services": {"Payments API"}})
	dir := t.TempDir()
	if err := s.teleport.WriteIdentity(filepath.Join(dir, "identity"), "pdhook", teleporttest.IdentityOptions{}); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("[teleport]\naddr = %q\nidentity = %q\n[pagerduty]\napi_key = %q\nuser_email = \"pdhook@example.com\"\napi_endpoint = %q\n"+
		"[webhook]\nlisten = \"127.0.0.1:0\"\ninsecure_http = true\nsecrets = [%q]\n[store]\npath = %q\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = %q\n[log]\nformat = \"json\"\n",
		s.teleport.Addr(), filepath.Join(dir, "identity"), pagerdutytest.DefaultAPIKey, s.pd.URL(), secret, filepath.Join(dir, "store"), token)
	file := filepath.Join(dir, "pdhook.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	webhooks, admin := launch(t, "start", "--config", file)
	s.page = "http://anybody:" + token + "@" + admin
	s.pd.Subscribe(pagerdutytest.Subscription{URL: "http://" + webhooks + "/webhooks/pagerduty", Secret: secret,
		Events: []string{"incident.acknowledged", "incident.triggered", "incident.resolved"}})
	return s
}

// launch starts pdhook, which ends with the test, and gives its addresses.
func launch(t *testing.T, args ...string) (webhooks, admin string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 1000)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for scanner := bufio.NewScanner(log); scanner.Scan(); {
			select {
			case lines <- scanner.Text():
			default: // nobody needs more
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	for deadline := time.After(patience); ; {
		select {
		case line := <-lines:
			var said struct{ Msg, Webhooks, Admin string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "pdhook is starting" {
				return said.Webhooks, said.Admin
			}
		case <-read:
			t.Fatal("pdhook ended")
		case <-deadline:
			t.Fatalf("pdhook does not start within %s", patience)
		}
	}
}

func TestANightWithTheRealService(t *testing.T) {
	s := startService(t)
	b := open(t, phone, "dark")
	b.visit(s.page)
	b.eventually("the page is live", live)
	eval[bool](b, "window.sameDocument = true")
	b.says("No request is waiting", "Nobody waits for access")

	id := s.teleport.CreateRequest(teleporttest.Request{User: s.dana.Email, Roles: []string{"payments-admin"}, Reason: "checkout fails"})
	b.eventually("dana's request appears", `document.title === "1 waiting · pdhook"`)
	b.eventually("it is decided and its incident shown", `document.querySelector(".incidents a") && document.body.innerText.includes("dana@example.com is not on call for Payments API")`)
	b.says("dana@example.com", "payments-admin", "checkout fails", "Not approved automatically: dana@example.com is not on call for Payments API", "on Payments API: triggered")
	b.do(chromedp.Tap(chromedp.CSS("summary")))
	b.eventually("the checks are shown", `document.querySelector("details").open`)
	b.says("PagerDuty user", "dana@example.com is a PagerDuty user")

	incident := s.pd.IncidentsByKey("teleport-access-request/" + id)[0]
	s.pd.Acknowledge(incident.ID, s.kim.ID)
	b.eventually("the acknowledgement is shown", `document.querySelector(".incidents").innerText.includes("acknowledged by Kim")`)
	b.eventually("and its webhook", `document.getElementById("webhooks").innerText.includes("incident.acknowledged")`)
	b.eventually("the checks are still shown", `document.querySelector("details").open`)

	s.pd.SetOnCall(s.schedule.ID, s.dana.ID, time.Time{}, time.Time{})
	s.pd.AddIncident(s.payments.ID, pagerdutytest.IncidentOptions{Title: "Checkout fails"}) // its webhook makes pdhook look again
	b.eventually("the request is approved", `document.querySelector("#decided li")?.innerText.includes("approved")`)
	if state := s.teleport.Request(id).GetState(); state != types.RequestState_APPROVED {
		t.Errorf("Teleport has the request %s", state)
	}
	b.says("No request is waiting", "Approved automatically: dana@example.com is on call for Payments API")
	if !eval[bool](b, "window.sameDocument === true") {
		t.Error("the page was loaded anew")
	}
	b.do(chromedp.Tap(chromedp.CSS("#decided a")))
	b.eventually("the request has its page", `location.pathname.startsWith("/requests/") && document.readyState === "complete"`)
	b.says("dana@example.com", "Approved automatically", "Reviews")
}
