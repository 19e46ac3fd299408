package store

import (
	"context"

	"example.com/cloister"
)

// Regions are the regions of an account with jobs, custom models, keys, buckets or networks, sorted. Indexes answer it.
func (db *DB) Regions(ctx context.Context, account cloister.AccountID) ([]cloister.Region, error) {
	rows, err := db.reader.QueryContext(ctx, `SELECT region FROM jobs WHERE account = $1
		UNION SELECT region FROM custom_models WHERE account = $1
		UNION SELECT region FROM kms_keys WHERE account = $1
		UNION SELECT region FROM s3_buckets WHERE account = $1
		UNION SELECT region FROM vpc_regions WHERE account = $1 ORDER BY region`, account)
	return collect(rows, err, func(row scanner) (cloister.Region, error) {
		var region cloister.Region
		err := row.Scan(&region)
		return region, err
	})
}
