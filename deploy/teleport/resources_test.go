package teleport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	machineidv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/machineid/v1"
	"github.com/gravitational/teleport/api/types"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/pdhook/pdhook/config"
)

// documents gives the resources of a file as JSON.
func documents(t *testing.T, file string) []json.RawMessage {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var resource any
		if err := decoder.Decode(&resource); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		raw, err := json.Marshal(resource)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, raw)
	}
}

// strict decodes a resource into Teleport's type of it, as `tctl create` does: no field may be unknown.
func strict[T any](t *testing.T, raw json.RawMessage) *T {
	t.Helper()
	resource := new(T)
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(resource); err != nil {
		t.Fatalf("decoding %T: %v\n%s", resource, err, raw)
	}
	return resource
}

// role reads a file that holds one role.
func role(t *testing.T, file string) *types.RoleV6 {
	t.Helper()
	all := documents(t, file)
	if len(all) != 1 {
		t.Fatalf("%s holds %d resources, want one role", file, len(all))
	}
	r := strict[types.RoleV6](t, all[0])
	if r.Kind != types.KindRole || r.Version != types.V7 {
		t.Errorf("%s: got %s %s, want a role of version v7", file, r.Kind, r.Version)
	}
	if err := r.CheckAndSetDefaults(); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return r
}

var roleFiles = []string{"role.yaml", "role-approval.yaml", "role-rules.yaml", "impersonator.yaml", "requester.yaml", "reviewer.yaml"}

func TestTeleportTakesEachResourceAsItIs(t *testing.T) {
	var names []string
	for _, file := range roleFiles {
		names = append(names, role(t, file).GetName())
	}
	known := func(t *testing.T, roles []string) {
		t.Helper()
		for _, name := range roles {
			if !slices.Contains(names, name) {
				t.Errorf("names role %s, which is in no file", name)
			}
		}
	}
	user := strict[types.UserV2](t, documents(t, "user.yaml")[0])
	if err := user.CheckAndSetDefaults(); err != nil || user.Kind != types.KindUser {
		t.Errorf("user.yaml: got a %s, %v", user.Kind, err)
	}
	known(t, user.GetRoles())

	resources := documents(t, "bot.yaml")
	bot, token := new(machineidv1.Bot), strict[types.ProvisionTokenV2](t, resources[1])
	if err := protojson.Unmarshal(resources[0], bot); err != nil || bot.GetKind() != types.KindBot || bot.GetVersion() != types.V1 {
		t.Errorf("bot.yaml: got a %s %s, %v", bot.GetKind(), bot.GetVersion(), err)
	}
	known(t, bot.GetSpec().GetRoles())
	if err := token.CheckAndSetDefaults(); err != nil || token.GetBotName() != bot.GetMetadata().GetName() {
		t.Errorf("bot.yaml: the token is of bot %q, want %q; %v", token.GetBotName(), bot.GetMetadata().GetName(), err)
	}
	if !slices.Equal(bot.GetSpec().GetRoles(), user.GetRoles()) {
		t.Errorf("the bot has the roles %v, the user %v", bot.GetSpec().GetRoles(), user.GetRoles())
	}
}

func TestTbotWritesTheIdentityWhereItsFirstLinesSay(t *testing.T) {
	content, err := os.ReadFile("tbot.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tbot struct {
		Version string
		Outputs []struct {
			Type        string
			Destination struct{ Type, Path string }
		}
	}
	if err := json.Unmarshal(documents(t, "tbot.yaml")[0], &tbot); err != nil {
		t.Fatal(err)
	}
	if tbot.Version != "v2" || len(tbot.Outputs) != 1 || tbot.Outputs[0].Type != "identity" || tbot.Outputs[0].Destination.Type != "directory" {
		t.Fatalf("got %+v, want one identity in a directory", tbot)
	}
	if want := fmt.Sprintf("identity = %q", tbot.Outputs[0].Destination.Path+"/identity"); !strings.Contains(string(content), want) {
		t.Errorf("tbot.yaml does not say that pdhook needs %s", want)
	}
}

func TestTheImpersonatorMayBeExactlyTheUserAndItsRoles(t *testing.T) {
	user := strict[types.UserV2](t, documents(t, "user.yaml")[0])
	may := role(t, "impersonator.yaml").GetImpersonateConditions(types.Allow)
	if !slices.Equal(may.Users, []string{user.GetName()}) || !slices.Equal(may.Roles, user.GetRoles()) {
		t.Errorf("got users %v and roles %v, want %s and %v", may.Users, may.Roles, user.GetName(), user.GetRoles())
	}
}

func TestTheRequesterUsesTheAnnotationsThatPdhookReadsByDefault(t *testing.T) {
	cfg, err := config.Load("", []string{"PDHOOK_TELEPORT_ADDR=teleport.example.com:443", "PDHOOK_TELEPORT_IDENTITY=role.yaml",
		"PDHOOK_PAGERDUTY_API_KEY=key", "PDHOOK_PAGERDUTY_USER_EMAIL=pdhook@example.com",
		"PDHOOK_WEBHOOK_SECRETS=sixteen-bytes-at-least", "PDHOOK_WEBHOOK_INSECURE_HTTP=true"})
	if err != nil {
		t.Fatal(err)
	}
	annotations := role(t, "requester.yaml").GetAccessRequestConditions(types.Allow).Annotations
	for _, key := range []string{cfg.PagerDuty.NotifyService, cfg.PagerDuty.Services} {
		if len(annotations[key]) == 0 {
			t.Errorf("the requester's role has no annotation %s", key)
		}
	}
}

func TestReadmeShowsTheRolesAsTheyAreInTheFiles(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for i, block := range strings.Split(string(readme), "```") {
		if kind, yaml, _ := strings.Cut(block, "\n"); i%2 == 1 && kind == "yaml" {
			shown = append(shown, strings.TrimSpace(strings.ReplaceAll("\n"+yaml, "\n   ", "\n")))
		}
	}
	for _, file := range []string{"role.yaml", "role-approval.yaml", "requester.yaml"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(content)) {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if want := strings.TrimSpace(strings.Join(lines, "")); !slices.Contains(shown, want) {
			t.Errorf("README.md does not show %s:\n%s", file, want)
		}
	}
}
