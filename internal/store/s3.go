package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"

	"example.com/cloister"
	"example.com/cloister/internal/blob"
	"example.com/cloister/internal/s3"
)

// S3 implements s3.Store. Lists are in s3list.go, uploads in s3upload.go.
type S3 struct{ db *DB }

var _ s3.Store = (*S3)(nil)

// S3 returns the store of the s3 service.
func (db *DB) S3() *S3 { return &S3{db} }

const bucketColumns = `name, account, region, key_id, bucket_key, created_at`

// CreateBucket implements s3.Store.
func (s *S3) CreateBucket(ctx context.Context, b s3.Bucket) (s3.Bucket, error) {
	have := b
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO s3_buckets (`+bucketColumns+`) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING`,
			b.Name, b.Account, b.Region, b.Default.KeyID, b.Default.BucketKey, b.Created.UnixMilli())
		if err = changed(res, err, s3.ErrBucketExists); !errors.Is(err, s3.ErrBucketExists) {
			return err
		}
		if have, err = scanBucket(tx.QueryRowContext(ctx, `SELECT `+bucketColumns+` FROM s3_buckets WHERE name = $1`, b.Name)); err != nil {
			return err
		}
		return s3.ErrBucketExists
	})
	return have, err
}

// Bucket implements s3.Store.
func (s *S3) Bucket(ctx context.Context, name string) (s3.Bucket, error) {
	return scanBucket(s.db.reader.QueryRowContext(ctx, `SELECT `+bucketColumns+` FROM s3_buckets WHERE name = $1`, name))
}

// Buckets implements s3.Store.
func (s *S3) Buckets(ctx context.Context, account cloister.AccountID, region cloister.Region, prefix, after string, limit int) ([]s3.Bucket, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT `+bucketColumns+` FROM s3_buckets
		WHERE account = $1 AND ($2 = '' OR region = $2) AND name > $3 AND name >= $4 AND ($5 = '' OR name < $5) ORDER BY name LIMIT $6`,
		account, region, after, prefix, successor(prefix), limit)
	return collect(rows, err, scanBucket)
}

// SetEncryption implements s3.Store.
func (s *S3) SetEncryption(ctx context.Context, bucket string, e s3.Encryption) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE s3_buckets SET key_id = $1, bucket_key = $2 WHERE name = $3`, e.KeyID, e.BucketKey, bucket)
		return changed(res, err, s3.ErrNoBucket)
	})
}

// DeleteBucket implements s3.Store.
func (s *S3) DeleteBucket(ctx context.Context, name string) (removed []s3.Removed, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		var objects int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM s3_objects WHERE bucket = $1 LIMIT 1) AS one`, name).Scan(&objects); err != nil {
			return err
		}
		if objects > 0 {
			return s3.ErrBucketNotEmpty
		}
		rows, err := tx.QueryContext(ctx, `DELETE FROM s3_uploads WHERE bucket = $1 RETURNING id`, name)
		uploads, err := collect(rows, err, scanText)
		if err != nil {
			return err
		}
		for _, id := range uploads {
			if removed, err = dropParts(ctx, tx, id, removed); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM s3_buckets WHERE name = $1`, name)
		return changed(res, err, s3.ErrNoBucket)
	})
	return removed, err
}

func scanBucket(row scanner) (s3.Bucket, error) {
	var b s3.Bucket
	var created int64
	err := row.Scan(&b.Name, &b.Account, &b.Region, &b.Default.KeyID, &b.Default.BucketKey, &created)
	b.Created = millis(created)
	return b, missing(err, s3.ErrNoBucket)
}

const objectColumns = `bucket, key, id, size, etag, key_arn, bucket_key, wrapped, headers, checksums, composite, part_count, modified_at`

// PutObject implements s3.Store.
func (s *S3) PutObject(ctx context.Context, o s3.Object, p s3.Part) (removed []s3.Removed, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		if removed, err = replaceObject(ctx, tx, o); err != nil {
			return err
		}
		return insertPart(ctx, tx, o.ID, p)
	})
	return removed, err
}

// replaceObject stores an object's row in place of the one that its key had.
func replaceObject(ctx context.Context, tx *sql.Tx, o s3.Object) ([]s3.Removed, error) {
	headers, err := json.Marshal(o.Headers)
	if err != nil {
		return nil, err
	}
	sums, err := json.Marshal(o.Checksums)
	if err != nil {
		return nil, err
	}
	if _, err := scanBucket(tx.QueryRowContext(ctx, `SELECT `+bucketColumns+` FROM s3_buckets WHERE name = $1`, o.Bucket)); err != nil {
		return nil, err
	}
	removed, err := dropObject(ctx, tx, o.Bucket, o.Key, nil)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO s3_objects (`+objectColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		o.Bucket, o.Key, o.ID, o.Size, o.ETag, o.Sealing.KeyARN, o.Sealing.BucketKey, o.Sealing.Wrapped,
		string(headers), string(sums), o.Composite, o.PartCount, o.Modified.UnixMilli())
	return removed, err
}

// dropObject deletes what a key has, if anything, and adds it to removed.
func dropObject(ctx context.Context, tx *sql.Tx, bucket, key string, removed []s3.Removed) ([]s3.Removed, error) {
	var id string
	err := tx.QueryRowContext(ctx, `DELETE FROM s3_objects WHERE bucket = $1 AND key = $2 RETURNING id`, bucket, key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return removed, nil
	}
	if err != nil {
		return nil, err
	}
	return dropParts(ctx, tx, id, removed)
}

// dropParts deletes the parts of an object or upload and adds their blobs to removed.
func dropParts(ctx context.Context, tx *sql.Tx, object string, removed []s3.Removed) ([]s3.Removed, error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM s3_parts WHERE object = $1 RETURNING blob`, object)
	blobs, err := collect(rows, err, scanBlob)
	if err != nil {
		return nil, err
	}
	return append(removed, s3.Removed{Object: object, Blobs: blobs}), nil
}

// Object implements s3.Store.
func (s *S3) Object(ctx context.Context, bucket, key string) (s3.Object, error) {
	return scanObject(s.db.reader.QueryRowContext(ctx, `SELECT `+objectColumns+` FROM s3_objects WHERE bucket = $1 AND key = $2`, bucket, key))
}

// ObjectParts implements s3.Store.
func (s *S3) ObjectParts(ctx context.Context, bucket, key string) (o s3.Object, parts []s3.Part, err error) {
	tx, err := s.db.reader.BeginTx(ctx, nil)
	if err != nil {
		return s3.Object{}, nil, err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	o, err = scanObject(tx.QueryRowContext(ctx, `SELECT `+objectColumns+` FROM s3_objects WHERE bucket = $1 AND key = $2`, bucket, key))
	if err != nil {
		return s3.Object{}, nil, err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+partColumns+` FROM s3_parts WHERE object = $1 ORDER BY number`, o.ID)
	parts, err = collect(rows, err, scanPart)
	return o, parts, err
}

// DeleteObjects implements s3.Store.
func (s *S3) DeleteObjects(ctx context.Context, bucket string, keys []string) (removed []s3.Removed, err error) {
	err = s.db.write(ctx, func(tx *sql.Tx) error {
		for _, key := range keys {
			if removed, err = dropObject(ctx, tx, bucket, key, removed); err != nil {
				return err
			}
		}
		return nil
	})
	return removed, err
}

func scanObject(row scanner) (s3.Object, error) {
	var o s3.Object
	var headers, sums string
	var modified int64
	err := row.Scan(&o.Bucket, &o.Key, &o.ID, &o.Size, &o.ETag, &o.Sealing.KeyARN, &o.Sealing.BucketKey, &o.Sealing.Wrapped,
		&headers, &sums, &o.Composite, &o.PartCount, &modified)
	if err != nil {
		return s3.Object{}, missing(err, s3.ErrNoObject)
	}
	o.Modified = millis(modified)
	return o, errors.Join(json.Unmarshal([]byte(headers), &o.Headers), json.Unmarshal([]byte(sums), &o.Checksums))
}

// HasBlob implements s3.Store. It asks the writer, which sees every commit.
func (s *S3) HasBlob(ctx context.Context, id blob.ID) (bool, error) {
	var n int
	err := s.db.writer.QueryRowContext(ctx, `SELECT COUNT(*) FROM s3_parts WHERE blob = $1`, id).Scan(&n)
	return n > 0, err
}

// Blobs implements s3.Store.
func (s *S3) Blobs(ctx context.Context) iter.Seq2[blob.ID, error] {
	return func(yield func(blob.ID, error) bool) {
		rows, err := s.db.reader.QueryContext(ctx, `SELECT blob FROM s3_parts ORDER BY blob`)
		if err != nil {
			yield("", err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			id, err := scanBlob(rows)
			if !yield(id, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield("", err)
		}
	}
}

func scanBlob(row scanner) (blob.ID, error) {
	var id blob.ID
	err := row.Scan(&id)
	return id, err
}

func scanText(row scanner) (string, error) {
	var text string
	err := row.Scan(&text)
	return text, err
}
