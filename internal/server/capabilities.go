package server

import (
	"context"
	"slices"

	"example.com/cloister"
	"example.com/cloister/internal/api"
	"example.com/cloister/internal/iam"
)

// capabilities are what this server serves, for clients that would else have to try: `cloister audit` tells by them what is
// not served here from what could not be read.
type capabilities struct {
	Version string `json:"version"`
	// Regions are the default one and those with resources, sorted.
	Regions []cloister.Region `json:"regions"`
	// Operations are the names of the operations that are served, sorted, by service.
	Operations map[string][]string `json:"operations"`
}

// capabilities answers every principal of the account.
func (s *Server) capabilities(ctx context.Context) (capabilities, error) {
	if err := s.auth.Authorize(ctx, cloister.Access{Action: iam.ActionCapabilities, Resource: "*"}); err != nil {
		return capabilities{}, err
	}
	regions, err := s.db.Regions(ctx, cloister.AccountID(s.o.Config.Account))
	if err != nil {
		return capabilities{}, err
	}
	regions = append(regions, cloister.Region(s.o.Config.Region))
	slices.Sort(regions)
	operations := api.Catalogue()
	for _, names := range operations {
		slices.Sort(names)
	}
	return capabilities{s.o.Version, slices.Compact(regions), operations}, nil
}
