// Package browser looks at the status page as people do: in Chromium, on a phone and on a desk, in daylight and at
// night. It is a module of its own, so that nobody who builds or installs pdhook meets the libraries that drive a browser.
package browser

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
