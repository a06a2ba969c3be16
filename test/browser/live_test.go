package browser

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/pdhook/pdhook/internal/access"
)

// live is true once the page has asked for news and got an answer.
const live = `document.getElementById("live")?.dataset.live === "live"`

func TestThePageChangesInPlace(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, phone, "light")
	b.visit(d.server.URL)
	b.eventually("the page is live", live)
	eval[bool](b, "window.sameDocument = true")
	b.do(chromedp.Tap(chromedp.CSS(danasTree + " summary")))
	eval[bool](b, card("details")+".scrollIntoView(), "+card("summary")+".focus() || true")
	place := eval[float64](b, card("details")+".getBoundingClientRect().top")

	unmoved := func(what string) {
		t.Helper()
		b.eventually("the checks stay open after "+what, card("details")+"?.open")
		b.eventually("the focus stays after "+what, "document.activeElement === "+card("summary"))
		if now := eval[float64](b, card("details")+".getBoundingClientRect().top"); now < place-2 || now > place+2 {
			t.Errorf("after %s: what the reader looks at moved from %.0f to %.0f", what, place, now)
		}
		if !eval[bool](b, "window.sameDocument === true") {
			t.Errorf("the page was loaded anew after %s", what)
		}
	}
	b.until("an unchanged page is not sent again", func() bool {
		all := d.answered("/")
		return all[len(all)-1] == 304
	})
	d.put(waiting("0195a6c9-new", "zoe@example.com", "payments-admin", "also needs it", 0))
	b.eventually("a new request appears", `document.title === "4 waiting · pdhook"`)
	unmoved("a new request")
	b.eventually("a screen reader hears of it", `document.getElementById("news").textContent === "4 requests are waiting"`)

	d.put(approved(lee(), "kim@example.com", 0)) // its card is above
	b.eventually("the approved request goes to the others", `document.querySelector("#decided [id='request-`+leesID+`']")`)
	unmoved("an approval")
	b.says("3 requests are waiting", "Approved by kim@example.com")

	r := dana()
	r.Incidents[0].Status, r.Incidents[0].AcknowledgedBy = access.Acknowledged, []string{"Dana", "Kim"}
	d.put(r)
	b.eventually("the incident is current", card(".incidents")+`.innerText.includes("acknowledged by Dana, Kim")`)
	unmoved("an acknowledgement")

	d.put(approved(dana(), "lee@example.com", 0))
	b.eventually("the focus goes with its request", `document.activeElement.closest("#decided [id='request-`+danasID+`']")`)
}

func TestALostConnectionIsToldAndMended(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, desktop, "dark")
	b.visit(d.server.URL)
	b.eventually("the page is live", live)
	d.down.Store(true)
	b.eventually("the loss is told", `document.getElementById("lost").checkVisibility()`)
	b.says("No connection to pdhook. What you see is from", "Not live", "3 requests are waiting")
	d.put(approved(dana(), "lee@example.com", 0))
	d.down.Store(false)
	b.eventually("the page is live again", live)
	b.eventually("the banner is gone", `!document.getElementById("lost").checkVisibility()`)
	b.says("2 requests are waiting")
	b.forgive("ERR_EMPTY_RESPONSE", "ERR_CONNECTION", "Failed to load resource: net::")
}

func TestATokenThatIsRefusedMeanwhileIsTold(t *testing.T) {
	d := newDesk(t)
	d.change(func() { d.token = "sesame" })
	b := open(t, desktop, "light")
	b.visit(strings.Replace(d.server.URL, "://", "://anybody:sesame@", 1))
	b.eventually("the page is live", live)
	d.change(func() { d.token = "changed" })
	b.eventually("the refusal is told", `document.getElementById("lost").checkVisibility()`)
	b.says("pdhook refuses the token now: reload the page to give the new one.")
	b.visit(strings.Replace(d.server.URL, "://", "://anybody:changed@", 1))
	b.eventually("the page is live again", live)
	b.forgive("401")
}

func TestAClockThatIsWrongMisleadsNobody(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, phone, "light")
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `{ const right = Date.now; Date.now = () => right() + 5 * 3600 * 1000 }`})
	b.visit(d.server.URL)
	b.eventually("the page is live", live)
	for _, shown := range []struct{ what, want string }{{".ask time", `^1\d min ago$`}, {"time[data-as=left]", `^4\d min \(until `}} {
		if got := eval[string](b, card(shown.what)+".textContent"); !regexp.MustCompile(shown.want).MatchString(got) {
			t.Errorf("%s: got %q, want %q", shown.what, got, shown.want)
		}
	}
}

func TestAHiddenTabAsksNothing(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	hidden, witness := open(t, phone, "light"), open(t, desktop, "light")
	hidden.visit(d.server.URL + "/requests/" + danasID)
	hidden.eventually("the page is live", live)
	hide := func(is string) {
		eval[bool](hidden, `Object.defineProperty(document, "hidden", {configurable: true, get: () => `+is+`}), document.dispatchEvent(new Event("visibilitychange"))`)
	}
	d.gate.Lock()
	hidden.until("a question is on its way", func() bool { return d.behind.Load() > 0 })
	hide("true")
	d.gate.Unlock()
	hidden.eventually("it says so", `document.getElementById("live").textContent === "Paused"`)
	witness.visit(d.server.URL)
	before := len(d.answered("/requests/" + danasID))
	witness.until("another tab has asked several times", func() bool { return len(d.answered("/")) > 4 })
	if got := eval[string](hidden, `document.getElementById("live").textContent`); got != "Paused" {
		t.Errorf("a hidden tab says %q", got)
	}
	if after := len(d.answered("/requests/" + danasID)); after > before+1 { // the one that was on its way
		t.Errorf("a hidden tab asked %d times", after-before)
	}
	hide("false")
	hidden.eventually("it is live at once when looked at", live)
}
