package listen

import (
	"os"
	"strings"
	"testing"
)

func TestTheChainThatWouldBeServedIsShown(t *testing.T) {
	files := newAuthority(t).files(t, serverCert)
	chain, err := files.Look()
	if err != nil || len(chain) == 0 || chain[0].IsCA {
		t.Fatalf("got %v, %v", chain, err)
	}
	if err := os.WriteFile(files.KeyFile, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Look(); err == nil || !strings.Contains(err.Error(), "do not form a pair") {
		t.Errorf("got %v", err)
	}
}
