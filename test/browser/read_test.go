package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	danasCard = `[id="request-` + danasID + `"]`
	danasTree = danasCard + ` details`
)

// card is an expression for an element of dana's card.
func card(selector string) string {
	return fmt.Sprintf("document.querySelector(%q)", danasCard+" "+selector)
}

func TestAResponderFindsTheReasonAndTheWayBack(t *testing.T) {
	for _, s := range []size{phone, desktop} {
		t.Run(s.name, func(t *testing.T) {
			d := newDesk(t)
			d.aNight()
			b := open(t, s, "dark")
			press := func(selector string) {
				t.Helper()
				if s.touch {
					b.do(chromedp.Tap(chromedp.CSS(selector)))
				} else {
					b.do(chromedp.Click(chromedp.CSS(selector)))
				}
			}
			b.visit(d.server.URL)
			b.eventually("the page is live", live)
			if got := run(b, chromedp.Title()); got != "3 waiting · pdhook" {
				t.Errorf("title = %q", got)
			}
			b.says("3 requests are waiting", "Not approved automatically: dana@example.com is not on call for Payments API, next from", "in 2 h 40 min", "Who can decide kim@example.com",
				"No incident is open for it: nobody is paged.", "approved", "incident.acknowledged", "874 of 960 calls left")
			b.eventually("the checks are folded", "!"+card("details")+".open")
			press(danasTree + " summary")
			b.eventually("the checks are shown", card("details")+".open")
			b.says("service Ledger", "dana@example.com is not on call for Ledger")
			press(danasCard + " .second")
			b.eventually("the request has a page", `location.pathname === "/requests/`+danasID+`" && document.readyState === "complete"`)
			b.says("dana@example.com", "service Ledger", "Nobody has reviewed it.", danasID)
			press(".back")
			b.eventually("the overview is back", `location.pathname === "/" && document.readyState === "complete"`)
			b.says("3 requests are waiting")
		})
	}
}

func TestThePageIsWholeWithoutJavaScript(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, phone, "light")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit(d.server.URL)
	b.says("Refreshed every 15 seconds", "3 requests are waiting", "Not approved automatically", "UTC")
	b.do(chromedp.Tap(chromedp.CSS(danasTree + " summary")))
	b.eventually("the checks are shown", card("details")+".open")
	d.put(approved(dana(), "lee@example.com", 0))
	b.eventually("the page has come again by itself", `document.title === "2 waiting · pdhook"`)
}

func TestAnUnknownRequestHelpsOn(t *testing.T) {
	d := newDesk(t)
	b := open(t, phone, "light")
	b.visit(d.server.URL + "/requests/" + danasID)
	b.says("No such request here", danasID, "tctl requests ls")
	d.put(dana()) // the chat was faster than pdhook
	b.eventually("the request is shown as soon as it is known", `document.title.includes("dana@example.com")`)
	b.do(chromedp.Tap(chromedp.CSS(".back")))
	b.eventually("the overview is there", `location.pathname === "/" && document.readyState === "complete"`)
	b.forgive("404")
}
