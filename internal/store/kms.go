package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/kms"
)

// KMS implements kms.Store.
type KMS struct{ db *DB }

var _ kms.Store = (*KMS)(nil)

// KMS returns the store of the kms service.
func (db *DB) KMS() *KMS { return &KMS{db} }

const keyColumns = `account, region, id, state, description, policy, material_id, material, tags, created_at, delete_at`

// CreateKey implements kms.Store.
func (s *KMS) CreateKey(ctx context.Context, key kms.Key) error {
	tags, err := json.Marshal(key.Tags)
	if err != nil {
		return err
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO kms_keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			key.Account, key.Region, key.ID, key.State, key.Description, key.Policy, key.MaterialID, key.Material, string(tags),
			key.Created.UnixMilli(), deadline(key.Deletion))
		return err
	})
}

// Key implements kms.Store.
func (s *KMS) Key(ctx context.Context, account cloister.AccountID, region cloister.Region, id string) (kms.Key, error) {
	key, err := scanKey(s.db.reader.QueryRowContext(ctx,
		`SELECT `+keyColumns+` FROM kms_keys WHERE id = $1 AND account = $2 AND region = $3`, id, account, region))
	return key, missing(err, kms.ErrNotFound)
}

// Keys implements kms.Store.
func (s *KMS) Keys(ctx context.Context, account cloister.AccountID, region cloister.Region, after string, limit int) ([]kms.Key, error) {
	rows, err := s.db.reader.QueryContext(ctx,
		`SELECT `+keyColumns+` FROM kms_keys WHERE account = $1 AND region = $2 AND id > $3 ORDER BY id LIMIT $4`,
		account, region, after, limit)
	return collect(rows, err, scanKey)
}

// UpdateKey implements kms.Store.
func (s *KMS) UpdateKey(ctx context.Context, id string, change func(*kms.Key) error) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		key, err := scanKey(tx.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM kms_keys WHERE id = $1`, id))
		if err != nil {
			return missing(err, kms.ErrNotFound)
		}
		if err := change(&key); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE kms_keys SET state = $2, description = $3, policy = $4, delete_at = $5 WHERE id = $1`,
			id, key.State, key.Description, key.Policy, deadline(key.Deletion))
		return err
	})
}

// DeleteExpired implements kms.Store.
func (s *KMS) DeleteExpired(ctx context.Context, now time.Time) ([]string, error) {
	var ids []string
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `DELETE FROM kms_keys WHERE delete_at > 0 AND delete_at <= $1 RETURNING id`, now.UnixMilli())
		ids, err = collect(rows, err, func(row scanner) (string, error) {
			var id string
			err := row.Scan(&id)
			return id, err
		})
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids, s.db.scrub(ctx)
}

func scanKey(row scanner) (kms.Key, error) {
	var key kms.Key
	var tags string
	var created, deletion int64
	err := row.Scan(&key.Account, &key.Region, &key.ID, &key.State, &key.Description, &key.Policy, &key.MaterialID, &key.Material,
		&tags, &created, &deletion)
	if err != nil {
		return kms.Key{}, err
	}
	key.Created = millis(created)
	if deletion > 0 {
		key.Deletion = millis(deletion)
	}
	return key, json.Unmarshal([]byte(tags), &key.Tags)
}

// deadline stores the zero time as 0.
func deadline(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

const aliasColumns = `account, region, name, key_id, created_at, updated_at`

// CreateAlias implements kms.Store.
func (s *KMS) CreateAlias(ctx context.Context, alias kms.Alias) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO kms_aliases (`+aliasColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (account, region, name) DO NOTHING`,
			alias.Account, alias.Region, alias.Name, alias.KeyID, alias.Created.UnixMilli(), alias.Updated.UnixMilli())
		return changed(res, err, kms.ErrExists)
	})
}

// UpdateAlias implements kms.Store.
func (s *KMS) UpdateAlias(ctx context.Context, alias kms.Alias) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE kms_aliases SET key_id = $4, updated_at = $5 WHERE account = $1 AND region = $2 AND name = $3`,
			alias.Account, alias.Region, alias.Name, alias.KeyID, alias.Updated.UnixMilli())
		return changed(res, err, kms.ErrNotFound)
	})
}

// DeleteAlias implements kms.Store.
func (s *KMS) DeleteAlias(ctx context.Context, account cloister.AccountID, region cloister.Region, name string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM kms_aliases WHERE account = $1 AND region = $2 AND name = $3`, account, region, name)
		return changed(res, err, kms.ErrNotFound)
	})
}

// Alias implements kms.Store.
func (s *KMS) Alias(ctx context.Context, account cloister.AccountID, region cloister.Region, name string) (kms.Alias, error) {
	alias, err := scanAlias(s.db.reader.QueryRowContext(ctx,
		`SELECT `+aliasColumns+` FROM kms_aliases WHERE account = $1 AND region = $2 AND name = $3`, account, region, name))
	return alias, missing(err, kms.ErrNotFound)
}

// Aliases implements kms.Store.
func (s *KMS) Aliases(ctx context.Context, account cloister.AccountID, region cloister.Region, keyID, after string, limit int) ([]kms.Alias, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT `+aliasColumns+` FROM kms_aliases
		WHERE account = $1 AND region = $2 AND name > $3 AND ($4 = '' OR key_id = $4) ORDER BY name LIMIT $5`,
		account, region, after, keyID, limit)
	return collect(rows, err, scanAlias)
}

func scanAlias(row scanner) (kms.Alias, error) {
	var a kms.Alias
	var created, updated int64
	err := row.Scan(&a.Account, &a.Region, &a.Name, &a.KeyID, &created, &updated)
	a.Created, a.Updated = millis(created), millis(updated)
	return a, err
}

const grantColumns = `id, key_id, name, grantee, retiring, operations, context_equals, context_subset, issuer, created_at`

// CreateGrant implements kms.Store.
func (s *KMS) CreateGrant(ctx context.Context, grant kms.Grant) (kms.Grant, error) {
	operations, err1 := json.Marshal(grant.Operations)
	equals, err2 := json.Marshal(grant.Equals)
	subset, err3 := json.Marshal(grant.Subset)
	if err := errors.Join(err1, err2, err3); err != nil {
		return kms.Grant{}, err
	}
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		if grant.Name != "" {
			rows, err := tx.QueryContext(ctx, `SELECT `+grantColumns+` FROM kms_grants WHERE key_id = $1 AND name = $2`, grant.KeyID, grant.Name)
			named, err := collect(rows, err, scanGrant)
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(named, func(g kms.Grant) bool { return sameGrant(g, grant) }); i >= 0 {
				grant = named[i]
				return nil
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO kms_grants (`+grantColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			grant.ID, grant.KeyID, grant.Name, grant.Grantee, grant.Retiring, string(operations), string(equals), string(subset),
			grant.Issuer, grant.Created.UnixMilli())
		return err
	})
	return grant, err
}

// sameGrant reports whether two grants have equal parameters.
func sameGrant(a, b kms.Grant) bool {
	return a.Grantee == b.Grantee && a.Retiring == b.Retiring && slices.Equal(a.Operations, b.Operations) &&
		maps.Equal(a.Equals, b.Equals) && maps.Equal(a.Subset, b.Subset)
}

// Grants implements kms.Store.
func (s *KMS) Grants(ctx context.Context, keyID, grantee, after string, limit int) ([]kms.Grant, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT `+grantColumns+` FROM kms_grants
		WHERE key_id = $1 AND ($2 = '' OR grantee = $2) AND id > $3 ORDER BY id LIMIT $4`, keyID, grantee, after, limit)
	return collect(rows, err, scanGrant)
}

// Grant implements kms.Store.
func (s *KMS) Grant(ctx context.Context, keyID, id string) (kms.Grant, error) {
	grant, err := scanGrant(s.db.reader.QueryRowContext(ctx, `SELECT `+grantColumns+` FROM kms_grants WHERE key_id = $1 AND id = $2`, keyID, id))
	return grant, missing(err, kms.ErrNotFound)
}

// DeleteGrant implements kms.Store.
func (s *KMS) DeleteGrant(ctx context.Context, keyID, id string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM kms_grants WHERE key_id = $1 AND id = $2`, keyID, id)
		return changed(res, err, kms.ErrNotFound)
	})
}

func scanGrant(row scanner) (kms.Grant, error) {
	var g kms.Grant
	var operations, equals, subset string
	var created int64
	err := row.Scan(&g.ID, &g.KeyID, &g.Name, &g.Grantee, &g.Retiring, &operations, &equals, &subset, &g.Issuer, &created)
	if err != nil {
		return kms.Grant{}, err
	}
	g.Created = millis(created)
	return g, errors.Join(json.Unmarshal([]byte(operations), &g.Operations), json.Unmarshal([]byte(equals), &g.Equals),
		json.Unmarshal([]byte(subset), &g.Subset))
}
