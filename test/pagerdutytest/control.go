package pagerdutytest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// ControlHandler lets another process set up the account and act as people: JSON over HTTP, no
// credentials, not part of PagerDuty's API.
//
//	POST /users                        {"name","email"}
//	POST /services                     {"name","policy"}
//	POST /policies                     {"name","levels":[[{"kind":"user","id":"P000001"}]]}: kind user or schedule
//	POST /schedules                    {"name","shift_based"}
//	POST /oncall                       {"schedule","user","start","end"}: start now and end never when left out
//	POST /overrides                    {"schedule","user","start","end"}: the same, instead of everybody else on the schedule
//	POST /incidents                    {"service","title","key","by","assignees"}: by is a user ID, an integration when left out
//	POST /incidents/{id}/acknowledge   {"user"}
//	POST /incidents/{id}/resolve       {"user"}: automation when left out
//	GET  /incidents                    all incidents with their notes
func (s *Server) ControlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users", control(s, func(_ string, in User) (any, error) {
		return s.addUser(in.Name, in.Email)
	}))
	mux.HandleFunc("POST /services", control(s, func(_ string, in Service) (any, error) {
		return s.addService(in.Name, in.Policy)
	}))
	mux.HandleFunc("POST /policies", control(s, func(_ string, in Policy) (any, error) {
		return s.controlPolicy(in)
	}))
	mux.HandleFunc("POST /schedules", control(s, func(_ string, in Schedule) (any, error) {
		return s.newSchedule(in.Name, in.ShiftBased), nil
	}))
	mux.HandleFunc("POST /oncall", control(s, func(_ string, in controlShift) (any, error) {
		return in, s.setOnCall(in.Schedule, in.User, in.Start, in.End)
	}))
	mux.HandleFunc("POST /overrides", control(s, func(_ string, in controlShift) (any, error) {
		return in, s.override(in.Schedule, in.User, in.Start, in.End)
	}))
	mux.HandleFunc("POST /incidents", control(s, func(_ string, in controlIncident) (any, error) {
		return s.addIncident(in.Service, IncidentOptions{Title: in.Title, Key: in.Key, By: in.By, Assignees: in.Assignees})
	}))
	mux.HandleFunc("POST /incidents/{id}/acknowledge", control(s, func(id string, in controlActor) (any, error) {
		return s.onIncident(id, in.User, func(i *Incident, by Ref) error { return s.acknowledge(i, by, "website") })
	}))
	mux.HandleFunc("POST /incidents/{id}/resolve", control(s, func(id string, in controlActor) (any, error) {
		return s.onIncident(id, in.User, func(i *Incident, by Ref) error { return s.resolve(i, by, "website", "") })
	}))
	mux.HandleFunc("GET /incidents", control(s, func(string, struct{}) (any, error) {
		return s.controlIncidents(), nil
	}))
	return mux
}

type controlShift struct {
	Schedule string    `json:"schedule"`
	User     string    `json:"user"`
	Start    time.Time `json:"start,omitzero"`
	End      time.Time `json:"end,omitzero"`
}

type controlIncident struct {
	Service, Title, Key, By string
	Assignees               []string
}

type controlActor struct{ User string }

// incidentWithNotes is an incident as GET /incidents of the control API shows it.
type incidentWithNotes struct {
	Incident
	Notes []Note `json:"notes"`
}

func (s *Server) controlIncidents() []incidentWithNotes {
	all := []incidentWithNotes{}
	for _, i := range s.incidents {
		all = append(all, incidentWithNotes{i.copy(), append([]Note{}, i.notes...)})
	}
	return all
}

// controlPolicy checks what a test in Go cannot get wrong: that the targets exist, and their kind.
func (s *Server) controlPolicy(in Policy) (Policy, error) {
	for _, targets := range in.Levels {
		for n, t := range targets {
			if t.Kind == "user" {
				if _, err := s.user(t.ID); err != nil {
					return Policy{}, err
				}
				continue
			}
			sc, err := s.schedule(t.ID)
			if err != nil {
				return Policy{}, err
			}
			targets[n] = sc.target()
		}
	}
	return s.addPolicy(in.Name, in.Levels), nil
}

// control reads a request body into In, runs the action with the account locked and writes its result. A
// refusal comes as the REST API shows it.
func control[In any](s *Server, action func(id string, in In) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil && !errors.Is(err, io.EOF) {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var status int
		var body any
		s.do(func() {
			result, err := action(r.PathValue("id"), in)
			status, body = http.StatusOK, result
			if refused, is := errors.AsType[*refusal](err); is {
				status, body = refused.status, refused.body()
			} else {
				check(err)
			}
			body = frozen(body)
		})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(body.(json.RawMessage))
	}
}
