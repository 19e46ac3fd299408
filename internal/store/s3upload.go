package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/s3"
)

const (
	uploadColumns = `id, bucket, key, key_arn, bucket_key, wrapped, headers, algorithm, composite, initiated_at`
	partColumns   = `number, blob, size, etag, checksums, modified_at`
)

// CreateUpload implements s3.Store.
func (s *S3) CreateUpload(ctx context.Context, u s3.Upload) error {
	headers, err := json.Marshal(u.Headers)
	if err != nil {
		return err
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		if _, err := scanBucket(tx.QueryRowContext(ctx, `SELECT `+bucketColumns+` FROM s3_buckets WHERE name = $1`, u.Bucket)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO s3_uploads (`+uploadColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			u.ID, u.Bucket, u.Key, u.Sealing.KeyARN, u.Sealing.BucketKey, u.Sealing.Wrapped, string(headers), u.Algorithm, u.Composite, u.Initiated.UnixMilli())
		return err
	})
}

// Upload implements s3.Store.
func (s *S3) Upload(ctx context.Context, bucket, key, id string) (s3.Upload, error) {
	return scanUpload(s.db.reader.QueryRowContext(ctx,
		`SELECT `+uploadColumns+` FROM s3_uploads WHERE id = $1 AND bucket = $2 AND key = $3`, id, bucket, key))
}

func scanUpload(row scanner) (s3.Upload, error) {
	var u s3.Upload
	var headers string
	var initiated int64
	err := row.Scan(&u.ID, &u.Bucket, &u.Key, &u.Sealing.KeyARN, &u.Sealing.BucketKey, &u.Sealing.Wrapped, &headers, &u.Algorithm, &u.Composite, &initiated)
	if err != nil {
		return s3.Upload{}, missing(err, s3.ErrNoUpload)
	}
	u.Initiated = millis(initiated)
	return u, json.Unmarshal([]byte(headers), &u.Headers)
}

// PutPart implements s3.Store.
func (s *S3) PutPart(ctx context.Context, upload string, p s3.Part) (removed []s3.Removed, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		if _, err := scanUpload(tx.QueryRowContext(ctx, `SELECT `+uploadColumns+` FROM s3_uploads WHERE id = $1`, upload)); err != nil {
			return err
		}
		old, err := scanBlob(tx.QueryRowContext(ctx, `DELETE FROM s3_parts WHERE object = $1 AND number = $2 RETURNING blob`, upload, p.Number))
		if err == nil {
			removed = []s3.Removed{{Object: upload, Blobs: []blob.ID{old}}}
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return insertPart(ctx, tx, upload, p)
	})
	return removed, err
}

func insertPart(ctx context.Context, tx *sql.Tx, object string, p s3.Part) error {
	sums, err := json.Marshal(p.Checksums)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO s3_parts (object, `+partColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		object, p.Number, p.Blob, p.Size, p.ETag, string(sums), p.Modified.UnixMilli())
	return err
}

// Parts implements s3.Store.
func (s *S3) Parts(ctx context.Context, object string, after int32, limit int) ([]s3.Part, error) {
	rows, err := s.db.reader.QueryContext(ctx,
		`SELECT `+partColumns+` FROM s3_parts WHERE object = $1 AND number > $2 ORDER BY number LIMIT $3`, object, after, limit)
	return collect(rows, err, scanPart)
}

func scanPart(row scanner) (s3.Part, error) {
	var p s3.Part
	var sums string
	var modified int64
	if err := row.Scan(&p.Number, &p.Blob, &p.Size, &p.ETag, &sums, &modified); err != nil {
		return s3.Part{}, err
	}
	p.Modified = millis(modified)
	return p, json.Unmarshal([]byte(sums), &p.Checksums)
}

// CompleteUpload implements s3.Store.
func (s *S3) CompleteUpload(ctx context.Context, o s3.Object, parts []s3.Part) (removed []s3.Removed, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM s3_uploads WHERE id = $1 AND bucket = $2 AND key = $3`, o.ID, o.Bucket, o.Key)
		if err := changed(res, err, s3.ErrNoUpload); err != nil {
			return err
		}
		unnamed, err := unnamedParts(ctx, tx, o.ID, parts)
		if err != nil {
			return err
		}
		if removed, err = replaceObject(ctx, tx, o); err != nil {
			return err
		}
		blobs := make([]blob.ID, 0, len(unnamed))
		for _, p := range unnamed {
			if _, err := tx.ExecContext(ctx, `DELETE FROM s3_parts WHERE object = $1 AND number = $2`, o.ID, p.Number); err != nil {
				return err
			}
			blobs = append(blobs, p.Blob)
		}
		if len(blobs) > 0 {
			removed = append(removed, s3.Removed{Object: o.ID, Blobs: blobs})
		}
		return nil
	})
	return removed, err
}

// unnamedParts returns the stored parts that are not among those named, all of which must be stored.
func unnamedParts(ctx context.Context, tx *sql.Tx, upload string, named []s3.Part) ([]s3.Part, error) {
	rows, err := tx.QueryContext(ctx, `SELECT `+partColumns+` FROM s3_parts WHERE object = $1 ORDER BY number`, upload)
	stored, err := collect(rows, err, scanPart)
	if err != nil {
		return nil, err
	}
	want := make(map[blob.ID]bool, len(named))
	for _, p := range named {
		want[p.Blob] = true
	}
	var unnamed []s3.Part
	for _, p := range stored {
		if want[p.Blob] {
			delete(want, p.Blob)
		} else {
			unnamed = append(unnamed, p)
		}
	}
	if len(want) > 0 {
		return nil, s3.ErrNoPart
	}
	return unnamed, nil
}

// AbortUpload implements s3.Store.
func (s *S3) AbortUpload(ctx context.Context, bucket, key, id string) (removed []s3.Removed, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM s3_uploads WHERE id = $1 AND bucket = $2 AND key = $3`, id, bucket, key)
		if err := changed(res, err, s3.ErrNoUpload); err != nil {
			return err
		}
		removed, err = dropParts(ctx, tx, id, nil)
		return err
	})
	return removed, err
}
