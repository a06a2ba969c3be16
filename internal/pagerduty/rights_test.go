package pagerduty

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

// granting answers every question, but for one route, which is answered with a status. Writes meet no incident.
func granting(route string, status int) *fake {
	return &fake{respond: func(r *http.Request) (int, string) {
		switch {
		case r.Method+" "+r.URL.Path == route:
			return status, `{"error":{"message":"Access Denied","code":2010}}`
		case r.Method != http.MethodGet:
			return 404, `{"error":{"message":"Not Found","code":5001}}`
		}
		return 200, `{}`
	}}
}

func TestRightsTellWhatTheKeyMayNotAndAskForLittle(t *testing.T) {
	for route, doing := range map[string]string{
		"":                          "",
		"GET /services":             "read services",
		"GET /oncalls":              "read who is on call",
		"GET /schedules":            "read schedules",
		"GET /v3/schedules":         "read shift-based schedules",
		"GET /incidents":            "read incidents",
		"PUT /incidents/" + nowhere: access.WriteIncidents,
	} {
		f := granting(route, 403)
		c := f.start(t)
		refused := []string{}
		for _, r := range c.Rights(t.Context()) {
			if r.Err != nil {
				refused = append(refused, r.Doing)
			}
			if r.Err != nil && !errors.Is(r.Err, access.ErrDenied) {
				t.Errorf("%s: got %v, want ErrDenied", r.Doing, r.Err)
			}
		}
		if strings.Join(refused, " ") != doing {
			t.Errorf("%s refused: got %q, want %q", route, refused, doing)
		}
		if s := c.Status(); s.LastError != "" {
			t.Errorf("%s refused: the connection is in trouble: %q", route, s.LastError)
		}
		for i, r := range f.asked {
			if r.Method == http.MethodGet && r.URL.Query().Get("limit") != "1" || r.Method != http.MethodGet && f.sent[i] != `{"incident":{"type":"incident_reference"}}` {
				t.Errorf("sent %s %s %s", r.Method, r.URL, f.sent[i])
			}
		}
	}
}

func TestAnAnswerForAnIncidentThatDoesNotExistProvesNothing(t *testing.T) {
	for status, denied := range map[int]bool{200: false, 503: false, 400: false, 402: true} {
		c := granting("PUT /incidents/"+nowhere, status).start(t)
		rights := c.Rights(t.Context())
		if err := rights[len(rights)-1].Err; err == nil || errors.Is(err, access.ErrDenied) != denied {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

func TestOnlyA401RefusesTheKey(t *testing.T) {
	for status, want := range map[int]bool{401: true, 403: false, 404: false, 503: false} {
		_, err := always(status, "").start(t).User(t.Context(), testFrom)
		if KeyRefused(err) != want {
			t.Errorf("%d: got %v", status, !want)
		}
	}
}
