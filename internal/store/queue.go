package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/cloister/internal/bedrock"
	"example.com/cloister/internal/runner"
)

// Claim implements runner.Store. Waiting jobs come in the order of their creation.
func (s *Bedrock) Claim(ctx context.Context, owner string, now, until time.Time) (runner.Claim, bool, error) {
	var claim runner.Claim
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		var queue string
		err := tx.QueryRowContext(ctx, `SELECT id, queue, attempt FROM jobs WHERE queue IN ('queued', 'parked') OR
			(queue IN ('running', 'cleaning') AND lease_until < $1 AND owner <> $2) ORDER BY created_at, id LIMIT 1`, now.UnixMilli(), owner).
			Scan(&claim.ID, &queue, &claim.Attempt)
		if err != nil {
			return err
		}
		claim.Parked = queue == "parked" || queue == "cleaning"
		next := "running"
		if claim.Parked {
			next = "cleaning"
		}
		_, err = tx.ExecContext(ctx, `UPDATE jobs SET queue = $2, owner = $3, lease_until = $4 WHERE id = $1`,
			claim.ID, next, owner, until.UnixMilli())
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return runner.Claim{}, false, nil
	}
	if err != nil {
		return runner.Claim{}, false, err
	}
	logs, err := s.StepLogs(ctx, []string{claim.ID})
	if err != nil {
		return runner.Claim{}, false, errors.Join(err, s.Leave(ctx, claim.ID, owner, now))
	}
	claim.Log = logs[claim.ID]
	return claim, true, nil
}

// Recover implements bedrock.Store: leases of a process that has died end now, and parked jobs are due. The
// caller holds the lock of the data directory, so no other process runs.
func (s *Bedrock) Recover(ctx context.Context) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE jobs SET lease_until = 0, queue = CASE queue WHEN 'waiting' THEN 'parked' ELSE queue END
			WHERE queue <> 'done'`)
		return err
	})
}

// Renew implements runner.Store.
func (s *Bedrock) Renew(ctx context.Context, id, owner string, until time.Time) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE jobs SET lease_until = $3 WHERE id = $1 AND owner = $2`, id, owner, until.UnixMilli())
		return changed(res, err, runner.ErrLost)
	})
}

// Park implements runner.Store: "waiting" waits for the next start.
func (s *Bedrock) Park(ctx context.Context, id, owner string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE jobs SET queue = 'waiting' WHERE id = $1 AND owner = $2`, id, owner)
		return changed(res, err, runner.ErrLost)
	})
}

// Leave implements runner.Store.
func (s *Bedrock) Leave(ctx context.Context, id, owner string, until time.Time) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE jobs SET owner = '', lease_until = $3 WHERE id = $1 AND owner = $2 AND queue IN ('running', 'cleaning')`,
			id, owner, until.UnixMilli())
		return changed(res, err, runner.ErrLost)
	})
}

// NextAttempt implements runner.Store.
func (s *Bedrock) NextAttempt(ctx context.Context, id, owner string) (int, error) {
	var attempt int
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `UPDATE jobs SET attempt = attempt + 1 WHERE id = $1 AND owner = $2 RETURNING attempt`, id, owner).Scan(&attempt)
		return missing(err, runner.ErrLost)
	})
	return attempt, err
}

// stepEvent is the data of a "step" entry.
type stepEvent struct {
	Step    string `json:"step"`
	Phase   string `json:"phase"`
	Attempt int    `json:"attempt"`
}

// Append implements runner.Store.
func (s *Bedrock) Append(ctx context.Context, id, owner string, e runner.Event) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		var have string
		if err := tx.QueryRowContext(ctx, `SELECT owner FROM jobs WHERE id = $1`, id).Scan(&have); err != nil {
			return missing(err, runner.ErrLost)
		}
		if have != owner {
			return runner.ErrLost
		}
		return s.eventAt(ctx, tx, id, "step", string(e.Phase), e.At, stepEvent{e.Step, string(e.Phase), e.Attempt})
	})
}

// event adds an entry to a job's event stream.
func (s *Bedrock) event(ctx context.Context, tx *sql.Tx, id, kind string, data any) error {
	return s.eventAt(ctx, tx, id, kind, "", s.now(), data)
}

func (s *Bedrock) eventAt(ctx context.Context, tx *sql.Tx, id, kind, sub string, at time.Time, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	var seq int64
	if err := tx.QueryRowContext(ctx, `UPDATE jobs SET next_seq = next_seq + 1 WHERE id = $1 RETURNING next_seq - 1`, id).Scan(&seq); err != nil {
		return fmt.Errorf("number event: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO job_events (job_id, seq, type, kind, at, data) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, seq, kind, sub, at.UnixMilli(), string(text))
	return err
}

// StepLogs implements bedrock.Store.
func (s *Bedrock) StepLogs(ctx context.Context, ids []string) (map[string][]runner.Event, error) {
	logs := make(map[string][]runner.Event, len(ids))
	if len(ids) == 0 {
		return logs, nil
	}
	args := make([]any, len(ids))
	marks := make([]string, len(ids))
	for i, id := range ids {
		args[i], marks[i] = id, fmt.Sprintf("$%d", i+1)
	}
	type line struct {
		id    string
		event runner.Event
	}
	// Not through the kept statements: every length of the list is another text.
	rows, err := s.db.reader.DB.QueryContext(ctx, `SELECT job_id, at, data FROM job_events WHERE type = 'step' AND job_id IN (`+ //nolint:gosec // only placeholders are put in
		strings.Join(marks, ", ")+`) ORDER BY job_id, seq`, args...)
	lines, err := collect(rows, err, func(row scanner) (line, error) {
		var l line
		var at int64
		var text string
		if err := row.Scan(&l.id, &at, &text); err != nil {
			return line{}, err
		}
		var e stepEvent
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return line{}, err
		}
		l.event = runner.Event{Step: e.Step, Phase: runner.Phase(e.Phase), Attempt: e.Attempt, At: millis(at)}
		return l, nil
	})
	for _, l := range lines {
		logs[l.id] = append(logs[l.id], l.event)
	}
	return logs, err
}

// AddProgress implements bedrock.Store.
func (s *Bedrock) AddProgress(ctx context.Context, id string, progress []bedrock.Progress) error {
	if len(progress) == 0 {
		return nil
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		for _, p := range progress {
			if err := s.eventAt(ctx, tx, id, "progress", p.Type, p.At, p.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropProgress implements bedrock.Store.
func (s *Bedrock) DropProgress(ctx context.Context, id string) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM job_events WHERE job_id = $1 AND type = 'progress'`, id)
		return err
	})
}

// Progress implements bedrock.Store.
func (s *Bedrock) Progress(ctx context.Context, id, kind string) ([]bedrock.Progress, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT kind, at, data FROM job_events
		WHERE job_id = $1 AND type = 'progress' AND kind = $2 ORDER BY seq`, id, kind)
	return collect(rows, err, func(row scanner) (bedrock.Progress, error) {
		var p bedrock.Progress
		var at int64
		var text string
		err := row.Scan(&p.Type, &at, &text)
		p.At, p.Data = millis(at), json.RawMessage(text)
		return p, err
	})
}

// LastProgress implements bedrock.Store.
func (s *Bedrock) LastProgress(ctx context.Context, id, kind string) (bedrock.Progress, error) {
	var p bedrock.Progress
	var at int64
	var text string
	err := s.db.reader.QueryRowContext(ctx, `SELECT kind, at, data FROM job_events
		WHERE job_id = $1 AND type = 'progress' AND kind = $2 ORDER BY seq DESC LIMIT 1`, id, kind).Scan(&p.Type, &at, &text)
	p.At, p.Data = millis(at), json.RawMessage(text)
	return p, missing(err, bedrock.ErrNotFound)
}

// Events implements bedrock.Store.
func (s *Bedrock) Events(ctx context.Context, id string, after int64, limit int) ([]bedrock.LogEntry, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT seq, type, at, data FROM job_events WHERE job_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`,
		id, after, limit)
	return collect(rows, err, func(row scanner) (bedrock.LogEntry, error) {
		var e bedrock.LogEntry
		var at int64
		var text string
		err := row.Scan(&e.Seq, &e.Type, &at, &text)
		e.At, e.Data = millis(at), json.RawMessage(text)
		return e, err
	})
}
