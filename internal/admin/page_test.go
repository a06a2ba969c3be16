package admin

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pdhook/pdhook/internal/access"
)

// open is a service without a token that shows a board.
func open(b *shownBoard, change func(*Config)) http.Handler {
	return desk(func(c *Config) {
		c.Token = func() string { return "" }
		c.Board = b
		if change != nil {
			change(c)
		}
	})
}

// pending is a request that waits, with an open incident.
func pending(id, user string, d *access.Decision) Request {
	now := time.Now()
	return Request{ID: access.RequestID(id), User: user, Roles: []string{"payments-admin"}, State: access.Pending, Reason: "checkout fails",
		Created: now.Add(-10 * time.Minute), Expires: now.Add(time.Hour), Decision: d, URL: "https://teleport.example.com/web/requests/" + id,
		Incidents: []Incident{{ID: "Q1", Service: "Payments API", Status: access.Triggered, URL: "https://acme.pagerduty.com/incidents/Q1"}},
		NextLook:  now.Add(3 * time.Minute), NextLookWhy: access.CauseTimer}
}

func decision(v access.Verdict, sentence string, checks ...access.Check) *access.Decision {
	return &access.Decision{Verdict: v, Sentence: sentence, Checks: checks, Time: time.Now(), Cause: access.CauseCreated}
}

// spoken is what a reader of the page sees: its text without markup, white space being one space.
func spoken(body string) string {
	body = regexp.MustCompile(`</(p|d.|div|li|h.)>`).ReplaceAllString(body, " ")
	body = regexp.MustCompile(`(?s)<head>.*?</head>|<[^>]*>`).ReplaceAllString(body, "")
	return strings.Join(strings.Fields(html.UnescapeString(body)), " ")
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
}

func TestTheOverviewShowsWhatWaitsFirst(t *testing.T) {
	no := decision(access.No, "kim@example.com is not on call for Payments",
		access.Check{Name: "on call", Status: access.Failed, Sentence: "kim@example.com is not on call for Payments", Remedy: "put kim@example.com on call for Payments",
			Children: []access.Check{{Name: "service Payments", Status: access.Failed, Sentence: "kim@example.com is not on call for Payments"}}},
		access.Check{Name: "reviews", Status: access.Passed, Sentence: "nobody has denied the request"})
	no.Instead = "lee@example.com, who is on call"
	paged := pending("r1", "kim@example.com", no)
	unpaged := pending("r2", "dana@example.com", nil)
	unpaged.Incidents, unpaged.Unnotified, unpaged.Failing = nil, []string{"Ledger: nobody is on call on its whole policy"}, "creating incident: PagerDuty answered 400"
	done := pending("r0", "sam@example.com", nil)
	done.State, done.NextLook = access.Denied, time.Time{}
	done.Reviews = []access.Review{{Author: "lee@example.com", State: access.Denied, Time: time.Now()}}
	h := open(&shownBoard{open: []Request{paged, unpaged}, finished: []Request{done},
		deliveries: []Delivery{{ID: "e1", Type: "incident.resolved", Received: time.Now(), Finished: time.Now(), Outcome: "woke 1 request"},
			{ID: "e2", Type: "service.updated", Received: time.Now(), Malformed: true}}}, nil)
	w := get(h, "/", nil)
	body, text := w.Body.String(), spoken(w.Body.String())
	if w.Code != http.StatusOK || !strings.Contains(body, "<title>2 waiting · pdhook</title>") {
		t.Errorf("status %d, want 200 and a title that counts", w.Code)
	}
	wantIn(t, text, "2 requests are waiting",
		"kim@example.com", "asks for payments-admin", "checkout fails", "Not approved automatically: kim@example.com is not on call for Payments",
		"Approvable once put kim@example.com on call for Payments", "Who can decide lee@example.com, who is on call", "Time left until",
		"the regular look at everything that waits", "Why: 1 no, 1 yes", "On call", "service Payments", "Reviews", "Incident Q1", "on Payments API: triggered",
		"Not looked at yet", "No incident is open for it: nobody is paged.", "Ledger: nobody is on call on its whole policy", "it is tried again: creating incident: PagerDuty answered 400",
		"Denied by lee@example.com", "incident.resolved woke 1 request", "not understood", "Teleport", "Webhook subscription")
	if one, two, decided := strings.Index(body, `id="request-r2"`), strings.Index(body, `id="request-r1"`), strings.Index(body, `id="request-r0"`); one < 0 || one > two || two > decided {
		t.Errorf("order: unpaged at %d, paged at %d, decided at %d", one, two, decided)
	}
	for _, link := range []string{`href="/requests/r1"`, `href="https://acme.pagerduty.com/incidents/Q1" rel="noreferrer`, `href="https://teleport.example.com/web/requests/r1" rel="noreferrer`} {
		wantIn(t, body, link)
	}
	if n := strings.Count(text, "kim@example.com is not on call for Payments"); n != 2 {
		t.Errorf("the reason is told %d times, want it in the headline and once in the tree", n)
	}
}

func TestOneRequestIsShownInFull(t *testing.T) {
	r := pending("r/1", "kim@example.com", decision(access.CouldNotTell, "who is on call could not be read",
		access.Check{Name: "on call", Status: access.Unknown, Want: "escalation level at most 1", Saw: "level 2", Sentence: "who is on call could not be read"}))
	r.Reviews = []access.Review{{Author: "lee@example.com", State: access.Approved, Reason: "go ahead", Time: time.Now()}}
	r.Decision.Time = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)
	r.LastLook = r.Decision.Time.Add(40 * time.Minute) // and nothing had changed
	w := get(open(&shownBoard{open: []Request{r}}, nil), "/requests/r%2F1", nil)
	wantIn(t, w.Body.String(), "<title>could not tell: kim@example.com · pdhook</title>")
	wantIn(t, spoken(w.Body.String()), "All requests", "Could not be evaluated: who is on call could not be read", "wanted: escalation level at most 1", "seen: level 2",
		"lee@example.com", "go ahead", "pdhook explain r/1",
		"Judged so since 1 Mar 03:00 UTC, because of: request created; last look 1 Mar 03:40 UTC")
}

func TestARequestThatNobodyKnowsGetsAPageThatHelps(t *testing.T) {
	w := get(open(&shownBoard{}, nil), "/requests/r%3Cb%3E9", nil)
	if w.Code != http.StatusNotFound {
		t.Errorf("status = %d, want 404", w.Code)
	}
	wantIn(t, spoken(w.Body.String()), "pdhook knows no request r<b>9", "store.retention", "To the overview")
}

func TestNothingWaits(t *testing.T) {
	w := get(open(&shownBoard{}, nil), "/", nil)
	wantIn(t, w.Body.String(), "<title>Nothing waiting · pdhook</title>")
	wantIn(t, spoken(w.Body.String()), "No request is waiting", "Nobody waits for access")
}

func TestAStoreThatCannotBeReadIsToldAndNotTakenForNothingWaiting(t *testing.T) {
	w := get(open(&shownBoard{err: fmt.Errorf("reading open links: disk gone")}, nil), "/", nil)
	text := spoken(w.Body.String())
	wantIn(t, text, "What waits cannot be told", "reading open links: disk gone", "Connections")
	if strings.Contains(text, "Nobody waits") || strings.Contains(w.Body.String(), "<title>Nothing") {
		t.Errorf("the page says that nobody waits:\n%s", text)
	}
}

func TestThePageAsksForTheTokenAndDoesNotLeak(t *testing.T) {
	h := desk(func(c *Config) { c.Board = &shownBoard{open: []Request{pending("r1", "kim@example.com", nil)}} })
	for _, path := range []string{"/", "/requests/r1", "/requests/other"} {
		w := get(h, path, nil)
		if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s without a token: %d, %q, want 401 and a dialogue", path, w.Code, w.Header().Get("WWW-Authenticate"))
		}
		wantIn(t, spoken(w.Body.String()), "This page needs the token", "admin.token")
		if strings.Contains(w.Body.String(), "kim@") || strings.Contains(w.Body.String(), "sesame") {
			t.Errorf("%s tells too much: %s", path, w.Body)
		}
		if w := get(h, path, func(r *http.Request) { r.Header.Set(asksForNews, "1") }); w.Code != http.StatusUnauthorized || strings.Contains(w.Header().Get("WWW-Authenticate"), "Basic") {
			t.Errorf("%s for news: %d, %q, want 401 without a dialogue", path, w.Code, w.Header().Get("WWW-Authenticate"))
		}
		if w := get(h, path, func(r *http.Request) { r.SetBasicAuth("anybody", "sesame") }); w.Code == http.StatusUnauthorized {
			t.Errorf("%s with the token: 401", path)
		}
	}
}

func TestAPageThatDidNotChangeIsNotSentAgain(t *testing.T) {
	b := &shownBoard{open: []Request{pending("r1", "kim@example.com", nil)}}
	h := open(b, nil)
	again := func(etag string) (int, string, int) {
		w := get(h, "/", func(r *http.Request) { r.Header.Set("If-None-Match", etag) })
		return w.Code, w.Header().Get("ETag"), w.Body.Len()
	}
	_, etag, _ := again("")
	if code, same, n := again(etag); code != http.StatusNotModified || same != etag || n != 0 {
		t.Errorf("unchanged: %d, %s, %d bytes, want 304", code, same, n)
	}
	b.open[0].State = access.Approved
	for began := time.Now(); time.Since(began) < 30*time.Second; { // a page that took long is shown for a while
		if code, other, n := again(etag); code == http.StatusOK && other != etag && n > 0 {
			return
		}
	}
	t.Error("changed: 304 for 30 s, want 200")
}

func TestAnExpensivePageIsMadeAtMostAQuarterOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var page sharedPage
		made := 0
		shown := func() string {
			body, _ := page.get(func() ([]byte, error) {
				made++
				time.Sleep(2 * time.Second) // with 10,000 requests
				return fmt.Append(nil, made), nil
			})
			return string(body)
		}
		for range 50 {
			if got := shown(); got != "1" {
				t.Fatalf("got page %s, want the first one again", got)
			}
		}
		time.Sleep(6 * time.Second)
		if got := shown(); got != "2" {
			t.Errorf("got page %s after a while, want a new one", got)
		}
	})
}

func TestThePageProtectsItsReader(t *testing.T) {
	h := open(&shownBoard{}, nil)
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/requests/no": "text/html; charset=utf-8",
		"/page/page.css": "text/css; charset=utf-8", "/page/page.js": "text/javascript; charset=utf-8"} {
		w := get(h, path, nil)
		for name, want := range map[string]string{
			"Content-Type":            kind,
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"Referrer-Policy":         "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", path, name, got, want)
			}
		}
		for _, forbidden := range []string{" style=", " onclick=", "<script>", "<style", "http-equiv=\"Content"} {
			if kind == "text/html; charset=utf-8" && strings.Contains(w.Body.String(), forbidden) {
				t.Errorf("%s holds %q", path, forbidden)
			}
		}
	}
	if w := get(h, "/", nil); w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control = %q", w.Header().Get("Cache-Control"))
	}
	if w := get(h, "/page/page.go", nil); w.Code != http.StatusNotFound {
		t.Errorf("another file: %d, want 404", w.Code)
	}
}

func TestThePageLoadsItselfAnewWhereJavaScriptIsOff(t *testing.T) {
	body := get(open(&shownBoard{}, nil), "/", nil).Body.String()
	wantIn(t, body, `<noscript><meta http-equiv="refresh" content="15"></noscript>`, `<html lang="en"`)
}

func TestWhatOthersWroteStaysText(t *testing.T) {
	evil := "<script>alert(1)</script>\u202Eevil\u0000\n\x1b[31m" + strings.Repeat("A", 100_000)
	r := pending("r1", evil, decision(access.No, evil, access.Check{Name: evil, Status: access.Failed, Sentence: evil, Want: evil, Saw: evil, Remedy: evil}))
	r.Reason, r.ResolveReason, r.Failing, r.Unnotified, r.Decision.Instead, r.URL = evil, evil, evil, []string{evil}, evil, "javascript:alert(1)"
	r.Roles = nil
	for i := range 1000 {
		r.Roles = append(r.Roles, fmt.Sprint(evil, i))
	}
	r.Reviews = []access.Review{{Author: evil, State: access.State(evil), Reason: evil}}
	r.Incidents = []Incident{{ID: access.IncidentID(evil), Service: evil, Status: access.IncidentStatus(evil), URL: "data:text/html,x", AcknowledgedBy: []string{evil}}}
	h := open(&shownBoard{open: []Request{r}, deliveries: []Delivery{{Type: evil, Outcome: evil}}}, nil)
	for _, path := range []string{"/", "/requests/r1"} {
		body := get(h, path, nil).Body.String()
		if len(body) > 100_000 {
			t.Errorf("%s has %d bytes", path, len(body))
		}
		for _, bad := range []string{"<script>alert", "\u202E", "\x1b", "\x00", "javascript:", "data:text", "Zgotmpl", "Decide in Teleport", "new tab"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		wantIn(t, body, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;evil")
	}
	wantIn(t, spoken(get(h, "/", nil).Body.String()), "and 992 more")
}

func TestFiveHundredWaitingRequestsAreAllReachable(t *testing.T) {
	b := &shownBoard{}
	for i := range 500 {
		b.open = append(b.open, pending(fmt.Sprintf("r%d", i), "kim@example.com", decision(access.No, "kim@example.com is not on call", access.Check{Name: "on call", Status: access.Failed})))
	}
	began := time.Now()
	body := get(open(b, nil), "/", nil).Body.String()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("rendering took %s", took)
	}
	wantIn(t, body, "<title>500 waiting · pdhook</title>", `href="/requests/r499"`)
	wantIn(t, spoken(body), "And 475 more, newer")
	if n := strings.Count(body, "<article"); n != inFull {
		t.Errorf("%d requests in full, want %d", n, inFull)
	}
}

func TestThePageOfTenThousandWaitingRequestsStaysReadable(t *testing.T) {
	b := &shownBoard{}
	for i := range 10000 {
		b.open = append(b.open, pending(fmt.Sprintf("r%d", i), "kim@example.com", nil))
	}
	b.open[9999].Incidents = nil
	body := get(open(b, nil), "/", nil).Body.String()
	wantIn(t, spoken(body), "10000 requests are waiting", "No incident is open for it: nobody is paged.", "8975 more wait that are not shown: pdhook requests lists all of them.")
	if len(body) > 1<<20 {
		t.Errorf("the page has %d bytes", len(body))
	}
}

func TestProblemsOfTheServiceAreToldAboveAllElse(t *testing.T) {
	h := open(&shownBoard{}, func(c *Config) {
		c.Ready = func() []string { return []string{"store: disk full"} }
		c.Status = func() Status {
			return Status{DryRun: true, Teleport: Teleport{LastError: "identity has expired"}, PagerDuty: PagerDuty{LastError: "401 Unauthorized", RateLimitLimit: new(960), RateLimitRemaining: new(12)},
				Webhook: Webhook{Subscription: Subscription{Problem: "none of the 0 webhook subscriptions leads to /webhooks", LastLook: time.Now()}}, Queue: Queue{Failing: 2, OldestSeconds: 130}}
		}
	})
	text := spoken(get(h, "/", nil).Body.String())
	wantIn(t, text, "This is a dry run", "Teleport is not connected: identity has expired", "PagerDuty is not reachable: 401 Unauthorized", "Webhooks are not taken: store: disk full",
		"The webhook subscription needs somebody: none of the 0", "12 of 960 calls left", "Longest wait 2 min", "✗ none found")
	if strings.Index(text, "dry run") > strings.Index(text, "Nobody waits") {
		t.Error("problems come after the requests")
	}
}
