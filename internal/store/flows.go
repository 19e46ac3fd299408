package store

import (
	"context"
	"database/sql"
	"net/netip"
	"time"

	"example.com/cloister/internal/flows"
)

// Flows implements flows.Store.
type Flows struct{ db *DB }

var _ flows.Store = (*Flows)(nil)

// Flows returns the store of what jobs in VPCs sent.
func (db *DB) Flows() *Flows { return &Flows{db} }

// AddFlows implements flows.Store.
func (s *Flows) AddFlows(ctx context.Context, job string, totals []flows.Total, asked []flows.Asked, limit int) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		var flowRows, queryRows int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM job_flows WHERE job_id = $1`, job).Scan(&flowRows); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM job_queries WHERE job_id = $1`, job).Scan(&queryRows); err != nil {
			return err
		}
		for _, t := range totals {
			new, err := s.addFlow(ctx, tx, job, t, flowRows >= limit)
			if err != nil {
				return err
			}
			if new {
				flowRows++
			}
		}
		for _, q := range asked {
			new, err := s.addQuery(ctx, tx, job, q, queryRows >= limit)
			if err != nil {
				return err
			}
			if new {
				queryRows++
			}
		}
		return nil
	})
}

// addFlow adds to a row, or makes one. full makes it that of all others.
func (s *Flows) addFlow(ctx context.Context, tx *sql.Tx, job string, t flows.Total, full bool) (made bool, err error) {
	update := func() (bool, error) {
		out, err := tx.ExecContext(ctx, `UPDATE job_flows SET packets = packets + $1, bytes = bytes + $2, last_at = CASE WHEN last_at < $3 THEN $3 ELSE last_at END
			WHERE job_id = $4 AND interface = $5 AND egress = $6 AND accept = $7 AND protocol = $8 AND source = $9 AND source_port = $10 AND dest = $11 AND port = $12`,
			int64(t.Packets), int64(t.Bytes), t.Last.UnixMilli(), job, t.Interface, flag(t.Egress), flag(t.Accept), t.Protocol, text(t.Source), t.SourcePort, text(t.Dest), t.Port) //nolint:gosec // counters of a job fit
		if err != nil {
			return false, err
		}
		n, err := out.RowsAffected()
		return n > 0, err
	}
	if done, err := update(); done || err != nil {
		return false, err
	}
	if full {
		t.Protocol, t.Source, t.SourcePort, t.Dest, t.Port = 0, netip.Addr{}, 0, netip.Addr{}, 0
		if done, err := update(); done || err != nil {
			return false, err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO job_flows (job_id, interface, egress, accept, protocol, source, source_port, dest, port, packets, bytes, first_at, last_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		job, t.Interface, flag(t.Egress), flag(t.Accept), t.Protocol, text(t.Source), t.SourcePort, text(t.Dest), t.Port,
		int64(t.Packets), int64(t.Bytes), t.First.UnixMilli(), t.Last.UnixMilli()) //nolint:gosec // as above
	return true, err
}

func (s *Flows) addQuery(ctx context.Context, tx *sql.Tx, job string, q flows.Asked, full bool) (made bool, err error) {
	update := func() (bool, error) {
		out, err := tx.ExecContext(ctx, `UPDATE job_queries SET asked = asked + $1, last_at = CASE WHEN last_at < $2 THEN $2 ELSE last_at END
			WHERE job_id = $3 AND name = $4 AND type = $5 AND rcode = $6`, q.Count, q.Last.UnixMilli(), job, q.Name, q.Type, q.RCode)
		if err != nil {
			return false, err
		}
		n, err := out.RowsAffected()
		return n > 0, err
	}
	if done, err := update(); done || err != nil {
		return false, err
	}
	if full {
		q.Name, q.Type, q.RCode = "*", "*", "*"
		if done, err := update(); done || err != nil {
			return false, err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO job_queries (job_id, name, type, rcode, asked, first_at, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		job, q.Name, q.Type, q.RCode, q.Count, q.First.UnixMilli(), q.Last.UnixMilli())
	return true, err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// text is an address; "" is none.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// JobFlows implements flows.Store.
func (s *Flows) JobFlows(ctx context.Context, job string) ([]flows.Total, []flows.Asked, error) {
	totals := []flows.Total{}
	err := s.each(ctx, `SELECT interface, egress, accept, protocol, source, source_port, dest, port, packets, bytes, first_at, last_at
		FROM job_flows WHERE job_id = $1 ORDER BY first_at, source, source_port, dest, port, egress`, job, func(row scanner) error {
		var t flows.Total
		var source, dest string
		var first, last int64
		if err := row.Scan(&t.Interface, &t.Egress, &t.Accept, &t.Protocol, &source, &t.SourcePort, &dest, &t.Port, &t.Packets, &t.Bytes, &first, &last); err != nil {
			return err
		}
		t.Source, _ = netip.ParseAddr(source) // "" is the zero address
		t.Dest, _ = netip.ParseAddr(dest)
		t.First, t.Last = millis(first), millis(last)
		totals = append(totals, t)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	asked := []flows.Asked{}
	err = s.each(ctx, `SELECT name, type, rcode, asked, first_at, last_at FROM job_queries WHERE job_id = $1 ORDER BY first_at, name, type`, job, func(row scanner) error {
		var q flows.Asked
		var first, last int64
		if err := row.Scan(&q.Name, &q.Type, &q.RCode, &q.Count, &first, &last); err != nil {
			return err
		}
		q.First, q.Last = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
		asked = append(asked, q)
		return nil
	})
	return totals, asked, err
}

// each scans every row of a query of a job.
func (s *Flows) each(ctx context.Context, query, job string, scan func(scanner) error) error {
	rows, err := s.db.reader.QueryContext(ctx, query, job)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
