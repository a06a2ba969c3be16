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
