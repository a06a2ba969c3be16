package browser

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds every wait for something that has to happen. It is generous: a wait ends when its condition holds.
const patience = 40 * time.Second

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

	mu         sync.Mutex
	complaints []string
}

// open starts Chromium. Its profile is new.
func open(t testing.TB, s size, scheme string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("lang", "en-GB"), chromedp.Env("TZ=Europe/Berlin"), chromedp.WSURLReadTimeout(patience))
	if os.Getuid() == 0 { // as in a container; the pages are our own
		options = append(options, chromedp.NoSandbox)
	}
	allocated, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, b.listen)
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.complaints) > 0 {
			t.Errorf("the browser complains: %s", strings.Join(b.complaints, "; "))
		}
	})
	b.do(cdplog.Enable(), b.looks(s, scheme))
	return b
}

// looks sets the size and the colour scheme.
func (b *tab) looks(s size, scheme string) chromedp.Action {
	return chromedp.Tasks{
		emulation.SetDeviceMetricsOverride(s.width, s.height, s.scale, s.touch),
		emulation.SetTouchEmulationEnabled(s.touch),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
	}
}

// listen notes errors, warnings and violations of the content security policy.
func (b *tab) listen(event any) {
	note := func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, fmt.Sprintf(format, args...))
	}
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		note("%s", e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		note("console.%s", e.Type)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError || e.Entry.Level == cdplog.LevelWarning {
			note("%s (%s)", e.Entry.Text, e.Entry.URL)
		}
	}
}

// forgive forgets complaints that hold one of the texts: the test wanted them.
func (b *tab) forgive(texts ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
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

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	done := make(chan error, 1)
	go func() { done <- chromedp.Run(b.ctx, actions...) }()
	select {
	case err := <-done:
		if err != nil {
			b.t.Fatal(err)
		}
	case <-time.After(patience):
		b.t.Fatalf("the browser does not get done within %s", patience)
	}
}

// visit opens an address and waits until it has loaded.
func (b *tab) visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// eval gives the value of an expression in the page.
func eval[T any](b *tab, expression string) (value T) {
	b.t.Helper()
	b.do(chromedp.Evaluate(expression, &value))
	return value
}

// eventually waits until an expression in the page is true.
func (b *tab) eventually(what, expression string) {
	b.t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !eval[bool](b, "Boolean("+expression+")") {
		select {
		case <-ticker.C:
		case <-deadline:
			b.t.Fatalf("waited %s in vain until %s; the page says:\n%s", patience, what, eval[string](b, "document.body.innerText"))
		}
	}
}
