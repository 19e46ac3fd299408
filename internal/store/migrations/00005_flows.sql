-- +goose Up
-- What jobs in VPCs sent and were refused, by 5-tuple, direction and verdict; and what they asked the resolver.
CREATE TABLE job_flows (
  job_id      TEXT NOT NULL,
  interface   TEXT NOT NULL,
  egress      BIGINT NOT NULL,
  accept      BIGINT NOT NULL,
  protocol    BIGINT NOT NULL,
  source      TEXT NOT NULL,
  source_port BIGINT NOT NULL,
  dest        TEXT NOT NULL,
  port        BIGINT NOT NULL,
  packets     BIGINT NOT NULL,
  bytes       BIGINT NOT NULL,
  first_at    BIGINT NOT NULL,
  last_at     BIGINT NOT NULL,
  PRIMARY KEY (job_id, interface, egress, accept, protocol, source, source_port, dest, port)
);

CREATE TABLE job_queries (
  job_id   TEXT NOT NULL,
  name     TEXT NOT NULL,
  type     TEXT NOT NULL,
  rcode    TEXT NOT NULL,
  asked    BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at  BIGINT NOT NULL,
  PRIMARY KEY (job_id, name, type, rcode)
);

-- +goose Down
DROP TABLE job_queries;
DROP TABLE job_flows;
