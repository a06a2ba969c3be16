package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWhatIsRightIsShownBesideMistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pdhook.toml")
	text := "[teleport]\naddr = \"https://tp\"\nidentity = \"testdata/identity\"\n[pagerduty]\napi_key = \"inline-api-key\"\nuser_email = \"me@example.com\"\n" +
		"[webhook]\nlisen = \":1\"\nsecrets = [\"inline-webhook-secret\"]\ninsecure_http = true\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := Examine(path, nil)
	if _, err := Load(path, nil); err == nil || err.Error() != e.Mistakes.Error() || len(e.Mistakes) != 2 {
		t.Errorf("got the mistakes %v, and from Load %v", e.Mistakes, err)
	}
	sound := []string{"pagerduty", "webhook", "policy", "store", "admin", "log"}
	for _, section := range append(sound, "teleport") {
		if e.Sound(section) != slices.Contains(sound, section) {
			t.Errorf("[%s] sound: got %v", section, e.Sound(section))
		}
	}
	if e.Config == nil || e.Config.PagerDuty.UserEmail != "me@example.com" {
		t.Errorf("got %+v", e.Config)
	}
	if e = Examine("/nowhere.toml", nil); e.Config != nil || len(e.Mistakes) != 1 || e.Sound("store") {
		t.Errorf("got %+v for a file that is not there", e)
	}
}
