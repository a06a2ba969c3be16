package subscription

import (
	"strings"
	"testing"

	"github.com/pdhook/pdhook/internal/access"
)

func TestAURLThatPagerDutyCannotOrMustNotDeliverToIsRefused(t *testing.T) {
	for url, want := range map[string]string{
		"https://pdhook.example.com/webhooks/pagerduty": "",
		"https://pdhook.example.com:8443/x":             "",
		"https://203.0.113.7/x":                         "",
		"pdhook.example.com/webhooks/pagerduty":         "no URL like https://",
		"https:///webhooks/pagerduty":                   "no URL like https://",
		"https://pdhook.example.com/%zz":                "no URL like https://",
		"http://pdhook.example.com/webhooks/pagerduty":  "must begin with https://",
		"https://kim:pass@pdhook.example.com/x":         "must not hold a user or password",
		"https://pdhook.example.com/x?token=1":          "without a query",
		"https://pdhook.example.com/x#y":                "without a query or fragment",
		"https://pdhook.example.com/x?":                 "without a query",
		"https://localhost/x":                           "cannot reach localhost",
		"https://127.0.0.1:8081/x":                      "cannot reach 127.0.0.1",
		"https://[::1]/x":                               "cannot reach ::1",
		"https://10.1.2.3/x":                            "cannot reach 10.1.2.3",
		"https://0.0.0.0/x":                             "cannot reach 0.0.0.0",
	} {
		err := CheckURL(url, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", url, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "pass") && !strings.Contains(want, "password") {
			t.Errorf("%s: the error holds the password: %v", url, err)
		}
	}
	if err := CheckURL("https://127.0.0.1:8081/webhooks/pagerduty", true); err != nil {
		t.Errorf("beside a simulator: got %v", err)
	}
}

func TestURLsThatLeadToTheSamePlaceAreTheSame(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://pdhook.example.com/hook", "https://PDHOOK.example.com:443/hook", true},
		{"https://pdhook.example.com", "https://pdhook.example.com/", true},
		{"https://pdhook.example.com/hook", "https://pdhook.example.com/hook/", false},
		{"https://pdhook.example.com/hook", "https://pdhook.example.com/Hook", false},
		{"https://pdhook.example.com/hook", "https://pdhook.example.com:8443/hook", false},
		{"https://pdhook.example.com/hook", "https://staging.example.com/hook", false},
	} {
		if got := sameURL(c.a, c.b); got != c.same {
			t.Errorf("%s and %s: got %t, want %t", c.a, c.b, got, c.same)
		}
	}
}

func TestAFilterIsTheAccountOrAServiceOrTeam(t *testing.T) {
	for text, want := range map[string]Wanted{
		"account":              {Kind: access.FilterAccount},
		"service:Payments API": {access.FilterService, "Payments API"},
		"service:a:b":          {access.FilterService, "a:b"},
		"team:id:PTEAM":        {access.FilterTeam, "id:PTEAM"},
		"":                     {}, "service": {}, "service:": {}, "team: ": {}, "team:id:": {}, "account:x": {}, "user:Kim": {}, "Payments API": {},
	} {
		got, err := ParseFilter(text)
		if got != want || (err == nil) != (want != Wanted{}) {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}
