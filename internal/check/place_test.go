package check

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatTheRunningServiceSaysIsTold(t *testing.T) {
	a := &Admin{Listen: "127.0.0.1:8082"}
	for _, c := range []struct {
		name string
		r    Running
		want []string
	}{
		{"none", Running{}, []string{"✓ running service: none at 127.0.0.1:8082"}},
		{"well", Running{Up: true, Version: "v1"}, []string{"✓ running service: pdhook v1"}},
		{"not ready, and in trouble", Running{Up: true, Reasons: []string{"no secret", "full"}, Trouble: []string{"Teleport: away"}},
			[]string{"✗ …no secret; full…by itself", "✗ …Teleport: away…SIGHUP"}},
		{"another token", Running{Up: true, Err: errors.New("asks for another token")}, []string{"✗ …another token…admin.token…another program"}},
	} {
		t.Run(c.name, func(t *testing.T) { wants(t, a.service(c.r), c.want...) })
	}
}

func TestAPortIsFreeOrServedByTheRunningService(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := listener.Addr().String()
	wants(t, port(t.Context(), "webhook.listen", taken, Running{Up: true}), "✓ webhook.listen: "+taken+" is in use, as pdhook runs")
	wants(t, port(t.Context(), "webhook.listen", taken, Running{}), "✗ webhook.listen: "+taken+" is in use by another program…ss -ltnp")
	wants(t, port(t.Context(), "webhook.listen", taken, Running{Unasked: true}), "! webhook.listen: "+taken+" is in use: by pdhook where it runs")
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	wants(t, port(t.Context(), "webhook.listen", "127.0.0.1:0", Running{}), "✓ webhook.listen: 127.0.0.1:0 is free")
	wants(t, port(t.Context(), "webhook.listen", "127.0.0.1:0", Running{Up: true}), "! …does not listen on 127.0.0.1:0")
	wants(t, port(t.Context(), "admin.listen", "192.0.2.1:80", Running{}), "✗ …set admin.listen to an address of this machine")
}

func TestTheStoreIsSharedOnlyWithTheRunningService(t *testing.T) {
	s := &Store{Path: "/store", Look: func(shared bool) (Place, error) {
		if !shared {
			return Place{}, errors.New("another pdhook runs on /store")
		}
		return Place{Free: 20 << 30, Need: 65 << 20}, nil
	}}
	wants(t, []Finding{s.check(false), s.check(true)}, "✗ store: another pdhook", "✓ store: /store is writable; 20 GiB free, 65 MiB are needed")
	seen := Config{Store: s}.look(t.Context()) // pdhook may run: mistakes in [admin] keep it from being asked
	wants(t, seen.findings, "! webhook: not checked", "✓ store: /store is writable", "! running service: not checked: [admin]")
}

func TestALogThatCannotBeWrittenIsFoundBeforeTheStart(t *testing.T) {
	dir := t.TempDir()
	later, there := filepath.Join(dir, "later.log"), filepath.Join(dir, "there.log")
	if err := os.WriteFile(there, []byte("line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, logFile(later), "✓ log.output: "+later+" is writable")
	wants(t, logFile(there), "✓ log.output: "+there+" is writable")
	wants(t, logFile(filepath.Join(dir, "no", "a.log")), "✗ log.output: "+dir+"/no/a.log cannot be written: …no such file…create its folder")
	wants(t, logFile(dir), "✗ log.output: "+dir+" cannot be written: …is a directory")
	wants(t, logFile(""))
	left, err := os.ReadDir(dir)
	if content, readErr := os.ReadFile(there); err != nil || readErr != nil || len(left) != 1 || string(content) != "line\n" {
		t.Errorf("got %v, %q, %v and %v, want the log that was there as it was, and nothing else", left, content, err, readErr)
	}
}

func TestASecretThatEveryUserCanReadIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for mode, want := range map[os.FileMode][]string{0o600: {}, 0o640: {}, 0o644: {"! files: pagerduty.api_key: …" + path + "…chmod o-rwx"}} {
		if err := errors.Join(os.WriteFile(path, nil, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		wants(t, fileModes([]SecretFile{{"pagerduty.api_key", path}, {"admin.token", "/nowhere"}}), want...)
	}
}

func TestWithoutAConfigurationNothingElseIsChecked(t *testing.T) {
	wants(t, Config{File: "f", Mistakes: []error{errors.New("line 3")}}.configuration(), "✗ configuration: line 3", "! configuration: nothing else is checked")
	wants(t, Config{File: "f", Mistakes: []error{errors.New("line 3")}, Store: &Store{}}.configuration(), "✗ configuration: line 3")
	wants(t, Config{}.configuration(), "✓ configuration: the variables alone: no mistakes")
	wants(t, Run(t.Context(), Config{File: "f", Mistakes: []error{os.ErrPermission}}), "✗ …let the user that runs pdhook read it", "! …nothing else is checked")
}
