package app

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pdhook/pdhook/internal/access"
	"github.com/pdhook/pdhook/internal/admin"
	"github.com/pdhook/pdhook/internal/check"
	"github.com/pdhook/pdhook/internal/subscription"
	"github.com/pdhook/pdhook/internal/webhook"
	"github.com/pdhook/pdhook/test/documents"
)

func reference(t *testing.T) documents.Document {
	t.Helper()
	all, err := documents.All("../..")
	if err != nil {
		t.Fatal(err)
	}
	return all[slices.IndexFunc(all, func(d documents.Document) bool { return d.Path == "docs/reference.md" })]
}

func TestTheReferenceHasEachEndpointOfAdmin(t *testing.T) {
	route := regexp.MustCompile(`"((?:GET|POST) /[^"]*)"`)
	served := map[string]bool{}
	for _, found := range route.FindAllStringSubmatch(read(t, "internal/admin/admin.go"), -1) {
		served[found[1]] = true
	}
	documented := map[string]bool{}
	for _, row := range reference(t).Rows {
		if row.Heading == "HTTP of [admin]" {
			documented[strings.Trim(row.Cells[0], "`")] = true
		}
	}
	if len(served) < 8 || !reflect.DeepEqual(served, documented) {
		t.Errorf("docs/reference.md has the endpoints\n%v\nserved are\n%v", documented, served)
	}
}

func TestTheReferenceShowsJSONAsItIsServed(t *testing.T) {
	shapes := map[string]any{
		"GET /healthz": new(map[string]bool),
		"GET /readyz": new(struct {
			Ready   bool     `json:"ready"`
			Reasons []string `json:"reasons"`
		}),
		"GET /status":               new(admin.Status),
		"GET /api/v1/requests":      new(struct{ Requests []admin.Request }),
		"GET /api/v1/requests/{id}": new(admin.Request),
		"GET /api/v1/webhooks": new(struct {
			Webhooks []admin.Delivery `json:"webhooks"`
		}),
		"POST /api/v1/reload": new(map[string]bool),
		"Refusal": new(struct {
			Error struct{ Message string } `json:"error"`
		}),
		"pdhook check --json": new(struct {
			OK       bool            `json:"ok"`
			Findings []check.Finding `json:"findings"`
		}),
		"pdhook subscribe --json": new(subscription.Result),
	}
	short := []string{"GET /api/v1/requests"} // whose entries the next heading shows whole
	for _, b := range reference(t).Blocks {
		if b.Language != "json" || b.Heading == "pdhook version --json" { // cmd/pdhook has it
			continue
		}
		shape, known := shapes[b.Heading]
		if !known {
			t.Errorf("%s: nothing says what JSON %q is", b.Where, b.Heading)
			continue
		}
		delete(shapes, b.Heading)
		decoder := json.NewDecoder(strings.NewReader(b.Text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(shape); err != nil {
			t.Errorf("%s: %v", b.Where, err)
		}
		for _, name := range fields(reflect.TypeOf(shape)) {
			if !strings.Contains(b.Text, `"`+name+`":`) && !slices.Contains(short, b.Heading) {
				t.Errorf("%s: %s lacks the field %s", b.Where, b.Heading, name)
			}
		}
	}
	for heading := range shapes {
		t.Errorf("docs/reference.md shows no JSON of %s", heading)
	}
}

// fields gives the JSON names of a type and all within it, but for what an approval rests on.
func fields(of reflect.Type) (names []string) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fields(of.Elem())
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() || of == reflect.TypeFor[access.Evidence]() {
			return nil
		}
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" {
				names = append(names, name)
			}
			if of != reflect.TypeFor[access.Check]() {
				names = append(names, fields(field.Type)...)
			}
		}
	}
	return names
}

func TestTheReferenceHasTheEventsOfTheSubscription(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "docs/reference.md"), "## Events of the webhook subscription\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for _, found := range regexp.MustCompile("(?m)^- `([a-z._]+)`$").FindAllStringSubmatch(section, -1) {
		documented = append(documented, found[1])
	}
	if want := webhook.EventTypes(); !slices.Equal(documented, want) {
		t.Errorf("docs/reference.md has the events %q, asked for are %q", documented, want)
	}
}

func TestTheReferenceExplainsWhatADecisionSays(t *testing.T) {
	page := read(t, "docs/reference.md")
	words := []string{
		string(access.Approve), string(access.No), string(access.CouldNotTell), string(access.Already),
		string(access.Passed), string(access.Failed), string(access.Unknown),
		string(access.Pending), string(access.Approved), string(access.Denied), string(access.Promoted), string(access.Expired),
		access.CauseStart, access.CauseReconnect, access.CauseCreated, access.CauseChanged, access.CauseGone, access.CauseReload,
		access.CauseRecovered, access.CauseRules, access.CauseDelivery, access.CauseShift, access.CausePoll, access.CauseTimer, access.CauseRetry,
		string(check.OK), string(check.Warning), string(check.Failed),
	}
	for _, word := range words {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("docs/reference.md does not explain %q", word)
		}
	}
}
