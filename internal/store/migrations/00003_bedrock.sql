-- +goose Up
CREATE TABLE jobs (
  id          TEXT PRIMARY KEY,
  account     TEXT NOT NULL,
  region      TEXT NOT NULL,
  name        TEXT NOT NULL,
  model_name  TEXT NOT NULL,
  model_arn   TEXT NOT NULL,
  status      TEXT NOT NULL,
  token       TEXT,
  created_at  BIGINT NOT NULL,
  doc         TEXT NOT NULL,
  wrapped_key BLOB,
  -- the queue: queued; running; cleaning (ended, undo under way); waiting, parked (undo failed); done
  queue       TEXT NOT NULL,
  owner       TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  attempt     BIGINT NOT NULL,
  next_seq    BIGINT NOT NULL,
  UNIQUE (account, region, name),
  UNIQUE (account, region, token)
);
CREATE INDEX jobs_by_time ON jobs (account, region, created_at, id);
CREATE INDEX jobs_by_status ON jobs (account, region, status, created_at, id);
CREATE INDEX jobs_by_queue ON jobs (queue, created_at, id) WHERE queue <> 'done';

CREATE TABLE job_events (
  job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  seq    BIGINT NOT NULL,
  type   TEXT NOT NULL,
  kind   TEXT NOT NULL,
  at     BIGINT NOT NULL,
  data   TEXT NOT NULL,
  PRIMARY KEY (job_id, seq)
);
CREATE INDEX job_events_steps ON job_events (job_id, seq) WHERE type = 'step';

CREATE TABLE custom_models (
  arn         TEXT PRIMARY KEY,
  account     TEXT NOT NULL,
  region      TEXT NOT NULL,
  name        TEXT NOT NULL,
  job_id      TEXT NOT NULL,
  base        TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  deleting    BIGINT NOT NULL,
  doc         TEXT NOT NULL,
  wrapped_key BLOB
);
CREATE UNIQUE INDEX custom_models_by_name ON custom_models (account, region, name) WHERE deleting = 0;
CREATE INDEX custom_models_by_time ON custom_models (account, region, created_at, arn);

CREATE TABLE artifacts (
  model_arn TEXT NOT NULL,
  path      TEXT NOT NULL,
  blob      TEXT NOT NULL,
  size      BIGINT NOT NULL,
  PRIMARY KEY (model_arn, path)
);

CREATE TABLE tags (
  arn   TEXT NOT NULL,
  key   TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (arn, key)
);

-- +goose Down
DROP TABLE tags;
DROP TABLE artifacts;
DROP TABLE custom_models;
DROP TABLE job_events;
DROP TABLE jobs;
