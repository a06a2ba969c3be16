package pagerdutytest

import (
	"net/http"
	"strings"
)

const missingFrom = `You must specify a user's email address in the "From" header to perform this action`

// authorized: "Authorization: Token token=<key>", or Bearer for OAuth tokens
// (https://developer.pagerduty.com/docs/authentication).
func (s *Server) authorized(c *call) bool {
	given := c.Header.Get("Authorization")
	return given == "Token token="+s.opts.APIKey || given == "Bearer "+s.opts.APIKey
}

// rules are the refusals that do not depend on the operation. A violation of the OpenAPI document comes
// last, so that PagerDuty's own words are heard where it has any.
func (s *Server) rules(c *call, violation string) error {
	// The OpenAPI document asks for the Accept header everywhere but on the /v3 paths.
	if !strings.HasPrefix(c.URL.Path, "/v3/") && !strings.Contains(c.Header.Get("Accept"), "application/vnd.pagerduty+json") {
		return invalid("Accept header must be application/vnd.pagerduty+json;version=2")
	}
	// Seen (PagerDuty/go-pagerduty#89): without Content-Type the body of a write is not read as JSON.
	if len(c.body) > 0 && !strings.HasPrefix(c.Header.Get("Content-Type"), "application/json") {
		return invalid("params must be a Hash")
	}
	if s.readOnly && c.Method != http.MethodGet {
		return &refusal{http.StatusForbidden, 2010, "Access Denied", nil}
	}
	if err := s.fromRule(c); err != nil {
		return err
	}
	if violation != "" && c.route != "" {
		return invalid(violation)
	}
	return nil
}

// MakeKeyReadOnly does what an admin chooses when making a key. Writes are then refused
// (https://developer.pagerduty.com/docs/errors: 403, and code 2010); that this is found before anything else is not
// documented.
func (s *Server) MakeKeyReadOnly(readOnly bool) { s.do(func() { s.readOnly = readOnly }) }

// fromRule: an account key belongs to nobody, so these writes must name a user by login e-mail
// (OpenAPI document; codes as seen, the docs list 2011 for the missing header).
func (s *Server) fromRule(c *call) error {
	switch c.route {
	case "POST /incidents", "PUT /incidents", "PUT /incidents/{id}", "POST /incidents/{id}/notes":
	default:
		return nil
	}
	email := c.Header.Get("From")
	if email == "" {
		return badRequest(2016, missingFrom)
	}
	for _, u := range s.users {
		if strings.EqualFold(u.Email, email) {
			c.from = u
			return nil
		}
	}
	return &refusal{http.StatusBadRequest, 1008, "Requester User Not Found", nil}
}
