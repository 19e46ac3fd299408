package store

import (
	"context"
	"database/sql"
	"fmt"

	"example.com/cloister"
	"example.com/cloister/internal/vpc"
)

// VPC implements vpc.Store.
type VPC struct{ db *DB }

var _ vpc.Store = (*VPC)(nil)

// VPC returns the store of the vpc service.
func (db *DB) VPC() *VPC { return &VPC{db} }

// Load implements vpc.Store. One statement sees one version.
func (s *VPC) Load(ctx context.Context, p vpc.Place) ([]vpc.Row, int64, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT v.version, r.id, r.kind, r.doc FROM vpc_regions v
		LEFT JOIN vpc_resources r ON r.account = v.account AND r.region = v.region
		WHERE v.account = $1 AND v.region = $2 ORDER BY r.id`, p.Account, p.Region)
	var version int64
	all, err := collect(rows, err, func(row scanner) (vpc.Row, error) {
		var id, kind, doc sql.NullString // null if the region has a version and nothing else
		err := row.Scan(&version, &id, &kind, &doc)
		return vpc.Row{ID: id.String, Kind: kind.String, Doc: []byte(doc.String)}, err
	})
	if len(all) == 1 && all[0].ID == "" {
		all = nil
	}
	return all, version, err
}

// Save implements vpc.Store.
func (s *VPC) Save(ctx context.Context, p vpc.Place, version int64, put []vpc.Row, remove []string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		if err := advance(ctx, tx, p, version); err != nil {
			return err
		}
		for _, id := range remove {
			if _, err := tx.ExecContext(ctx, `DELETE FROM vpc_resources WHERE account = $1 AND region = $2 AND id = $3`, p.Account, p.Region, id); err != nil {
				return fmt.Errorf("remove %s: %w", id, err)
			}
		}
		for _, row := range put {
			_, err := tx.ExecContext(ctx, `INSERT INTO vpc_resources (account, region, id, kind, doc) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (account, region, id) DO UPDATE SET kind = excluded.kind, doc = excluded.doc`,
				p.Account, p.Region, row.ID, row.Kind, string(row.Doc))
			if err != nil {
				return fmt.Errorf("write %s: %w", row.ID, err)
			}
		}
		return nil
	})
}

// advance makes a region's next version, or returns vpc.ErrStale.
func advance(ctx context.Context, tx *sql.Tx, p vpc.Place, version int64) error {
	if version == 0 {
		res, err := tx.ExecContext(ctx, `INSERT INTO vpc_regions (account, region, version) VALUES ($1, $2, 1)
			ON CONFLICT (account, region) DO NOTHING`, p.Account, p.Region)
		return changed(res, err, vpc.ErrStale)
	}
	res, err := tx.ExecContext(ctx, `UPDATE vpc_regions SET version = version + 1 WHERE account = $1 AND region = $2 AND version = $3`,
		p.Account, p.Region, version)
	return changed(res, err, vpc.ErrStale)
}

// Kind implements vpc.Store.
func (s *VPC) Kind(ctx context.Context, account cloister.AccountID, kind string) ([]vpc.PlacedRow, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT region, id, doc FROM vpc_resources WHERE account = $1 AND kind = $2 ORDER BY region, id`, account, kind)
	return collect(rows, err, func(row scanner) (vpc.PlacedRow, error) {
		r := vpc.PlacedRow{Place: vpc.Place{Account: account}, Row: vpc.Row{Kind: kind}}
		var doc string
		err := row.Scan(&r.Region, &r.ID, &doc)
		r.Doc = []byte(doc)
		return r, err
	})
}

// Regions implements vpc.Store.
func (s *VPC) Regions(ctx context.Context, account cloister.AccountID) ([]cloister.Region, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT region FROM vpc_regions WHERE account = $1 ORDER BY region`, account)
	return collect(rows, err, func(row scanner) (cloister.Region, error) {
		var region cloister.Region
		err := row.Scan(&region)
		return region, err
	})
}
