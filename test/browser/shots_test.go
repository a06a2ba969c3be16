package browser

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestScreenshots takes pictures of the page for people to look at: go test -run Screenshots -artifacts -outputdir DIR
func TestScreenshots(t *testing.T) {
	night := newDesk(t)
	night.aNight()
	quiet := newDesk(t)
	b := open(t, desktop, "light")
	for _, s := range []size{phone, desktop} {
		for _, scheme := range []string{"light", "dark"} {
			b.looks(s, scheme)
			for name, url := range map[string]string{
				"overview": night.server.URL, "request": night.server.URL + "/requests/" + danasID,
				"empty": quiet.server.URL, "missing": night.server.URL + "/requests/nobody",
			} {
				b.visit(url)
				b.eventually("the page is live", live)
				if name == "overview" && s == desktop {
					eval[bool](b, `document.querySelectorAll("details")[1].open = true`)
				}
				picture := run(b, chromedp.FullScreenshot(100))
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+"-"+s.name+"-"+scheme+".png"), picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	b.forgive("404")
}
