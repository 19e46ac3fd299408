package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"example.com/cloister"
	"example.com/cloister/internal/iam"
)

// IAM implements iam.Store.
type IAM struct{ db *DB }

var _ iam.Store = (*IAM)(nil)

// IAM returns the store of the iam service.
func (db *DB) IAM() *IAM { return &IAM{db} }

const accessKeyColumns = `id, account, secret, created_at`

// RootKey implements iam.Store.
func (s *IAM) RootKey(ctx context.Context, account cloister.AccountID) (iam.AccessKey, error) {
	return scanAccessKey(s.db.reader.QueryRowContext(ctx,
		`SELECT `+accessKeyColumns+` FROM access_keys WHERE account = $1 ORDER BY created_at DESC, id LIMIT 1`, account))
}

// AccessKey implements iam.Store.
func (s *IAM) AccessKey(ctx context.Context, id string) (iam.AccessKey, error) {
	return scanAccessKey(s.db.reader.QueryRowContext(ctx, `SELECT `+accessKeyColumns+` FROM access_keys WHERE id = $1`, id))
}

// CreateAccessKey implements iam.Store.
func (s *IAM) CreateAccessKey(ctx context.Context, key iam.AccessKey) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_keys (`+accessKeyColumns+`) VALUES ($1, $2, $3, $4)`,
			key.ID, key.Account, key.SealedSecret, key.Created.UnixMilli())
		return err
	})
}

func scanAccessKey(row scanner) (iam.AccessKey, error) {
	var key iam.AccessKey
	var created int64
	err := row.Scan(&key.ID, &key.Account, &key.SealedSecret, &created)
	key.Created = millis(created)
	return key, missing(err, iam.ErrNotFound)
}

const roleColumns = `account, name, id, path, trust, description, max_session, tags, created_at`

// CreateRole implements iam.Store.
func (s *IAM) CreateRole(ctx context.Context, role iam.Role) error {
	tags, err := json.Marshal(role.Tags)
	if err != nil {
		return err
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO roles (`+roleColumns+`, name_key)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (account, name_key) DO NOTHING`,
			role.Account, role.Name, role.ID, role.Path, role.Trust, role.Description, role.MaxSession, string(tags),
			role.Created.UnixMilli(), strings.ToLower(role.Name))
		return changed(res, err, iam.ErrExists)
	})
}

// Role implements iam.Store.
func (s *IAM) Role(ctx context.Context, account cloister.AccountID, name string) (iam.Role, error) {
	role, err := scanRole(s.db.reader.QueryRowContext(ctx,
		`SELECT `+roleColumns+` FROM roles WHERE account = $1 AND name_key = $2`, account, strings.ToLower(name)))
	return role, missing(err, iam.ErrNotFound)
}

// Roles implements iam.Store.
func (s *IAM) Roles(ctx context.Context, account cloister.AccountID, pathPrefix, after string, limit int) ([]iam.Role, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT `+roleColumns+` FROM roles
		WHERE account = $1 AND name_key > $2 AND substr(path, 1, length($3)) = $3 ORDER BY name_key LIMIT $4`,
		account, strings.ToLower(after), pathPrefix, limit)
	return collect(rows, err, scanRole)
}

// DeleteRole implements iam.Store.
func (s *IAM) DeleteRole(ctx context.Context, account cloister.AccountID, name string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		var policies int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM role_policies WHERE role_id =
			(SELECT id FROM roles WHERE account = $1 AND name_key = $2)`, account, strings.ToLower(name)).Scan(&policies)
		if err != nil {
			return err
		}
		if policies > 0 {
			return iam.ErrInUse
		}
		res, err := tx.ExecContext(ctx, `DELETE FROM roles WHERE account = $1 AND name_key = $2`, account, strings.ToLower(name))
		return changed(res, err, iam.ErrNotFound)
	})
}

func scanRole(row scanner) (iam.Role, error) {
	var role iam.Role
	var tags string
	var created int64
	err := row.Scan(&role.Account, &role.Name, &role.ID, &role.Path, &role.Trust, &role.Description, &role.MaxSession, &tags, &created)
	if err != nil {
		return iam.Role{}, err
	}
	role.Created = millis(created)
	return role, json.Unmarshal([]byte(tags), &role.Tags)
}

// PutRolePolicy implements iam.Store.
func (s *IAM) PutRolePolicy(ctx context.Context, roleID, name, document string, limit int) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		var others int
		err := tx.QueryRowContext(ctx, `SELECT coalesce(sum(length(document)), 0) FROM role_policies WHERE role_id = $1 AND name <> $2`,
			roleID, name).Scan(&others)
		if err != nil {
			return err
		}
		if others+len(document) > limit {
			return iam.ErrLimit
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO role_policies (role_id, name, document) SELECT id, $2, $3 FROM roles WHERE id = $1
			ON CONFLICT (role_id, name) DO UPDATE SET document = excluded.document`, roleID, name, document)
		return changed(res, err, iam.ErrNotFound)
	})
}

// RolePolicy implements iam.Store.
func (s *IAM) RolePolicy(ctx context.Context, roleID, name string) (string, error) {
	var document string
	err := s.db.reader.QueryRowContext(ctx, `SELECT document FROM role_policies WHERE role_id = $1 AND name = $2`, roleID, name).Scan(&document)
	return document, missing(err, iam.ErrNotFound)
}

// RolePolicies implements iam.Store.
func (s *IAM) RolePolicies(ctx context.Context, roleID, after string, limit int) ([]string, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT name FROM role_policies WHERE role_id = $1 AND name > $2 ORDER BY name LIMIT $3`,
		roleID, after, limit)
	return collect(rows, err, func(row scanner) (string, error) {
		var name string
		err := row.Scan(&name)
		return name, err
	})
}

// DeleteRolePolicy implements iam.Store.
func (s *IAM) DeleteRolePolicy(ctx context.Context, roleID, name string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM role_policies WHERE role_id = $1 AND name = $2`, roleID, name)
		return changed(res, err, iam.ErrNotFound)
	})
}
