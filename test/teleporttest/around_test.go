package teleporttest

import (
	"testing"

	"github.com/gravitational/teleport/api/types"
	"github.com/gravitational/trace"
)

func TestAHookStopsACallBeforeOrAfterItIsPerformed(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(performed bool) bool
		want string
	}{
		{"before", func(performed bool) bool { return !performed }, ""},
		{"after", func(performed bool) bool { return performed }, "PINC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, Options{})
			client := connect(t, s, plugin)
			id := s.CreateRequest(Request{User: "alice", Roles: []string{"admin"}})
			s.Around(func(method string, in any, performed bool) bool {
				_, is := in.(*types.PluginDataUpdateParams)
				return !is || method != "UpdatePluginData" || !c.stop(performed)
			})
			update := types.PluginDataUpdateParams{Kind: types.KindAccessRequest, Resource: id, Plugin: Plugin, Set: map[string]string{"incident_id": "PINC"}}
			if err := client.UpdatePluginData(brief(t), update); !trace.IsConnectionProblem(err) {
				t.Errorf("got %v, want a connection problem", err)
			}
			s.Around(nil)
			if got := s.PluginData(id)["incident_id"]; got != c.want {
				t.Errorf("got incident_id %q, want %q", got, c.want)
			}
			must(t, ping(client)(brief(t)))
		})
	}
}
