package store

import (
	"context"

	"github.com/pdhook/pdhook/internal/access"
)

// Link gives the link of a request, or access.ErrNotFound.
func (s *Store) Link(ctx context.Context, id access.RequestID) (access.Link, error) {
	return fetch[access.Link](ctx, s, "link of request "+string(id), linkKey(id))
}

// Decision gives the latest decision on a request, or access.ErrNotFound.
func (s *Store) Decision(ctx context.Context, id access.RequestID) (access.Decision, error) {
	return fetch[access.Decision](ctx, s, "decision on request "+string(id), decisionKey(id))
}

// OpenLinks gives the links with something left to do.
func (s *Store) OpenLinks(ctx context.Context) ([]access.Link, error) {
	var links []access.Link
	err := s.read(ctx, "open links", func(now snapshot) error {
		return now.keys(newKey(prefixOpen), func(k []byte) (bool, error) {
			id, err := last(k, 1)
			if err != nil {
				return false, err
			}
			l, err := need[access.Link](now, linkKey(access.RequestID(id)))
			links = append(links, l)
			return true, err
		})
	})
	return links, err
}

// RequestsOfIncident gives the requests, finished ones too, whose link has the incident, or has one that
// was merged into it. An empty ID matches nothing.
func (s *Store) RequestsOfIncident(ctx context.Context, id access.IncidentID) ([]access.RequestID, error) {
	if id == "" {
		return nil, nil
	}
	return ids[access.RequestID](ctx, s, "requests of incident "+string(id), incidentOf(id))
}

// PendingForService gives the requests that are pending and whose roles name the service, by ID or by
// name; the case of ASCII letters in the name does not matter. An empty ID or name matches nothing.
func (s *Store) PendingForService(ctx context.Context, id access.ServiceID, name string) ([]access.RequestID, error) {
	var heads []key
	if id != "" {
		heads = append(heads, serviceOf(id))
	}
	if name != "" {
		heads = append(heads, serviceNameOf(name))
	}
	var all []access.RequestID
	for _, head := range heads {
		some, err := ids[access.RequestID](ctx, s, "pending requests of service "+string(id)+name, head)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return unique(all), nil
}
