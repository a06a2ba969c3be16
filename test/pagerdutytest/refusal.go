package pagerdutytest

import (
	"fmt"
	"net/http"
)

// refusal is an error answer in PagerDuty's shape: {"error":{"message","code","errors"}}.
type refusal struct {
	status  int
	code    int
	message string
	details any // []string, or for /v3/schedules an object of lists; nil: left out
}

func (e *refusal) Error() string {
	return fmt.Sprintf("%s (%d, code %d): %v", e.message, e.status, e.code, e.details)
}

func (e *refusal) body() object {
	body := object{"message": e.message, "code": e.code}
	if e.details != nil {
		body["errors"] = e.details
	}
	return object{"error": body}
}

// invalid is PagerDuty's answer to input that it does not take: 400, code 2001.
func invalid(details ...string) *refusal {
	return &refusal{http.StatusBadRequest, 2001, "Invalid Input Provided", details}
}

// badRequest is a 400 with one of PagerDuty's other codes.
func badRequest(code int, message string, details ...string) *refusal {
	e := &refusal{status: http.StatusBadRequest, code: code, message: message}
	if len(details) > 0 {
		e.details = details
	}
	return e
}

// unknown is the answer for an ID that does not exist: 404, code 2100, and for incidents 5001.
func unknown(kind, id string) *refusal {
	code := 2100
	if kind == "incident" {
		code = 5001
	}
	return &refusal{http.StatusNotFound, code, "Not Found", []string{fmt.Sprintf("no %s %q", kind, id)}}
}
