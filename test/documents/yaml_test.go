package documents

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	machineidv1 "github.com/gravitational/teleport/api/gen/proto/go/teleport/machineid/v1"
	"github.com/gravitational/teleport/api/types"
	"github.com/oasdiff/yaml"
	"google.golang.org/protobuf/encoding/protojson"
)

// checkYAML checks each document of the block by what it is: a resource of Teleport or of Kubernetes, values of the
// chart, or a file of another program.
func checkYAML(t *testing.T, b Block) {
	for text := range strings.SplitSeq(b.Text, "\n---\n") {
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var top map[string]any
		if err := json.Unmarshal(data, &top); err != nil {
			t.Fatal(err)
		}
		switch {
		case top["apiVersion"] != nil:
			checkKubernetes(t, top)
		case top["kind"] != nil:
			checkTeleport(t, top["kind"], data)
			checkShipped(t, top)
		case top["scrape_configs"] != nil, top["proxy_server"] != nil: // Prometheus', tbot's
		default:
			checkValues(t, "", top, chartValues(t))
		}
	}
}

// checkTeleport decodes a resource strictly with Teleport's own type, as `tctl create` does.
func checkTeleport(t *testing.T, kind any, data []byte) {
	t.Helper()
	var resource any
	switch kind {
	case types.KindRole:
		resource = &types.RoleV6{}
	case types.KindUser:
		resource = &types.UserV2{}
	case types.KindToken:
		resource = &types.ProvisionTokenV2{}
	case types.KindBot:
		if err := protojson.Unmarshal(data, &machineidv1.Bot{}); err != nil {
			t.Error(err)
		}
		return
	default:
		t.Fatalf("nothing checks Teleport's kind %v", kind)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(resource); err != nil {
		t.Error(err)
	}
	if checked, ok := resource.(interface{ CheckAndSetDefaults() error }); ok {
		if err := checked.CheckAndSetDefaults(); err != nil {
			t.Error(err)
		}
	}
}

// checkShipped checks that a resource is that of deploy/teleport, where it has the same kind and name.
func checkShipped(t *testing.T, resource map[string]any) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/teleport/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no resources: %v", err)
	}
	name := func(of map[string]any) any { metadata, _ := of["metadata"].(map[string]any); return metadata["name"] }
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(text), "\n---\n") {
			data, err := yaml.YAMLToJSON([]byte(part))
			if err != nil {
				t.Fatal(err)
			}
			var shipped map[string]any
			if err := json.Unmarshal(data, &shipped); err != nil {
				t.Fatal(err)
			}
			if shipped["kind"] == resource["kind"] && name(shipped) == name(resource) && !reflect.DeepEqual(shipped, resource) {
				t.Errorf("%s has another %v %v:\n%s", file, resource["kind"], name(resource), part)
			}
		}
	}
}

// kinds are the objects of Kubernetes that the documents show, each with its version.
var kinds = map[string]string{
	"Ingress": "networking.k8s.io/v1", "HTTPRoute": "gateway.networking.k8s.io/v1", "Secret": "v1",
	"ClientTrafficPolicy": "gateway.envoyproxy.io/v1alpha1", "Gateway": "gateway.networking.k8s.io/v1",
}

func checkKubernetes(t *testing.T, top map[string]any) {
	t.Helper()
	kind, _ := top["kind"].(string)
	metadata, _ := top["metadata"].(map[string]any)
	if kinds[kind] != top["apiVersion"] || metadata["name"] == nil || top["spec"] == nil && top["stringData"] == nil {
		t.Errorf("got kind %v of %v named %v", kind, top["apiVersion"], metadata["name"])
	}
}

// chartValues gives the chart's values, which name every key.
func chartValues(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/helm/pdhook/values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text, err = yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// checkValues checks that each key is one of the chart's. Below a key that is empty in the chart anything may stand.
func checkValues(t *testing.T, at string, given, known map[string]any) {
	t.Helper()
	for key, value := range given {
		below, exists := known[key]
		if !exists {
			t.Errorf("the chart has no value %s%s", at, key)
			continue
		}
		table, isTable := value.(map[string]any)
		if knownTable, _ := below.(map[string]any); isTable && len(knownTable) > 0 {
			checkValues(t, at+key+".", table, knownTable)
		}
	}
}
