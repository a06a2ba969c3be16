package pagerdutytest

import (
	"net/http"
	"strings"
)

// User is a PagerDuty user.
type User struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"` // login, kept in the case it was entered
}

func (u *User) id() string { return u.ID }

// Target makes a user stand on an escalation policy directly: always on call.
func (u User) target() Ref { return Ref{"user", u.ID} }

// AddUser adds a user. Login e-mails are unique.
func (s *Server) AddUser(name, email string) (u User) {
	s.do(func() { u = must(s.addUser(name, email)) })
	return u
}

func (s *Server) addUser(name, email string) (User, error) {
	for _, u := range s.users {
		if strings.EqualFold(u.Email, email) {
			return User{}, invalid("Email has already been taken")
		}
	}
	u := &User{ID: s.id("P%06d"), Name: name, Email: email}
	s.users = append(s.users, u)
	return *u, nil
}

// ChangeEmail gives a user another login e-mail.
func (s *Server) ChangeEmail(userID, email string) {
	s.do(func() { must(s.user(userID)).Email = email })
}

func (s *Server) user(id string) (*User, error) {
	if u, ok := byID(s.users, id); ok {
		return u, nil
	}
	return nil, unknown("user", id)
}

func (s *Server) renderUser(u *User) object {
	o := s.identity(UserRef(u.ID), u.Name)
	o["name"] = u.Name
	o["email"] = u.Email
	o["time_zone"] = "America/Lima"
	o["role"] = "user"
	o["invitation_sent"] = false
	o["job_title"] = nil
	o["teams"] = []object{}
	return o
}

// listUsers: query is a substring of name or e-mail, ignoring case (seen), so "a@x" also finds "ba@x".
func (s *Server) listUsers(c *call) (answer, error) {
	var found []object
	for _, u := range s.users {
		query := c.query.Get("query")
		if containsFold(u.Name, query) || containsFold(u.Email, query) {
			found = append(found, s.renderUser(u))
		}
	}
	return page(c, "users", found)
}

func (s *Server) getUser(c *call) (answer, error) {
	u, err := s.user(c.PathValue("id"))
	if err != nil {
		return answer{}, err
	}
	return ok(object{"user": s.renderUser(u)})
}

// getMe refuses account keys, and there error is a plain string (seen).
func (s *Server) getMe(*call) (answer, error) {
	return answer{status: http.StatusBadRequest, body: object{
		"error": "The current user could not be determined because the request was made using an account-level access token",
	}}, nil
}

func (s *Server) listAbilities(*call) (answer, error) {
	return ok(object{"abilities": abilities()})
}

// testAbility: 204 the account has it, 404 nobody has it. The account of this double lacks none, so it
// never answers 402.
func (s *Server) testAbility(c *call) (answer, error) {
	for _, has := range abilities() {
		if has == c.PathValue("id") {
			return answer{status: http.StatusNoContent}, nil
		}
	}
	return answer{}, unknown("ability", c.PathValue("id"))
}

func abilities() []string { return []string{"sso", "teams", "urgencies", "advanced_permissions"} }
