package store

import (
	"context"
	"database/sql"
	"sync"
)

// reader is the pool of read connections. It keeps the statements that it has prepared: parsing one costs SQLite
// more than finding a row (a sixth of the server's time on a GetModelCustomizationJob; docs/benchmarks.md).
type reader struct {
	*sql.DB

	mu         sync.Mutex // guards statements
	statements map[string]*sql.Stmt
}

// maxStatements bounds the statements that are kept. This package has some fifty texts; lists with a variable
// number of placeholders could make more.
const maxStatements = 128

func newReader(db *sql.DB) *reader { return &reader{DB: db, statements: map[string]*sql.Stmt{}} }

// statement returns the prepared statement of a text, or nil if there is none and none can be kept.
func (r *reader) statement(ctx context.Context, text string) *sql.Stmt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.statements[text]; ok {
		return s
	}
	if len(r.statements) >= maxStatements {
		return nil
	}
	s, err := r.PrepareContext(ctx, text) //nolint:sqlclosecheck // kept: the pool's Close closes it
	if err != nil {
		return nil // the query itself tells what is wrong
	}
	r.statements[text] = s
	return s
}

// QueryContext is sql.DB's, with a statement that is prepared once.
func (r *reader) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s := r.statement(ctx, text); s != nil { //nolint:sqlclosecheck // kept: the pool's Close closes it
		return s.QueryContext(ctx, args...)
	}
	return r.DB.QueryContext(ctx, text, args...)
}

// QueryRowContext is sql.DB's, with a statement that is prepared once.
func (r *reader) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	if s := r.statement(ctx, text); s != nil { //nolint:sqlclosecheck // kept: the pool's Close closes it
		return s.QueryRowContext(ctx, args...)
	}
	return r.DB.QueryRowContext(ctx, text, args...)
}
