-- +goose Up
CREATE TABLE access_keys (
  id         TEXT PRIMARY KEY,
  account    TEXT NOT NULL,
  principal  TEXT NOT NULL,
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

CREATE TABLE keys (
  account     TEXT NOT NULL,
  region      TEXT NOT NULL,
  id          TEXT NOT NULL PRIMARY KEY,
  state       TEXT NOT NULL,
  description TEXT NOT NULL,
  policy      TEXT NOT NULL,
  material_id TEXT NOT NULL,
  material    BLOB,
  tags        TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  delete_at   BIGINT NOT NULL
);
CREATE INDEX keys_by_place ON keys (account, region, id);

CREATE TABLE key_aliases (
  account    TEXT NOT NULL,
  region     TEXT NOT NULL,
  name       TEXT NOT NULL,
  key_id     TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (account, region, name)
);

CREATE TABLE grants (
  id         TEXT PRIMARY KEY,
  key_id     TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
  token_hash BLOB NOT NULL,
  name       TEXT NOT NULL,
  grantee    TEXT NOT NULL,
  retiring   TEXT NOT NULL,
  operations TEXT NOT NULL,
  context_equals TEXT NOT NULL,
  context_subset TEXT NOT NULL,
  issuer     TEXT NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX grants_by_key ON grants (key_id, id);

-- +goose Down
DROP TABLE grants;
DROP TABLE key_aliases;
DROP TABLE keys;
DROP TABLE role_policies;
DROP TABLE roles;
DROP TABLE access_keys;
