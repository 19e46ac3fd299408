-- +goose Up
-- Who changes resources of a region makes a new version of it in the same transaction, if it is still the one that was read.
CREATE TABLE vpc_regions (
  account TEXT NOT NULL,
  region  TEXT NOT NULL,
  version BIGINT NOT NULL,
  PRIMARY KEY (account, region)
);

CREATE TABLE vpc_resources (
  account TEXT NOT NULL,
  region  TEXT NOT NULL,
  id      TEXT NOT NULL,
  kind    TEXT NOT NULL,
  doc     TEXT NOT NULL,
  PRIMARY KEY (account, region, id)
);
CREATE INDEX vpc_resources_by_kind ON vpc_resources (account, kind, region, id);

-- +goose Down
DROP TABLE vpc_resources;
DROP TABLE vpc_regions;
