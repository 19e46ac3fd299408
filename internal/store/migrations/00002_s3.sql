-- +goose Up
CREATE TABLE s3_buckets (
  name       TEXT NOT NULL PRIMARY KEY,
  account    TEXT NOT NULL,
  region     TEXT NOT NULL,
  key_id     TEXT NOT NULL,
  bucket_key BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

-- Keys sort by bytes: SQLite's default; PostgreSQL's database needs the collation "C".
CREATE TABLE s3_objects (
  bucket      TEXT NOT NULL REFERENCES s3_buckets (name),
  key         TEXT NOT NULL,
  id          TEXT NOT NULL UNIQUE,
  size        BIGINT NOT NULL,
  etag        TEXT NOT NULL,
  key_arn     TEXT NOT NULL,
  bucket_key  BIGINT NOT NULL,
  wrapped     BLOB NOT NULL,
  headers     TEXT NOT NULL,
  checksums   TEXT NOT NULL,
  composite   BIGINT NOT NULL,
  part_count  BIGINT NOT NULL,
  modified_at BIGINT NOT NULL,
  PRIMARY KEY (bucket, key)
);

CREATE TABLE s3_uploads (
  id           TEXT NOT NULL PRIMARY KEY,
  bucket       TEXT NOT NULL REFERENCES s3_buckets (name),
  key          TEXT NOT NULL,
  key_arn      TEXT NOT NULL,
  bucket_key   BIGINT NOT NULL,
  wrapped      BLOB NOT NULL,
  headers      TEXT NOT NULL,
  algorithm    TEXT NOT NULL,
  composite    BIGINT NOT NULL,
  initiated_at BIGINT NOT NULL
);
CREATE INDEX s3_uploads_by_key ON s3_uploads (bucket, key, id);

-- The parts of objects and of uploads: completing an upload keeps its id.
CREATE TABLE s3_parts (
  object      TEXT NOT NULL,
  number      BIGINT NOT NULL,
  blob        TEXT NOT NULL UNIQUE,
  size        BIGINT NOT NULL,
  etag        TEXT NOT NULL,
  checksums   TEXT NOT NULL,
  modified_at BIGINT NOT NULL,
  PRIMARY KEY (object, number)
);

-- +goose Down
DROP TABLE s3_parts;
DROP TABLE s3_uploads;
DROP TABLE s3_objects;
DROP TABLE s3_buckets;
