package pagerdutytest

// Team is a PagerDuty team.
type Team struct {
	ID   string
	Name string
}

func (t *Team) id() string { return t.ID }

// AddTeam adds a team.
func (s *Server) AddTeam(name string) (t Team) {
	s.do(func() {
		t = Team{ID: s.id("P%06d"), Name: name}
		s.teams = append(s.teams, &t)
	})
	return t
}

func (s *Server) renderTeam(t *Team) object {
	o := s.identity(Ref{"team", t.ID}, t.Name)
	o["name"] = t.Name
	o["description"] = nil
	return o
}

// listTeams: query is a substring of the name, as with services.
func (s *Server) listTeams(c *call) (answer, error) {
	var found []object
	for _, t := range s.teams {
		if containsFold(t.Name, c.query.Get("query")) {
			found = append(found, s.renderTeam(t))
		}
	}
	return page(c, "teams", found)
}

func (s *Server) getTeam(c *call) (answer, error) {
	t, known := byID(s.teams, c.PathValue("id"))
	if !known {
		return answer{}, unknown("team", c.PathValue("id"))
	}
	return ok(object{"team": s.renderTeam(t)})
}
