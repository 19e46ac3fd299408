package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/cloister/internal/s3"
)

// position is where a list goes on: behind a key, at it, or behind an id of it.
type position struct {
	key, id   string
	inclusive bool
}

// Objects implements s3.Store.
func (s *S3) Objects(ctx context.Context, q s3.ListQuery) ([]s3.Entry[s3.Object], bool, error) {
	return listKeys(ctx, s.db.reader.DB, q, lister[s3.Object]{
		sql:  `SELECT key, size, etag, checksums, composite, modified_at FROM s3_objects`,
		scan: scanListed,
		at:   func(o s3.Object) position { return position{key: o.Key} },
		tail: ` ORDER BY key`,
	})
}

// scanListed reads what lists show of an object.
func scanListed(row scanner) (s3.Object, error) {
	var o s3.Object
	var sums string
	var modified int64
	if err := row.Scan(&o.Key, &o.Size, &o.ETag, &sums, &o.Composite, &modified); err != nil {
		return s3.Object{}, err
	}
	o.Modified = millis(modified)
	return o, json.Unmarshal([]byte(sums), &o.Checksums)
}

// Uploads implements s3.Store.
func (s *S3) Uploads(ctx context.Context, q s3.ListQuery) ([]s3.Entry[s3.Upload], bool, error) {
	return listKeys(ctx, s.db.reader.DB, q, lister[s3.Upload]{
		sql:  `SELECT ` + uploadColumns + ` FROM s3_uploads`,
		scan: scanUpload,
		at:   func(u s3.Upload) position { return position{key: u.Key, id: u.ID} },
		tail: ` ORDER BY key, id`,
	})
}

// lister says how one table is listed by key.
type lister[T any] struct {
	sql  string
	scan func(scanner) (T, error)
	at   func(T) position
	tail string
}

// listKeys makes a page in one read transaction. A common prefix is passed over in one step of the index,
// however many keys it has, so a page costs in proportion to its entries.
func listKeys[T any](ctx context.Context, db *sql.DB, q s3.ListQuery, l lister[T]) (page []s3.Entry[T], more bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()

	end := successor(q.Prefix)
	pos, ok := start(q)
	for ok {
		rows, err := l.query(ctx, tx, q.Bucket, pos, end, q.Limit+2)
		if err != nil {
			return nil, false, err
		}
		page, pos, ok, err = l.read(rows, q, page, pos)
		if err != nil {
			return nil, false, err
		}
		if len(page) > q.Limit {
			return page[:q.Limit], true, nil
		}
	}
	return page, false, nil
}

// start is the first position of a page; there is none behind the last of all prefixes.
func start(q s3.ListQuery) (position, bool) {
	if group := commonPrefix(q, q.After); group != "" && group == q.After {
		next := successor(group)
		return position{key: next, inclusive: true}, next != ""
	}
	if q.After == "" || q.After < q.Prefix {
		return position{key: q.Prefix, inclusive: true}, true
	}
	return position{key: q.After, id: q.AfterID}, true
}

// query asks for up to limit rows from a position on, below end.
func (l lister[T]) query(ctx context.Context, tx *sql.Tx, bucket string, pos position, end string, limit int) (*sql.Rows, error) {
	where, args := ` WHERE bucket = $1`, []any{bucket}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	switch {
	case pos.inclusive:
		where += ` AND key >= ` + arg(pos.key)
	case pos.id != "":
		where += ` AND (key, id) > (` + arg(pos.key) + `, ` + arg(pos.id) + `)`
	default:
		where += ` AND key > ` + arg(pos.key)
	}
	if end != "" {
		where += ` AND key < ` + arg(end)
	}
	return tx.QueryContext(ctx, l.sql+where+l.tail+` LIMIT `+arg(limit), args...)
}

// read adds rows to the page until it has one entry too many, the rows end, or a common prefix is seen
// twice. It returns where to go on, if there is reason to.
func (l lister[T]) read(rows *sql.Rows, q s3.ListQuery, page []s3.Entry[T], pos position) ([]s3.Entry[T], position, bool, error) {
	defer func() { _ = rows.Close() }()
	n := 0
	group := ""
	for len(page) <= q.Limit && rows.Next() {
		n++
		item, err := l.scan(rows)
		if err != nil {
			return nil, pos, false, err
		}
		pos = l.at(item)
		switch g := commonPrefix(q, pos.key); g {
		case "":
			page = append(page, s3.Entry[T]{Item: item})
		case group:
			next := successor(g)
			return page, position{key: next, inclusive: true}, next != "", rows.Err()
		default:
			group = g
			page = append(page, s3.Entry[T]{Prefix: g})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, pos, false, err
	}
	if group != "" { // the last row may not have been the last of its group
		if next := successor(group); strings.HasPrefix(pos.key, group) {
			return page, position{key: next, inclusive: true}, next != "" && n == q.Limit+2, nil
		}
	}
	return page, pos, n == q.Limit+2, nil
}

// commonPrefix is the group that a key belongs to, or "".
func commonPrefix(q s3.ListQuery, key string) string {
	if q.Delimiter == "" || !strings.HasPrefix(key, q.Prefix) {
		return ""
	}
	i := strings.Index(key[len(q.Prefix):], q.Delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(q.Prefix)+i+len(q.Delimiter)]
}

// successor is the smallest string that sorts behind every string with the prefix, or "" if there is none.
// The order of UTF-8 is that of code points, so the result of a valid prefix is valid too.
func successor(prefix string) string {
	for prefix != "" {
		r, n := utf8.DecodeLastRuneInString(prefix)
		rest := prefix[:len(prefix)-n]
		switch {
		case r == utf8.RuneError && n == 1: // not UTF-8: by bytes
			if last := prefix[len(prefix)-1]; last < 0xFF {
				return rest + string([]byte{last + 1})
			}
		case r == 0xD7FF:
			return rest + "\uE000"
		case r < utf8.MaxRune:
			return rest + string(r+1)
		}
		prefix = rest
	}
	return ""
}
