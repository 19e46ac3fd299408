-- +goose Up
CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE access_keys (
  id         TEXT PRIMARY KEY,
  account    TEXT NOT NULL,
  secret     BLOB NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE roles (
  account     TEXT NOT NULL,
  name        TEXT NOT NULL,
  name_key    TEXT NOT NULL,
  id          TEXT NOT NULL UNIQUE,
  path        TEXT NOT NULL,
  trust       TEXT NOT NULL,
  description TEXT NOT NULL,
  max_session BIGINT NOT NULL,
  tags        TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (account, name_key)
);

CREATE TABLE role_policies (
  role_id  TEXT NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
  name     TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (role_id, name)
);

CREATE TABLE kms_keys (
  account     TEXT NOT NULL,
  region      TEXT NOT NULL,
  id          TEXT NOT NULL PRIMARY KEY,
  state       TEXT NOT NULL,
  description TEXT NOT NULL,
  policy      TEXT NOT NULL,
  material_id TEXT NOT NULL,
  material    BLOB NOT NULL,
  tags        TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  delete_at   BIGINT NOT NULL
);
CREATE INDEX kms_keys_by_place ON kms_keys (account, region, id);
CREATE INDEX kms_keys_by_deletion ON kms_keys (delete_at) WHERE delete_at > 0;

CREATE TABLE kms_aliases (
  account    TEXT NOT NULL,
  region     TEXT NOT NULL,
  name       TEXT NOT NULL,
  key_id     TEXT NOT NULL REFERENCES kms_keys (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (account, region, name)
);
CREATE INDEX kms_aliases_by_key ON kms_aliases (key_id);

CREATE TABLE kms_grants (
  id             TEXT PRIMARY KEY,
  key_id         TEXT NOT NULL REFERENCES kms_keys (id) ON DELETE CASCADE,
  name           TEXT NOT NULL,
  grantee        TEXT NOT NULL,
  retiring       TEXT NOT NULL,
  operations     TEXT NOT NULL,
  context_equals TEXT NOT NULL,
  context_subset TEXT NOT NULL,
  issuer         TEXT NOT NULL,
  created_at     BIGINT NOT NULL
);
CREATE INDEX kms_grants_by_key ON kms_grants (key_id, id);
CREATE INDEX kms_grants_by_grantee ON kms_grants (key_id, grantee);

-- +goose Down
DROP TABLE kms_grants;
DROP TABLE kms_aliases;
DROP TABLE kms_keys;
DROP TABLE role_policies;
DROP TABLE roles;
DROP TABLE access_keys;
DROP TABLE settings;
