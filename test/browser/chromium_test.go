package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for something that has to happen. It is generous: a wait ends when its condition holds.
const patience = 90 * time.Second

// size is what somebody holds in his hand or sits before.
type size struct {
	name          string
	width, height int64
	scale         float64
	touch         bool
}

var (
	phone   = size{"phone", 390, 844, 2, true}
	desktop = size{"desktop", 1280, 800, 1, false}
	narrow  = size{"narrow", 320, 568, 2, true}
)

// tab is a page in a browser of its own. Whatever the browser complains of fails the test, unless it is expected.
type tab struct {
	t   testing.TB
	ctx context.Context

	listening  sync.Mutex
	complaints []string
}

// open starts Chromium with a new profile, which ends with the test.
func open(t testing.TB, s size, scheme string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("lang", "en-GB"), chromedp.Env("TZ=Europe/Berlin"))
	if os.Getuid() == 0 { // as in a container; the pages are our own
		options = append(options, chromedp.NoSandbox)
	}
	allocated, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocated)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		b.listening.Lock()
		defer b.listening.Unlock()
		if len(b.complaints) > 0 {
			t.Errorf("the browser complains: %s", strings.Join(b.complaints, "; "))
		}
	})
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("closing the browser: %v", err)
		}
	})
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatalf("starting Chromium (Debian: apt-get install chromium): %v", err)
	}
	call(b, cdplog.Enable, cdp.Empty{})
	b.looks(s, scheme)
	return b
}

// looks sets the size and the colour scheme.
func (b *tab) looks(s size, scheme string) {
	b.t.Helper()
	viewport := []chromedp.EmulateViewportOption{chromedp.EmulateScale(s.scale)}
	if s.touch {
		viewport = append(viewport, chromedp.EmulateTouch, chromedp.EmulateMobile)
	}
	b.do(chromedp.EmulateViewport(s.width, s.height, viewport...))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// listen notes errors, warnings and violations of the content security policy.
func (b *tab) listen(event any) {
	note := func(format string, args ...any) {
		b.listening.Lock()
		defer b.listening.Unlock()
		b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		note("%s: %s", e.ExceptionDetails.Text, e.ExceptionDetails.Exception.Description)
	case *runtime.EventConsoleAPICalled:
		note("console.%s", e.Type)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			note("%s (%s)", e.Entry.Text, e.Entry.URL)
		}
	}
}

// forgive forgets complaints that hold one of the texts: the test wanted them.
func (b *tab) forgive(texts ...string) {
	b.listening.Lock()
	defer b.listening.Unlock()
	var left []string
	for _, complaint := range b.complaints {
		expected := false
		for _, text := range texts {
			expected = expected || strings.Contains(complaint, text)
		}
		if !expected {
			left = append(left, complaint)
		}
	}
	b.complaints = left
}

// do runs steps that give nothing back.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, step := range steps {
		run(b, step)
	}
}

// run gives what an action gives.
func run[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	return run(b, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, params) })
}

// visit opens an address and waits until it has loaded.
func (b *tab) visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// eval gives the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](expression))
}

// eventually waits until an expression in the page is true.
func (b *tab) eventually(what, expression string) {
	b.t.Helper()
	b.until(what, func() bool { return eval[bool](b, "Boolean("+expression+")") })
}

// until waits for a condition outside the page.
func (b *tab) until(what string, condition func() bool) {
	b.t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			b.t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// text gives what the page says, white space being one space.
func (b *tab) text() string {
	b.t.Helper()
	return strings.Join(strings.Fields(eval[string](b, "document.body.innerText")), " ")
}

// says checks that the page says all of it.
func (b *tab) says(parts ...string) {
	b.t.Helper()
	text := b.text()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			b.t.Errorf("%q is missing in\n%s", part, text)
		}
	}
}
