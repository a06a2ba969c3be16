package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
)

// answering gives the address of a service that knows the requests and asks for the token "sesame".
func answering(t *testing.T, waiting, finished []admin.Request) string {
	t.Helper()
	mux := http.NewServeMux()
	give := func(w http.ResponseWriter, status int, body any) {
		w.WriteHeader(status)
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(body)
	}
	mux.HandleFunc("GET /api/v1/requests", func(w http.ResponseWriter, r *http.Request) {
		list := append([]admin.Request{}, waiting...)
		if r.URL.Query().Get("all") == "true" {
			list = append(list, finished...)
		}
		give(w, http.StatusOK, map[string]any{"requests": list})
	})
	mux.HandleFunc("GET /api/v1/requests/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, known := range append(append([]admin.Request{}, waiting...), finished...) {
			if string(known.ID) == r.PathValue("id") {
				give(w, http.StatusOK, known)
				return
			}
		}
		give(w, http.StatusNotFound, nil)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer sesame" {
			give(w, http.StatusUnauthorized, nil)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("PDHOOK_ADMIN_TOKEN", "sesame")
	return server.Listener.Addr().String()
}

// pdhook runs a command.
func pdhook(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func asked(id access.RequestID, user string, state access.State) admin.Request {
	return admin.Request{ID: id, User: user, Roles: []string{"db-admin", "dev"}, State: state, Incidents: []admin.Incident{{ID: "Q1"}, {ID: "Q2"}},
		Created: time.Now().Add(-4 * time.Minute), Decision: &access.Decision{Verdict: access.No, Sentence: "not on call", Time: time.Now()}}
}

const first, second, third = "0195523d-6d2a-7e1c-9f57-2f8a8c1d4b10", "0195523d-6d2b-7e1c-9f57-000000000000", "01f00000-0000-7e1c-9f57-000000000000"

func TestExplainFindsARequestByWhatPeopleHaveAtHand(t *testing.T) {
	addr := answering(t, []admin.Request{asked(first, "kim", access.Pending), asked(second, "lee", access.Pending)}, []admin.Request{asked(third, "sam", access.Denied)})
	for _, tt := range []struct {
		given string
		want  string // user; or what is said of it
		code  int
	}{
		{first, "kim", 0},
		{strings.ToUpper(first), "kim", 0},
		{"0195523d-6d2a", "kim", 0},
		{"01f00000", "sam", 0},
		{"https://teleport.example.com/web/requests/" + second, "lee", 0},
		{"teleport-access-request/" + second, "lee", 0},
		{"0195523d-6d", "2 requests begin with 0195523d-6d: give more of the ID, such as " + first + " (kim) or " + second + " (lee)", 1},
		{"01f0000", `pdhook knows no request 01f0000: "pdhook requests --all" lists those that it knows, and one whose role names nothing`, 1},
		{"99999999", "pdhook knows no request 99999999", 1},
		{"\x1b[31m/", "pdhook knows no request [31m/:", 1},
	} {
		code, out, errs := pdhook(t, "explain", "--addr", addr, tt.given)
		if code != tt.code || !strings.Contains(out+errs, tt.want) || (code == 0) != (errs == "") || (code == 1) != (out == "") {
			t.Errorf("explain %q: got %d\n%s%s\nwant %d and %q", tt.given, code, out, errs, tt.code, tt.want)
		}
	}
}

func TestRequestsAreListedWithWhatCounts(t *testing.T) {
	addr := answering(t, []admin.Request{asked(first, "kim@example.com", access.Pending)}, []admin.Request{asked(second, "lee", access.Approved)})
	const head, row = "REQUEST                               USER             ROLES         STATE    INCIDENTS  AGE    VERDICT\n",
		first + "  kim@example.com  db-admin,dev  pending  Q1,Q2      4 min  Not approved automatically\n"
	if code, out, errs := pdhook(t, "requests", "--addr", addr); code != 0 || out != head+row || errs != "" {
		t.Errorf("got %d\n%s%s\nwant\n%s", code, out, errs, head+row)
	}
	if code, out, _ := pdhook(t, "requests", "--all", "--addr", addr); code != 0 || strings.Count(out, "\n") != 3 || !strings.Contains(out, "lee") {
		t.Errorf("--all: got %d\n%s", code, out)
	}
}

func TestAListWithoutRequestsSaysSo(t *testing.T) {
	addr := answering(t, nil, nil)
	for _, tt := range []struct {
		args        []string
		out, stderr string
	}{
		{nil, "", "No access request waits; \"pdhook requests --all\" shows those that were decided lately.\n"},
		{[]string{"--all"}, "", "No access request is known.\n"},
		{[]string{"--json"}, "{\n  \"requests\": []\n}\n", ""},
	} {
		if code, out, errs := pdhook(t, append([]string{"requests", "--addr", addr}, tt.args...)...); code != 0 || out != tt.out || errs != tt.stderr {
			t.Errorf("%v: got %d %q %q, want %q %q", tt.args, code, out, errs, tt.out, tt.stderr)
		}
	}
}

func TestCommandsSayHowToReachAServiceThatDoesNotAnswer(t *testing.T) {
	addr := answering(t, nil, nil)
	file := filepath.Join(t.TempDir(), "pdhook.toml")
	if err := os.WriteFile(file, []byte("nonsense = 1\n[admin]\nlisten = \""+addr+"\"\ntoken = \"/nowhere/token\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		token string
		args  []string
		code  int
		want  string
	}{
		{"nobody is there", "sesame", []string{"--addr", "127.0.0.1:1"}, 1, `start it with "pdhook start", or name the address of its [admin] with --addr`},
		{"another token", "other", []string{"--addr", addr}, 1, "asks for another token: give the one of admin.token"},
		{"no token", "", []string{"--addr", addr}, 1, "asks for a token: give the one of admin.token, as PDHOOK_ADMIN_TOKEN"},
		{"a configuration with mistakes", "sesame", []string{"--config", file}, 0, ""},
		{"a token file that is not there", "", []string{"--config", file}, 1, "admin.token: "},
		{"a configuration that is not there", "sesame", []string{"--config", "/nowhere/pdhook.toml"}, 1, "opening /nowhere/pdhook.toml"},
	} {
		t.Setenv("PDHOOK_ADMIN_TOKEN", tt.token)
		for _, args := range [][]string{{"requests"}, {"requests", "--json"}, {"explain", first}, {"explain", "--json", first}} {
			code, out, errs := pdhook(t, append(args, tt.args...)...)
			if tt.code == 0 && (args[0] == "explain" || code == 0) {
				continue // it was asked: the request is not known
			}
			if code != tt.code || out != "" || !strings.Contains(errs, tt.want) {
				t.Errorf("%s: %v: got %d %q %q, want %d and %q", tt.name, args, code, out, errs, tt.code, tt.want)
			}
		}
	}
}

func TestTheShellCompletesWhatWaits(t *testing.T) {
	addr := answering(t, []admin.Request{asked(first, "kim", access.Pending)}, nil)
	if code, out, _ := pdhook(t, "__complete", "explain", "--addr", addr, ""); code != 0 || !strings.HasPrefix(out, first+"\tkim db-admin,dev\n:4") {
		t.Errorf("got %d %q", code, out)
	}
	if code, out, _ := pdhook(t, "__complete", "explain", "--addr", "127.0.0.1:1", ""); code != 0 || out != ":4\n" {
		t.Errorf("without a service: got %d %q", code, out)
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []interface{ Write([]byte) (int, error) }{new(bytes.Buffer), file} {
		if paintFor(w, func(string) string { return "" }) || widthOf(w) != 0 {
			t.Errorf("%T is taken for a terminal", w)
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if paintFor(null, func(string) string { return "" }) {
		t.Error("a device that is no terminal is taken for one")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, tt := range []struct {
		env  map[string]string
		want paint
	}{
		{nil, true},
		{map[string]string{"TERM": "xterm"}, true},
		{map[string]string{"TERM": "dumb"}, false},
		{map[string]string{"NO_COLOR": "1"}, false},
	} {
		if got := paintFor(terminal, func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("with %v a terminal is coloured: %v, want %v", tt.env, got, tt.want)
		}
	}
}

func TestATableIsCutToTheTerminal(t *testing.T) {
	list := []admin.Request{asked(first, "kim@example.com", access.Pending), asked(second, strings.Repeat("long", 20), access.Approved)}
	for line := range strings.Lines(table(list, false, 60, time.Now())) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 60 {
			t.Errorf("a line of %d characters on 60 columns: %q", n, line)
		}
	}
}

func TestTimesAreToldInTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "now", time.Second: "in 1 s", -59 * time.Second: "59 s ago", 61 * time.Second: "in 1 min 1 s", -4 * time.Minute: "4 min ago",
		11*time.Minute + 5*time.Second: "in 11 min", 90 * time.Minute: "in 1 h 30 min", -2 * time.Hour: "2 h ago", 50 * time.Hour: "in 2 d 2 h", 48 * time.Hour: "in 2 d",
	} {
		if got := moment(night.Add(d), night); got != night.Add(d).Format(time.RFC3339)+", "+want {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}
