package pagerdutytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestControlAPIBuildsAnAccountAndActsAsPeople(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	call := func(method, path, body string, want int) map[string]any {
		t.Helper()
		w := httptest.NewRecorder()
		s.ControlHandler().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		if w.Code != want {
			t.Fatalf("%s %s: got %d %s, want %d", method, path, w.Code, w.Body, want)
		}
		var out map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &out)
		return out
	}
	alice := call("POST", "/users", `{"name":"Alice","email":"alice@example.com"}`, 200)["id"]
	schedule := call("POST", "/schedules", `{"name":"Primary"}`, 200)["id"]
	call("POST", "/oncall", fmt.Sprintf(`{"schedule":%q,"user":%q}`, schedule, alice), 200)
	policy := call("POST", "/policies", fmt.Sprintf(`{"name":"Default","levels":[[{"kind":"schedule","id":%q}]]}`, schedule), 200)["id"]
	service := call("POST", "/services", fmt.Sprintf(`{"name":"Payments","policy":%q}`, policy), 200)["id"]
	incident := call("POST", "/incidents", fmt.Sprintf(`{"service":%q,"title":"On fire"}`, service), 200)["id"]
	call("POST", fmt.Sprintf("/incidents/%s/acknowledge", incident), fmt.Sprintf(`{"user":%q}`, alice), 200)
	call("POST", fmt.Sprintf("/incidents/%s/resolve", incident), "", 200)
	call("POST", fmt.Sprintf("/incidents/%s/resolve", incident), "", 400)
	call("POST", "/services", `{"name":"x","policy":"PNONE"}`, 404)
	call("POST", "/policies", `{"name":"x","levels":[[{"kind":"user","id":"PNONE"}]]}`, 404)
	call("POST", "/users", `no JSON`, 400)

	w := httptest.NewRecorder()
	s.ControlHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/incidents", nil))
	var all []struct {
		Incident
		Notes []Note
	}
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || len(all) != 1 || all[0].Status != "resolved" || all[0].Notes == nil {
		t.Errorf("incidents: got %s, %v", w.Body, err)
	}
}

func TestControlAPIOverridesAShift(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	call := func(path, body string, want int) string {
		t.Helper()
		w := httptest.NewRecorder()
		s.ControlHandler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		if w.Code != want {
			t.Fatalf("%s: got %d %s, want %d", path, w.Code, w.Body, want)
		}
		var made struct{ ID string }
		_ = json.Unmarshal(w.Body.Bytes(), &made)
		return made.ID
	}
	alice := call("/users", `{"name":"Alice","email":"alice@example.com"}`, 200)
	bob := call("/users", `{"name":"Bob","email":"bob@example.com"}`, 200)
	schedule := call("/schedules", `{"name":"Primary"}`, 200)
	call("/policies", fmt.Sprintf(`{"name":"Default","levels":[[{"kind":"schedule","id":%q}]]}`, schedule), 200)
	call("/oncall", fmt.Sprintf(`{"schedule":%q,"user":%q}`, schedule, alice), 200)
	call("/overrides", fmt.Sprintf(`{"schedule":%q,"user":%q}`, schedule, bob), 200)
	call("/overrides", `{"schedule":"PNONE"}`, 404)

	now := s.opts.Now()
	duties := s.duties(now, now)
	if len(duties) != 1 || duties[0].turn.user != bob {
		t.Errorf("got %+v on call, want bob alone, and alice not", duties)
	}
}
