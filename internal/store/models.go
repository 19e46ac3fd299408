package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/blob"
)

// AddArtifact implements bedrock.Store.
func (s *Bedrock) AddArtifact(ctx context.Context, modelARN string, a bedrock.Artifact) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO artifacts (model_arn, path, blob, size) VALUES ($1, $2, $3, $4)`,
			modelARN, a.Path, a.Blob, a.Size)
		return err
	})
}

// Artifacts implements bedrock.Store.
func (s *Bedrock) Artifacts(ctx context.Context, modelARN string) ([]bedrock.Artifact, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT path, blob, size FROM artifacts WHERE model_arn = $1 ORDER BY path`, modelARN)
	return collect(rows, err, func(row scanner) (bedrock.Artifact, error) {
		var a bedrock.Artifact
		err := row.Scan(&a.Path, &a.Blob, &a.Size)
		return a, err
	})
}

// DropArtifacts implements bedrock.Store.
func (s *Bedrock) DropArtifacts(ctx context.Context, modelARN string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM artifacts WHERE model_arn = $1`, modelARN)
		return err
	})
}

// ArtifactBlobs implements bedrock.Store.
func (s *Bedrock) ArtifactBlobs(ctx context.Context) (map[blob.ID]bool, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT blob FROM artifacts`)
	ids, err := collect(rows, err, func(row scanner) (blob.ID, error) {
		var id blob.ID
		err := row.Scan(&id)
		return id, err
	})
	set := make(map[blob.ID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set, err
}

const modelColumns = `arn, account, region, name, job_id, created_at, deleting, doc, wrapped_key`

// modelDoc is what no query looks at.
type modelDoc struct {
	JobARN, JobName, Type string
	AskedBase, UsedBase   string
	Method                string
	KeyARN, GrantID       string
}

func scanModel(row scanner) (bedrock.Model, error) {
	var m bedrock.Model
	var created int64
	var text string
	if err := row.Scan(&m.ARN, &m.Account, &m.Region, &m.Name, &m.JobID, &created, &m.Deleting, &text, &m.WrappedKey); err != nil {
		return bedrock.Model{}, err
	}
	var d modelDoc
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return bedrock.Model{}, fmt.Errorf("model %s: %w", m.ARN, err)
	}
	m.JobARN, m.JobName, m.Type, m.AskedBase, m.UsedBase, m.Method, m.KeyARN, m.GrantID = d.JobARN, d.JobName, d.Type, d.AskedBase, d.UsedBase, d.Method, d.KeyARN, d.GrantID
	m.Created = millis(created)
	return m, nil
}

// RegisterModel implements bedrock.Store.
func (s *Bedrock) RegisterModel(ctx context.Context, m bedrock.Model, complete func(*bedrock.Job) error) error {
	doc, err := json.Marshal(modelDoc{m.JobARN, m.JobName, m.Type, m.AskedBase, m.UsedBase, m.Method, m.KeyARN, m.GrantID})
	if err != nil {
		return err
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO custom_models (arn, account, region, name, job_id, base, created_at, deleting, doc, wrapped_key)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (arn) DO NOTHING`,
			m.ARN, m.Account, m.Region, m.Name, m.JobID, m.AskedBase, m.Created.UnixMilli(), string(doc), m.WrappedKey)
		if err != nil {
			return err
		}
		return s.update(ctx, tx, m.JobID, complete)
	})
}

// Model implements bedrock.Store.
func (s *Bedrock) Model(ctx context.Context, account cloister.AccountID, region cloister.Region, arnOrName string) (bedrock.Model, error) {
	m, err := scanModel(s.db.reader.QueryRowContext(ctx, `SELECT `+modelColumns+` FROM custom_models
		WHERE account = $1 AND region = $2 AND (arn = $3 OR name = $3) AND deleting = 0`, account, region, arnOrName))
	return m, missing(err, bedrock.ErrNotFound)
}

// Models implements bedrock.Store.
func (s *Bedrock) Models(ctx context.Context, q bedrock.JobQuery) ([]bedrock.Model, error) {
	sel := newSelection(q, "arn")
	sel.and("deleting = 0")
	if q.Foundation != "" {
		sel.and("base = ?", q.Foundation)
	}
	rows, err := s.db.reader.QueryContext(ctx, sel.sql("SELECT "+modelColumns+" FROM custom_models", q.Limit), sel.args...)
	return collect(rows, err, scanModel)
}

// BeginDelete implements bedrock.Store.
func (s *Bedrock) BeginDelete(ctx context.Context, arn string) error {
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE custom_models SET deleting = 1, wrapped_key = NULL WHERE arn = $1 AND deleting = 0`, arn)
		if err := changed(res, err, bedrock.ErrNotFound); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE jobs SET wrapped_key = NULL WHERE model_arn = $1`, arn)
		return err
	})
	if err != nil {
		return err
	}
	return s.Scrub(ctx)
}

// Scrub implements bedrock.Store.
func (s *Bedrock) Scrub(ctx context.Context) error { return s.db.scrub(ctx) }

// FinishDelete implements bedrock.Store.
func (s *Bedrock) FinishDelete(ctx context.Context, arn string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		for _, statement := range []string{
			`DELETE FROM artifacts WHERE model_arn = $1`, `DELETE FROM tags WHERE arn = $1`, `DELETE FROM custom_models WHERE arn = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, arn); err != nil {
				return err
			}
		}
		return nil
	})
}

// Deleting implements bedrock.Store.
func (s *Bedrock) Deleting(ctx context.Context) ([]bedrock.Model, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT `+modelColumns+` FROM custom_models WHERE deleting = 1`)
	return collect(rows, err, scanModel)
}

// Tags implements bedrock.Store.
func (s *Bedrock) Tags(ctx context.Context, arn string) (map[string]string, error) {
	type pair struct{ key, value string }
	rows, err := s.db.reader.QueryContext(ctx, `SELECT key, value FROM tags WHERE arn = $1`, arn)
	pairs, err := collect(rows, err, func(row scanner) (pair, error) {
		var p pair
		err := row.Scan(&p.key, &p.value)
		return p, err
	})
	tags := make(map[string]string, len(pairs))
	for _, p := range pairs {
		tags[p.key] = p.value
	}
	return tags, err
}

// ChangeTags implements bedrock.Store.
func (s *Bedrock) ChangeTags(ctx context.Context, arn string, set map[string]string, remove []string, limit int) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		for _, key := range remove {
			if _, err := tx.ExecContext(ctx, `DELETE FROM tags WHERE arn = $1 AND key = $2`, arn, key); err != nil {
				return err
			}
		}
		if err := setTags(ctx, tx, arn, set); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM tags WHERE arn = $1`, arn).Scan(&n); err != nil {
			return err
		}
		if n > limit {
			return bedrock.ErrTags
		}
		return nil
	})
}

func setTags(ctx context.Context, tx *sql.Tx, arn string, tags map[string]string) error {
	for key, value := range tags {
		_, err := tx.ExecContext(ctx, `INSERT INTO tags (arn, key, value) VALUES ($1, $2, $3)
			ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value`, arn, key, value)
		if err != nil {
			return err
		}
	}
	return nil
}
