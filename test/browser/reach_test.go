package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/pdhook/pdhook/internal/access"
)

// crowded is a night with a request whose every text is as long and as unfriendly as others can make it.
func crowded(t *testing.T) *desk {
	d := newDesk(t)
	d.aNight()
	long := strings.Repeat("extraordinarily-long-name-without-any-blank", 30)
	r := dana()
	r.ID, r.User, r.Reason, r.Roles = "hostile", "‮"+long, "<script>alert(1)</script> "+strings.Repeat("مرحبا ", 200)+long, []string{long, long, "x", "مرحبا"}
	r.Incidents[0].Service, r.Failing = long, long
	r.Decision.Sentence = long
	r.Decision.Checks = append(r.Decision.Checks, access.Check{Name: long, Status: access.Failed, Sentence: long, Saw: long, Remedy: long})
	d.put(r)
	d.change(func() { d.deliveries[0].Type, d.deliveries[0].Outcome = long, long })
	return d
}

func TestNothingHasToBeScrolledSideways(t *testing.T) {
	d := crowded(t)
	b := open(t, narrow, "light")
	for _, s := range []size{narrow, phone, desktop} {
		b.looks(s, "light")
		for _, path := range []string{"/", "/requests/hostile", "/requests/" + danasID} {
			for _, letters := range []string{"100%", "200%"} {
				b.visit(d.server.URL + path)
				b.eventually("the page is live", live)
				eval[string](b, `document.documentElement.style.fontSize = "`+letters+`"`)
				eval[bool](b, `document.querySelectorAll("details").forEach((d) => d.open = true) || true`)
				if over := eval[string](b, `document.documentElement.scrollWidth <= innerWidth ? "" :
					[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.localName + "." + e.className).slice(0, 5).join(", ")
					+ " (" + document.documentElement.scrollWidth + " of " + innerWidth + ")"`); over != "" {
					t.Errorf("%s, %s, letters of %s: wider than the screen: %s", s.name, path, letters, over)
				}
			}
		}
	}
}

func TestAThumbHitsEveryTarget(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, phone, "light")
	for _, path := range []string{"/", "/requests/" + danasID} {
		b.visit(d.server.URL + path)
		b.eventually("the page is live", live)
		if small := eval[string](b, `[...document.querySelectorAll("a, summary, button")].filter((e) => !e.matches(".skip"))
			.filter((e) => e.getBoundingClientRect().height < 44).map((e) => e.innerText + " " + e.getBoundingClientRect().height).join("; ")`); small != "" {
			t.Errorf("%s: less than 44 pixels high: %s", path, small)
		}
	}
}

// contrast lists texts that are hard to read: less than 4.5 to 1 against what is behind them.
const contrast = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
	const light = (c) => { const [r, g, b] = [...c].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 255) return c; } return [255, 255, 255]; };
	const poor = [];
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim()) || !e.checkVisibility()) continue;
		const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))];
		const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (ratio < 4.5) poor.push(e.localName + "." + e.className + " " + e.textContent.trim().slice(0, 30) + ": " + ratio.toFixed(2));
	}
	return poor.join("; ");
})()`

func TestEveryTextStandsOutByDayAndByNight(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, desktop, "light")
	for _, scheme := range []string{"light", "dark"} {
		b.looks(desktop, scheme)
		for _, path := range []string{"/", "/requests/" + danasID, "/requests/" + samsID} {
			b.visit(d.server.URL + path)
			b.eventually("the page is live", live)
			eval[bool](b, `document.querySelectorAll("details").forEach((d) => d.open = true) || true`)
			if poor := eval[string](b, contrast); poor != "" {
				t.Errorf("%s, %s: %s", scheme, path, poor)
			}
		}
	}
}

func TestTheKeyboardReachesEverything(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, desktop, "light")
	b.visit(d.server.URL)
	b.eventually("the page is live", live)
	b.do(chromedp.KeyEvent(kb.Tab))
	if got := eval[string](b, "document.activeElement.innerText"); got != "Skip to the content" {
		t.Errorf("the first stop is %q, want the skip link", got)
	}
	if top := eval[float64](b, "document.activeElement.getBoundingClientRect().top"); top < 0 {
		t.Errorf("the skip link is out of sight while it has the focus")
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.eventually("the content has the focus", `document.activeElement.id === "main"`)
	reached := map[string]bool{}
	for range 200 {
		b.do(chromedp.KeyEvent(kb.Tab))
		stop := eval[string](b, `document.activeElement === document.body ? "" : document.activeElement.innerText`)
		if stop == "" {
			break
		}
		reached[stop] = true
		if width := eval[string](b, "getComputedStyle(document.activeElement).outlineWidth"); width != "3px" {
			t.Errorf("%q does not show the focus: outline %s", stop, width)
		}
		if strings.HasPrefix(stop, "Why: 1 no") { // open dana's tree as a keyboard does
			b.do(chromedp.KeyEvent(kb.Enter))
			b.eventually("the checks are shown", card("details")+".open")
		}
	}
	for _, want := range []string{"dana@example.com", "lee@example.com", "requests", "webhooks"} {
		if !reached[want] {
			t.Errorf("the keyboard does not reach %q", want)
		}
	}
	if !eval[bool](b, card("details")+".open") {
		t.Error("the keyboard does not open the checks")
	}
}

func TestAScreenReaderHearsAnOrderlyPage(t *testing.T) {
	d := newDesk(t)
	d.aNight()
	b := open(t, phone, "light")
	for _, path := range []string{"/", "/requests/" + danasID, "/requests/nobody"} {
		b.visit(d.server.URL + path)
		b.eventually("the page is live", live)
		seen := map[string][]string{}
		level := 0.0
		for _, n := range call(b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
			if n.Ignored || n.Role == nil {
				continue
			}
			role, name := word(n.Role), word(n.Name)
			seen[role] = append(seen[role], name)
			switch role {
			case "link", "button", "heading", "article", "region", "image", "meter", "DisclosureTriangle":
				if strings.TrimSpace(name) == "" && role != "image" {
					t.Errorf("%s: a %s without a name", path, role)
				}
			}
			for _, p := range n.Properties {
				if role == "heading" && p.Name == "level" {
					var now float64
					if _, err := fmt.Sscan(string(p.Value.Value), &now); err != nil {
						t.Fatal(err)
					}
					if now > level+1 {
						t.Errorf("%s: heading %q jumps from level %v to %v", path, name, level, now)
					}
					level = now
				}
			}
		}
		for role, n := range map[string]int{"banner": 1, "main": 1, "contentinfo": 1} {
			if len(seen[role]) != n {
				t.Errorf("%s: %d of role %s, want %d", path, len(seen[role]), role, n)
			}
		}
		if len(seen["status"]) == 0 {
			t.Errorf("%s: no status that tells of changes", path)
		}
		if path == "/" {
			for role, want := range map[string]string{"heading": "3 requests are waiting", "article": "dana@example.com", "region": "Webhooks from PagerDuty", "meter": "Rate limit: calls left", "DisclosureTriangle": "Why: 1 no, 5 yes"} {
				if !strings.Contains(strings.Join(seen[role], "|"), want) {
					t.Errorf("no %s %q among %q", role, want, seen[role])
				}
			}
		}
	}
	b.forgive("404")
}

// word is the text of a value in the accessibility tree.
func word(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `"`)
}
