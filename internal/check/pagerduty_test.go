package check

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

func TestWhatTheKeyIsGoodForIsToldWithThePageThatMendsIt(t *testing.T) {
	gone := &access.Failure{Class: access.Permanent, Err: access.ErrNotFound}
	bot := access.User{Name: "Bot", Email: "bot@example.com", Account: "acme"}
	may := []access.Right{{Doing: "read services"}, {Doing: access.WriteIncidents}}
	for _, c := range []struct {
		name string
		pd   account
		set  func(*PagerDuty)
		want []string
	}{
		{name: "all well", pd: account{user: bot, rights: may},
			want: []string{"✓ PagerDuty key: taken by https://api.pagerduty.com; 950 of 960", "✓ PagerDuty user: …Bot <bot@example.com>", "✓ PagerDuty account: acme", "✓ PagerDuty rights: may read services; a write was not refused"}},
		{name: "refused", pd: account{err: errMayNot, refused: true}, set: func(p *PagerDuty) { p.Account = "acme" },
			want: []string{"✗ PagerDuty key: https://api.pagerduty.com does not take the key in /key…https://acme.pagerduty.com/api_keys…api_endpoint = \"https://api.eu.pagerduty.com\""}},
		{name: "refused in the EU", pd: account{err: errMayNot, refused: true}, set: func(p *PagerDuty) { p.Endpoint = hostEU },
			want: []string{"✗ …https://SUBDOMAIN.eu.pagerduty.com/api_keys…api_endpoint = \"https://api.pagerduty.com\""}},
		{name: "may not read users", pd: account{err: errMayNot}, want: []string{"✗ …may not read users…make one that may"}},
		{name: "no PagerDuty", pd: account{err: &access.Failure{Class: access.Permanent, Err: errors.New("404 by a proxy")}}, want: []string{"✗ …404 by a proxy…correct pagerduty.api_endpoint"}},
		{name: "not reached", pd: account{err: errors.New("lookup")}, want: []string{"✗ …lookup…DNS"}},
		{name: "unknown user", pd: account{err: gone, rights: []access.Right{{Doing: "read services"}, {Doing: access.WriteIncidents, Err: errMayNot}}},
			want: []string{"✓", "✗ PagerDuty user: nobody…as bot@example.com…/users", "✓ PagerDuty rights: may read services"}},
		{name: "other account", pd: account{user: bot, rights: may}, set: func(p *PagerDuty) { p.Account = "globex" },
			want: []string{"✓", "✓", "✗ PagerDuty account: …belongs to account acme, and pagerduty.account is globex…account = \"acme\"", "✓"}},
		{name: "account not shown", pd: account{user: access.User{Name: "Bot"}, rights: may}, want: []string{"✓", "✓", "✓"}},
		{name: "account not shown to be compared", pd: account{user: access.User{Name: "Bot"}, rights: may}, set: func(p *PagerDuty) { p.Account = "acme" },
			want: []string{"✓", "✓", "! …not compared with acme", "✓"}},
		{name: "rights", pd: account{user: bot, rights: []access.Right{{Doing: "read services", Err: errMayNot}, {Doing: "read schedules", Err: errors.New("503")}}},
			want: []string{"✓", "✓", "✓", "✗ PagerDuty rights: the key may not read services", "! …may read schedules is not seen: 503"}},
		{name: "clock", pd: account{user: bot, rights: may, skew: -40 * time.Second}, want: []string{"✓", "✓", "✓", "✓", "! clock: …40s…NTP"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &PagerDuty{Client: c.pd, Endpoint: hostUS, Key: "/key", UserEmail: "bot@example.com", Skew: 30 * time.Second}
			if c.set != nil {
				c.set(p)
			}
			wants(t, p.look(t.Context()).findings, c.want...)
		})
	}
	wants(t, (&PagerDuty{Err: fmt.Errorf("no such file")}).look(t.Context()).findings, "✗ PagerDuty key: no such file")
}
