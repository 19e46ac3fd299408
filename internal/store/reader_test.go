package store

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

func TestReaderKeepsStatements(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	query := func(text string, arg int) (got int) {
		if err := db.reader.QueryRowContext(t.Context(), text, arg).Scan(&got); err != nil {
			t.Errorf("%s with %d: %v", text, arg, err)
		}
		return got
	}
	before := len(db.reader.statements)
	var wg sync.WaitGroup
	for i := range 20 { // more than there are connections
		wg.Go(func() {
			if got := query("SELECT $1 + 1", i); got != i+1 {
				t.Errorf("%d + 1 = %d", i, got)
			}
		})
	}
	wg.Wait()
	if n := len(db.reader.statements); n != before+1 {
		t.Errorf("one text made %d statements", n-before)
	}
	for i := range 2 * maxStatements { // more texts than are kept
		if got := query(fmt.Sprintf("SELECT $1 + %d", i), 7); got != 7+i {
			t.Errorf("7 + %d = %d", i, got)
		}
	}
	if n := len(db.reader.statements); n != maxStatements {
		t.Errorf("%d statements are kept, want %d", n, maxStatements)
	}
	if err := db.reader.QueryRowContext(t.Context(), "SELECT nothing FROM nowhere").Scan(new(int)); err == nil || errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a text that is no query: %v", err)
	}
	rows, err := db.reader.QueryContext(t.Context(), "SELECT nothing FROM nowhere")
	if err == nil {
		defer func() { _ = rows.Close() }()
		t.Errorf("a text that is no query has rows: %v", rows.Err())
	}
}
