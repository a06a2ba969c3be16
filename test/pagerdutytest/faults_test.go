package pagerdutytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func (w *world) post(key string) (*http.Response, error) {
	body := fmt.Sprintf(`{"incident":{"type":"incident","title":"t","incident_key":%q,"service":{"id":%q,"type":"service_reference"}}}`, key, w.payments.ID)
	resp, err := w.http.Do(w.request(w.t.Context(), "POST", "/incidents", body))
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

func TestFaultHitsItsRouteSoManyTimes(t *testing.T) {
	w := newWorld(t, Options{})
	w.Fault(Fault{Kind: Status, Status: 503, Route: "GET /users", Times: 2})
	got := []int{
		w.get("/services").StatusCode, w.get("/users").StatusCode, w.get("/users").StatusCode, w.get("/users").StatusCode,
	}
	if fmt.Sprint(got) != "[200 503 503 200]" {
		t.Errorf("statuses: got %v, want [200 503 503 200]", got)
	}
}

func TestFaultEndsByTheClockOrWhenCleared(t *testing.T) {
	w := newWorld(t, Options{})
	w.Fault(Fault{Kind: Status, Status: 500, Until: w.clock.Now().Add(time.Minute)})
	if got := w.get("/users").StatusCode; got != 500 {
		t.Errorf("before: got %d, want 500", got)
	}
	w.clock.Advance(2 * time.Minute)
	if got := w.get("/users").StatusCode; got != 200 {
		t.Errorf("after: got %d, want 200", got)
	}
	w.Fault(Fault{Kind: Status, Status: 500})
	w.ClearFaults()
	if got := w.get("/users").StatusCode; got != 200 {
		t.Errorf("cleared: got %d, want 200", got)
	}
}

func TestTooManyRequestsComesWithAndWithoutHeaders(t *testing.T) {
	w := newWorld(t, Options{})
	w.Fault(Fault{Kind: Status, Status: 429, Times: 1})
	if got := w.get("/users"); got.Header.Get("ratelimit-limit") == "" || !strings.Contains(got.text, "2020") {
		t.Errorf("got %v %q, want headers and code 2020", got.Header, got.text)
	}
	w.Fault(Fault{Kind: Status, Status: 429, Bare: true, Times: 1})
	if got := w.get("/users"); got.Header.Get("ratelimit-limit") != "" || got.text != "" {
		t.Errorf("bare: got %v %q, want neither headers nor body", got.Header, got.text)
	}
}

func TestWriteFailsBeforeOrAfterItIsPerformed(t *testing.T) {
	for _, row := range []struct {
		kind      FaultKind
		performed int
		status    int // 0: no answer
	}{
		{ResetBefore, 0, 0}, {ResetAfter, 1, 0}, {Status, 0, 504}, {StatusAfter, 1, 504},
	} {
		w := newWorld(t, Options{})
		w.Fault(Fault{Kind: row.kind, Status: 504, Route: "POST /incidents"})
		resp, err := w.post("k")
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		if performed := len(w.IncidentsByKey("k")); performed != row.performed || status != row.status {
			t.Errorf("kind %d: got %d incidents and status %d (%v), want %d and %d", row.kind, performed, status, err, row.performed, row.status)
		}
	}
}

func TestHangingRequestGoesOnWhenFaultsAreCleared(t *testing.T) {
	for _, kind := range []FaultKind{Hang, HangAfter} {
		w := newWorld(t, Options{})
		w.Fault(Fault{Kind: kind, Route: "POST /incidents"})
		answered := make(chan error, 1)
		go func() {
			_, err := w.post("k")
			answered <- err
		}()
		if err := w.WaitUntil(patience, func() bool { return w.CountRequests("POST /incidents") == 1 }); err != nil {
			t.Fatal(err)
		}
		if kind == HangAfter {
			if err := w.WaitUntil(patience, func() bool { return len(w.IncidentsByKey("k")) == 1 }); err != nil {
				t.Error("the incident is not there while the answer hangs")
			}
		}
		w.ClearFaults()
		if err := <-answered; err != nil {
			t.Errorf("kind %d: got %v, want an answer", kind, err)
		}
		if got := len(w.IncidentsByKey("k")); got != 1 {
			t.Errorf("kind %d: got %d incidents, want 1", kind, got)
		}
	}
}

func TestCallerWhoLeavesADelayedRequestHasNothingPerformed(t *testing.T) {
	w := newWorld(t, Options{})
	w.Fault(Fault{Kind: Delay, Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.http.Do(w.request(ctx, "POST", "/incidents", `{}`)); err == nil {
		t.Error("got an answer, want the caller's own time-out")
	}
	w.Close()
	if got := len(w.Incidents()); got != 0 {
		t.Errorf("got %d incidents, want none", got)
	}
}

func TestAnswersThatLie(t *testing.T) {
	w := newWorld(t, Options{})
	ask := func(f Fault, path string) reply {
		w.Fault(f)
		defer w.ClearFaults()
		return w.get(path)
	}
	if got := ask(Fault{Kind: EmptyObject}, "/oncalls"); got.text != "{}" || got.StatusCode != 200 {
		t.Errorf("empty: got %d %q", got.StatusCode, got.text)
	}
	if got := ask(Fault{Kind: HTML}, "/oncalls"); !strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") || got.StatusCode != 200 {
		t.Errorf("HTML: got %d %q", got.StatusCode, got.Header.Get("Content-Type"))
	}
	if got := ask(Fault{Kind: IgnoreFilters}, "/oncalls?user_ids[]=PNONE"); !strings.Contains(got.text, w.bob.ID) {
		t.Errorf("ignored filters: got %q, want everybody", got.text)
	}
	if got := ask(Fault{Kind: LosePage}, "/users?limit=2&offset=2").json(t); got["users"] != nil || got["offset"] != 2.0 {
		t.Errorf("lost page: got %v, want no list", got)
	}
	if got := ask(Fault{Kind: WrongDate, Skew: time.Hour}, "/users").Header.Get("Date"); got != "Mon, 02 Mar 2026 04:00:00 GMT" {
		t.Errorf("date: got %s, want an hour ahead", got)
	}
	if got := ask(Fault{Kind: DropRateLimitHeaders}, "/users").Header.Get("ratelimit-limit"); got != "" {
		t.Errorf("ratelimit-limit: got %q, want none", got)
	}
	w.Acknowledge(w.create("k").ID, w.alice.ID)
	if got := ask(Fault{Kind: OddLogEntries}, "/incidents/1/log_entries").text; !strings.Contains(got, `"type":null`) || !strings.Contains(got, "acknowledgement_log_entry") {
		t.Errorf("log entries: got %s, want odd ones", got)
	}
}
