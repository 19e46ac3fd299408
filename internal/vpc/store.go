package vpc

import (
	"context"
	"errors"

	"example.com/cloister"
)

// Place is an account and a region: the resources of one place know nothing of those of another.
type Place struct {
	Account cloister.AccountID
	Region  cloister.Region
}

// Row is one resource as the store keeps it.
type Row struct {
	ID   string // unique in its place
	Kind string
	Doc  []byte // JSON
}

// PlacedRow is a row and where it is.
type PlacedRow struct {
	Place
	Row
}

// Store keeps the networks. It is safe for concurrent use.
type Store interface {
	// Load returns the rows of a place in order of id, and their version: one snapshot. The version is 0 if nothing was
	// ever saved there.
	Load(ctx context.Context, p Place) (rows []Row, version int64, err error)
	// Save writes and removes rows of a place in one transaction, and makes a new version, if version is still the place's;
	// else it changes nothing and returns ErrStale.
	Save(ctx context.Context, p Place, version int64, put []Row, remove []string) error
	// Kind returns an account's rows of a kind in all regions, in order of region and id.
	Kind(ctx context.Context, account cloister.AccountID, kind string) ([]PlacedRow, error)
	// Regions returns the regions of an account in which something was ever saved, sorted.
	Regions(ctx context.Context, account cloister.AccountID) ([]cloister.Region, error)
}

// ErrStale says that a place was changed since it was loaded.
var ErrStale = errors.New("the network was changed meanwhile")
