package pagerdutytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// FindOpenAPI reads shared/data/pagerduty-openapi.json beside the repository, which it finds by walking up
// to go.mod. It gives nil when the file is not there.
func FindOpenAPI() []byte {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			data, _ := os.ReadFile(filepath.Join(dir, "..", "shared", "data", "pagerduty-openapi.json"))
			return data
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

// document checks requests against PagerDuty's OpenAPI document.
type document struct{ api *openapi3.T }

// documents keeps each document that was read, by its bytes: reading takes about 60 ms, under the race
// detector ten times as long, and every test starts a Server.
var documents sync.Map

func openDocument(data []byte) (*document, error) {
	read, _ := documents.LoadOrStore(string(data), sync.OnceValues(func() (*document, error) { return readDocument(data) }))
	return read.(func() (*document, error))()
}

func readDocument(data []byte) (*document, error) {
	api, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	// One example of the document is wrong, so examples are left out.
	if err := api.Validate(context.Background(), openapi3.DisableExamplesValidation()); err != nil {
		return nil, fmt.Errorf("validating the OpenAPI document: %w", err)
	}
	return &document{api}, nil
}

// violation says how a request breaks the document; "" when it does not, or when there is no document.
func (d *document) violation(c *call) string {
	if d == nil || strings.HasPrefix(c.URL.Path, "/teams") { // which the copy of the document has not
		return ""
	}
	named := fmt.Sprintf("%s %s: ", c.Method, c.URL.Path)
	_, path, _ := strings.Cut(c.route, " ")
	item := d.api.Paths.Value(path)
	if item == nil || item.GetOperation(c.Method) == nil {
		return named + "not in the document"
	}
	params := map[string]string{}
	if strings.Contains(path, "{id}") {
		params["id"] = c.PathValue("id")
	}
	err := openapi3filter.ValidateRequest(c.Context(), &openapi3filter.RequestValidationInput{
		Request:     c.Request,
		PathParams:  params,
		QueryParams: c.URL.Query(), // validation fills in defaults, which the operation must not see
		Route:       &routers.Route{Spec: d.api, Path: path, PathItem: item, Method: c.Method, Operation: item.GetOperation(c.Method)},
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			// The document marks the id of every reference read-only, also where a request needs it.
			ExcludeReadOnlyValidations: true,
			SkipSettingDefaults:        true,
		},
	})
	c.Body = io.NopCloser(bytes.NewReader(c.body))
	if err != nil {
		return named + err.Error()
	}
	return ""
}

// Violations gives every way in which an authorized request broke PagerDuty's OpenAPI document: method,
// path and reason. Such a request is also answered with 400.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}
