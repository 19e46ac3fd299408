// Package store keeps every service's state in one SQL database. Each service declares its own Store
// interface; this package implements them all, one file per service. The SQL runs unchanged on SQLite
// and, later, PostgreSQL: $1 placeholders, ON CONFLICT, RETURNING, BIGINT epoch milliseconds, JSON in
// TEXT.
//
// One exported method is one transaction; transactions do not escape. Writes go through one connection,
// reads through several. Commits are durable (synchronous=FULL) when a method returns.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the "sqlite" driver
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// readers is the number of read connections: enough for the two to four cores of a small host.
const readers = 4

// DB is an open database. It is safe for concurrent use.
type DB struct {
	writer *sql.DB
	reader *reader
}

// ErrNewer says that the database was written by a newer version of Cloister.
var ErrNewer = errors.New("the database was written by a newer version of cloister: use that version, or restore a backup")

// ErrCorrupt says that SQLite's quick_check found damage.
var ErrCorrupt = errors.New("the database is damaged: restore a backup")

// Open opens or creates the SQLite database at path, checks it and brings it to the current schema. On
// ErrCorrupt the DB is returned too, for reading what can be read.
func Open(ctx context.Context, path string) (*DB, error) {
	dsn := func(mode string) string {
		q := url.Values{"_txlock": {mode}, "_pragma": {
			"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)", "cache_size(-8000)", "secure_delete(1)",
		}}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	if err := private(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	writer, err := sql.Open("sqlite", dsn("immediate"))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	writer.SetMaxOpenConns(1)
	pool, err := sql.Open("sqlite", dsn("deferred"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), writer.Close())
	}
	pool.SetMaxOpenConns(readers)
	pool.SetMaxIdleConns(readers) // opening one again costs more than a query
	db := &DB{writer: writer, reader: newReader(pool)}
	if err := db.prepare(ctx); err != nil {
		if errors.Is(err, ErrCorrupt) {
			return db, err
		}
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// private makes the database's files readable by their owner only; SQLite gives its log the mode of the
// database.
func private(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	failures := []error{file.Chmod(0o600), file.Close()}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// OpenReader opens an existing database for reading beside a server that may be running. It neither checks
// nor migrates.
func OpenReader(ctx context.Context, path string) (*DB, error) {
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+q.Encode())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), pool.Close())
	}
	return &DB{writer: pool, reader: newReader(pool)}, nil
}

// ErrPinned says that a setting of the database has another value.
var ErrPinned = errors.New("the database was made with another one")

// Pin stores a setting that must never change, or returns ErrPinned if it has another value already.
func (db *DB) Pin(ctx context.Context, name, value string) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		var have string
		err := tx.QueryRowContext(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING value`, name, value).Scan(&have)
		if err == nil && have != value {
			return ErrPinned
		}
		return err
	})
}

// Pinned reports whether a setting was ever pinned.
func (db *DB) Pinned(ctx context.Context, name string) (bool, error) {
	var n int
	err := db.reader.QueryRowContext(ctx, `SELECT count(*) FROM settings WHERE name = $1`, name).Scan(&n)
	return n > 0, err
}

// Close closes the database.
func (db *DB) Close() error { return errors.Join(db.reader.Close(), db.writer.Close()) }

func (db *DB) prepare(ctx context.Context) error {
	if err := db.Check(ctx); err != nil {
		return err
	}
	migrations, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.writer, migrations)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return corrupt(fmt.Errorf("read schema version: %w", err))
	}
	if current > target {
		return fmt.Errorf("%w (schema %d, this version knows %d)", ErrNewer, current, target)
	}
	if _, err := provider.Up(ctx); err != nil {
		return corrupt(fmt.Errorf("migrate database: %w", err))
	}
	return nil
}

// Check runs SQLite's quick_check on what is on the disk, whatever is cached, and returns ErrCorrupt if it
// finds damage.
func (db *DB) Check(ctx context.Context) (err error) {
	conn, err := db.reader.Conn(ctx)
	if err != nil {
		return corrupt(fmt.Errorf("check database: %w", err))
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "PRAGMA shrink_memory"); err != nil {
		return corrupt(fmt.Errorf("check database: %w", err))
	}
	var result string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return corrupt(fmt.Errorf("check database: %w", err))
	}
	if result != "ok" {
		return fmt.Errorf("%w (%s)", ErrCorrupt, result)
	}
	return nil
}

// corrupt turns SQLite's "malformed" and "not a database" into ErrCorrupt and leaves other errors alone.
func corrupt(err error) error {
	for _, sign := range []string{"malformed", "not a database", "SQLITE_CORRUPT", "SQLITE_NOTADB"} {
		if strings.Contains(err.Error(), sign) {
			return fmt.Errorf("%w (%w)", ErrCorrupt, err)
		}
	}
	return err
}

// write runs fn in one transaction on the writer and commits it, or rolls back on error.
func (db *DB) write(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := db.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// scrubTries is how often scrub tries while readers are in the way; the next one does what it could not.
const scrubTries = 20

// scrub removes what was deleted from the write-ahead log, which has the pages as they were. In the database
// itself rows are overwritten when they are deleted (secure_delete).
func (db *DB) scrub(ctx context.Context) error {
	for range scrubTries {
		var busy, pages, moved int
		if err := db.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &moved); err != nil {
			return err
		}
		if busy == 0 {
			return nil
		}
	}
	return nil
}
