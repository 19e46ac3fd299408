package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"example.com/cloister"
	"example.com/cloister/internal/bedrock"
)

// Bedrock implements bedrock.Store, the job queue included.
type Bedrock struct {
	db  *DB
	now func() time.Time
}

var _ bedrock.Store = (*Bedrock)(nil)

// Bedrock returns the store of the bedrock service. now stamps the entries of event streams.
func (db *DB) Bedrock(now func() time.Time) *Bedrock { return &Bedrock{db, now} }

// jobDoc is what no query looks at.
type jobDoc struct {
	ARN             string
	Principal       string
	Type            string
	AskedBase       string
	UsedBase        string
	RoleARN         string
	TrainingURI     string
	ValidationURIs  []string `json:",omitempty"`
	OutputURI       string
	HyperParameters map[string]string
	Training        bedrock.Training
	KeyARN          string `json:",omitempty"`
	GrantID         string `json:",omitempty"`
	RequestHash     string `json:",omitempty"`
	FailureMessage  string `json:",omitempty"`
	Modified        time.Time
	Ended           *time.Time `json:",omitempty"`
	TrainingLoss    *float64   `json:",omitempty"`
	ValidationLoss  []float64  `json:",omitempty"`
	Record          bedrock.Record
	Subnets         []string `json:",omitempty"`
	Groups          []string `json:",omitempty"`
}

func docOf(j bedrock.Job) (string, error) {
	d := jobDoc{
		j.ARN, j.Principal, j.Type, j.AskedBase, j.UsedBase, j.RoleARN, j.TrainingURI, j.ValidationURIs, j.OutputURI,
		j.HyperParameters, j.Training, j.KeyARN, j.GrantID, j.RequestHash, j.FailureMessage, j.Modified, nil,
		j.TrainingLoss, j.ValidationLoss, j.Record, j.Subnets, j.Groups,
	}
	if !j.Ended.IsZero() {
		d.Ended = &j.Ended
	}
	text, err := json.Marshal(d)
	return string(text), err
}

const jobColumns = `id, account, region, name, model_name, model_arn, status, coalesce(token, ''), created_at, doc, wrapped_key, queue, attempt`

func scanJob(row scanner) (bedrock.Job, error) {
	var j bedrock.Job
	var created int64
	var text, queue string
	err := row.Scan(&j.ID, &j.Account, &j.Region, &j.Name, &j.ModelName, &j.ModelARN, &j.Status, &j.Token, &created, &text,
		&j.WrappedKey, &queue, &j.Attempt)
	if err != nil {
		return bedrock.Job{}, err
	}
	var d jobDoc
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return bedrock.Job{}, fmt.Errorf("job %s: %w", j.ID, err)
	}
	j.ARN, j.Principal, j.Type, j.AskedBase, j.UsedBase, j.RoleARN = d.ARN, d.Principal, d.Type, d.AskedBase, d.UsedBase, d.RoleARN
	j.TrainingURI, j.ValidationURIs, j.OutputURI = d.TrainingURI, d.ValidationURIs, d.OutputURI
	j.HyperParameters, j.Training, j.KeyARN, j.GrantID, j.RequestHash = d.HyperParameters, d.Training, d.KeyARN, d.GrantID, d.RequestHash
	j.FailureMessage, j.Modified, j.TrainingLoss, j.ValidationLoss, j.Record = d.FailureMessage, d.Modified, d.TrainingLoss, d.ValidationLoss, d.Record
	j.Subnets, j.Groups = d.Subnets, d.Groups
	if d.Ended != nil {
		j.Ended = *d.Ended
	}
	j.Created, j.Queued = millis(created), queue == "queued"
	return j, nil
}

// CreateJob implements bedrock.Store.
func (s *Bedrock) CreateJob(ctx context.Context, j bedrock.Job, tags, modelTags map[string]string, queueLimit int) error {
	doc, err := docOf(j)
	if err != nil {
		return err
	}
	return s.db.write(ctx, func(tx *sql.Tx) error {
		if err := s.free(ctx, tx, j, queueLimit); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO jobs (id, account, region, name, model_name, model_arn, status, token, created_at, doc,
			wrapped_key, queue, owner, lease_until, attempt, next_seq) VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), $9, $10, $11, 'queued', '', 0, 1, 1)`,
			j.ID, j.Account, j.Region, j.Name, j.ModelName, j.ModelARN, j.Status, j.Token, j.Created.UnixMilli(), doc, j.WrappedKey)
		if err != nil {
			return err
		}
		if err := setTags(ctx, tx, j.ARN, tags); err != nil {
			return err
		}
		if err := setTags(ctx, tx, j.ModelARN, modelTags); err != nil {
			return err
		}
		return s.event(ctx, tx, j.ID, "status", map[string]any{"status": j.Status})
	})
}

// free checks that names and token are free and that the queue has room.
func (s *Bedrock) free(ctx context.Context, tx *sql.Tx, j bedrock.Job, queueLimit int) error {
	checks := []struct {
		query string
		args  []any
		limit int
		err   error
	}{
		{`SELECT count(*) FROM jobs WHERE account = $1 AND region = $2 AND token = $3`, []any{j.Account, j.Region, j.Token}, 0, bedrock.ErrToken},
		{`SELECT count(*) FROM jobs WHERE account = $1 AND region = $2 AND name = $3`, []any{j.Account, j.Region, j.Name}, 0, bedrock.ErrJobName},
		{`SELECT count(*) FROM custom_models WHERE account = $1 AND region = $2 AND name = $3 AND deleting = 0`, []any{j.Account, j.Region, j.ModelName}, 0, bedrock.ErrModelName},
		{
			`SELECT count(*) FROM jobs WHERE account = $1 AND region = $2 AND model_name = $3 AND status IN ($4, $5)`,
			[]any{j.Account, j.Region, j.ModelName, bedrock.InProgress, bedrock.Stopping},
			0, bedrock.ErrModelName,
		},
		{`SELECT count(*) FROM jobs WHERE queue = 'queued'`, nil, queueLimit - 1, bedrock.ErrQueueFull},
	}
	for _, c := range checks {
		var n int
		if err := tx.QueryRowContext(ctx, c.query, c.args...).Scan(&n); err != nil {
			return err
		}
		if n > c.limit {
			return c.err
		}
	}
	return nil
}

// JobByToken implements bedrock.Store.
func (s *Bedrock) JobByToken(ctx context.Context, account cloister.AccountID, region cloister.Region, token string) (bedrock.Job, error) {
	return s.job(ctx, `account = $1 AND region = $2 AND token = $3`, account, region, token)
}

// Job implements bedrock.Store.
func (s *Bedrock) Job(ctx context.Context, account cloister.AccountID, region cloister.Region, idOrName string) (bedrock.Job, error) {
	job, err := s.job(ctx, `account = $1 AND region = $2 AND name = $3`, account, region, idOrName)
	if errors.Is(err, bedrock.ErrNotFound) {
		return s.job(ctx, `account = $1 AND region = $2 AND id = $3`, account, region, idOrName)
	}
	return job, err
}

// JobByID implements bedrock.Store.
func (s *Bedrock) JobByID(ctx context.Context, id string) (bedrock.Job, error) {
	return s.job(ctx, `id = $1`, id)
}

func (s *Bedrock) job(ctx context.Context, where string, args ...any) (bedrock.Job, error) {
	job, err := scanJob(s.db.reader.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE `+where, args...))
	if err != nil {
		return bedrock.Job{}, missing(err, bedrock.ErrNotFound)
	}
	if job.Queued {
		err = s.db.reader.QueryRowContext(ctx, `SELECT count(*) FROM jobs WHERE queue = 'queued' AND (created_at, id) <= ($1, $2)`,
			job.Created.UnixMilli(), job.ID).Scan(&job.Position)
	}
	return job, err
}

// Jobs implements bedrock.Store.
func (s *Bedrock) Jobs(ctx context.Context, q bedrock.JobQuery) ([]bedrock.Job, error) {
	sel := newSelection(q, "id")
	if q.Status != "" {
		sel.and("status = ?", q.Status)
	}
	rows, err := s.db.reader.QueryContext(ctx, sel.sql("SELECT "+jobColumns+" FROM jobs", q.Limit), sel.args...)
	return collect(rows, err, scanJob)
}

// selection builds the WHERE, ORDER BY and LIMIT of a list.
type selection struct {
	where []string
	args  []any
	order string
}

func newSelection(q bedrock.JobQuery, id string) *selection {
	sel := &selection{order: "created_at DESC, " + id + " DESC"}
	sel.and("account = ?", q.Account)
	sel.and("region = ?", q.Region)
	if !q.After.IsZero() {
		sel.and("created_at > ?", q.After.UnixMilli())
	}
	if !q.Before.IsZero() {
		sel.and("created_at < ?", q.Before.UnixMilli())
	}
	if q.NameContains != "" {
		sel.and("instr(name, ?) > 0", q.NameContains)
	}
	compare := "<"
	if q.Ascending {
		compare, sel.order = ">", "created_at, "+id
	}
	if q.CursorID != "" {
		sel.and("(created_at, "+id+") "+compare+" (?, ?)", q.CursorTime.UnixMilli(), q.CursorID)
	}
	return sel
}

// and adds a condition; each ? becomes the next $n.
func (sel *selection) and(condition string, args ...any) {
	for _, arg := range args {
		sel.args = append(sel.args, arg)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(sel.args)), 1)
	}
	sel.where = append(sel.where, condition)
}

func (sel *selection) sql(start string, limit int) string {
	sel.args = append(sel.args, limit)
	return fmt.Sprintf("%s WHERE %s ORDER BY %s LIMIT $%d", start, strings.Join(sel.where, " AND "), sel.order, len(sel.args))
}

// UpdateJob implements bedrock.Store.
func (s *Bedrock) UpdateJob(ctx context.Context, id string, change func(*bedrock.Job) error) error {
	return s.db.write(ctx, func(tx *sql.Tx) error { return s.update(ctx, tx, id, change) })
}

func (s *Bedrock) update(ctx context.Context, tx *sql.Tx, id string, change func(*bedrock.Job) error) error {
	job, err := scanJob(tx.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE id = $1`, id))
	if err != nil {
		return missing(err, bedrock.ErrNotFound)
	}
	before := job.Status
	if err := change(&job); err != nil {
		return err
	}
	doc, err := docOf(job)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs SET status = $2, doc = $3, wrapped_key = $4 WHERE id = $1`,
		id, job.Status, doc, job.WrappedKey); err != nil {
		return err
	}
	if job.Status != before && (job.Status == bedrock.Failed || job.Status == bedrock.Stopped) { // the model that these were for
		if _, err := tx.ExecContext(ctx, `DELETE FROM tags WHERE arn = $1`, job.ModelARN); err != nil {
			return err
		}
	}
	if job.Status != before {
		return s.event(ctx, tx, id, "status", map[string]any{"status": job.Status})
	}
	return nil
}

// StopQueued implements bedrock.Store.
func (s *Bedrock) StopQueued(ctx context.Context, id string, now time.Time) (bool, error) {
	stopped := false
	err := s.db.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE jobs SET queue = 'done' WHERE id = $1 AND queue = 'queued'`, id)
		if err := changed(res, err, bedrock.ErrNotFound); err != nil {
			if errors.Is(err, bedrock.ErrNotFound) {
				return nil
			}
			return err
		}
		stopped = true
		if err := s.update(ctx, tx, id, func(j *bedrock.Job) error {
			j.Status, j.Modified, j.Ended = bedrock.Stopped, now, now
			return nil
		}); err != nil {
			return err
		}
		return s.event(ctx, tx, id, "done", map[string]any{"status": bedrock.Stopped})
	})
	return stopped, err
}

// EndedWithKey implements bedrock.Store.
func (s *Bedrock) EndedWithKey(ctx context.Context) ([]bedrock.Job, error) {
	rows, err := s.db.reader.QueryContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE status IN ($1, $2) AND wrapped_key IS NOT NULL`,
		bedrock.Failed, bedrock.Stopped)
	return collect(rows, err, scanJob)
}

// FinishJob implements bedrock.Store. A parked job stays so, and the end is told once.
func (s *Bedrock) FinishJob(ctx context.Context, id string, change func(*bedrock.Job) error) error {
	return s.db.write(ctx, func(tx *sql.Tx) error {
		if err := s.update(ctx, tx, id, change); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE jobs SET queue = CASE queue WHEN 'waiting' THEN queue ELSE 'done' END, owner = '' WHERE id = $1`, id)
		if err != nil {
			return err
		}
		var status string
		var told int
		err = tx.QueryRowContext(ctx, `SELECT status, (SELECT count(*) FROM job_events WHERE job_id = $1 AND type = 'done') FROM jobs WHERE id = $1`, id).
			Scan(&status, &told)
		if err != nil || told > 0 {
			return err
		}
		return s.event(ctx, tx, id, "done", map[string]any{"status": status})
	})
}
