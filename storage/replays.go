package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var _ api.JobStore = (*DB)(nil)

// maxUnfinished is how many jobs of a kind a tenant may have that have not ended.
const maxUnfinished = 100

// jobPlan is how far a job is. It is stored with each chunk of the job, in the same
// transaction, so that whoever goes on with the job goes on behind that chunk.
type jobPlan struct {
	Low     int64   `json:"low"`   // the events of the job are those with low <= number < below
	Below   int64   `json:"below"` // what was accepted after the job was made is not part of it
	Sources []int64 `json:"sources,omitempty"`
	Tracks  []track `json:"tracks"`
	// PaidUntil is up to when the job has used up its rate, in Unix µs.
	PaidUntil int64            `json:"paidUntil,omitempty"`
	Counts    search.JobCounts `json:"counts"`
}

// track is the part of a job that goes to one subscription.
type track struct {
	Sub  int64 `json:"sub"`
	At   int64 `json:"at"` // number of the last event that was looked at
	Done bool  `json:"done,omitempty"`
}

// done reports whether all tracks have looked at everything.
func (p *jobPlan) done() bool {
	return !slices.ContainsFunc(p.Tracks, func(t track) bool { return !t.Done })
}

// subs lists the subscriptions of the tracks.
func (p *jobPlan) subs() []int64 {
	subs := make([]int64, len(p.Tracks))
	for i, t := range p.Tracks {
		subs[i] = t.Sub
	}
	return subs
}

// askedJob is the row of a job that somebody asked for.
type askedJob struct {
	search.Job
	plan jobPlan
	text string // of plan, as it is stored
}

const jobColumns = "no, id, tenant, kind, filter, made_by, progress, state, created_at, updated_at"

func scanJob(row interface{ Scan(...any) error }) (*askedJob, error) {
	j := new(askedJob)
	var filter, progress string
	var tenant int64
	if err := row.Scan(&j.No, &j.ID, &tenant, &j.Kind, &filter, &j.By, &progress, &j.State,
		&j.CreatedAt, &j.UpdatedAt); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(filter), &j.Spec); err != nil {
		return nil, fmt.Errorf("filter of job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal([]byte(progress), &j.plan); err != nil {
		return nil, fmt.Errorf("progress of job %s: %w", j.ID, err)
	}
	j.text = progress
	j.Counts = j.plan.Counts
	return j, nil
}

// jobsWhere reads jobs in the order of their numbers.
func jobsWhere(ctx context.Context, q sqlx.QueryerContext, where string, args ...any) (jobs []*askedJob, err error) {
	rows, err := q.QueryxContext(ctx, "SELECT "+jobColumns+" FROM jobs WHERE no IS NOT NULL AND "+where, args...)
	if err != nil {
		return nil, fmt.Errorf("find jobs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		j, err := scanJob(rows)
		if err != nil {
			return nil, fmt.Errorf("find jobs: %w", err)
		}
		jobs = append(jobs, j)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("find jobs: %w", err)
	}
	return jobs, nil
}

// CreateJob implements api.JobStore.
func (db *DB) CreateJob(
	ctx context.Context, kind search.JobKind, spec *search.JobSpec, by access.Caller,
) (*search.Job, error) {
	plan, err := db.plan(ctx, kind, spec)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", kind, err)
	}
	filter, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", kind, err)
	}
	progress, err := json.Marshal(plan)
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", kind, err)
	}

	now := time.Now().UnixMilli()
	made := &search.Job{
		ID: id.String(), Kind: kind, State: search.JobQueued, Spec: *spec, By: by.KeyID, CreatedAt: now, UpdatedAt: now,
	}
	err = db.act(context.WithoutCancel(ctx), by, "create job", func(tx *sqlx.Tx) (*audit.Deed, error) {
		// Numbers are given out one at a time.
		if err := db.in.Wait(ctx, tx, sqldb.TurnAudit); err != nil {
			return nil, err
		}
		var unfinished int
		if err := tx.GetContext(ctx, &unfinished, `SELECT count(*) FROM jobs WHERE no IS NOT NULL AND tenant = ? AND kind = ?
			AND state NOT IN ('done', 'stopped')`, spec.Tenant, kind); err != nil {
			return nil, fmt.Errorf("count jobs: %w", err)
		}
		if unfinished >= maxUnfinished {
			return nil, fmt.Errorf("%w: %d jobs of this kind have not ended", api.ErrLimit, unfinished)
		}
		if err := tx.GetContext(ctx, &made.No, "SELECT COALESCE(max(no), 0) + 1 FROM jobs WHERE no IS NOT NULL"); err != nil {
			return nil, fmt.Errorf("number of the job: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO jobs
			(no, id, tenant, kind, filter, made_by, progress, state, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, made.No, made.ID, spec.Tenant, kind, string(filter), by.KeyID,
			string(progress), made.State, now, now); err != nil {
			return nil, fmt.Errorf("create job: %w", err)
		}
		return &audit.Deed{
			Tenant: spec.Tenant, Action: string(kind) + ".create", Object: string(kind) + "/" + made.ID, After: auditedJob(spec),
		}, nil
	})
	if err != nil {
		return nil, err
	}
	wake.Up(db.replays)
	return made, nil
}

// auditedJob returns what the audit log says of a job that was asked for.
func auditedJob(spec *search.JobSpec) map[string]any {
	said := map[string]any{"filter": spec.Filter}
	for name, value := range map[string]string{"only": string(spec.Only), "to": spec.To, "reason": spec.Reason} {
		if value != "" {
			said[name] = value
		}
	}
	if spec.Rate > 0 {
		said["ratePerSecond"] = spec.Rate
	}
	return said
}

// FindJob implements api.JobStore.
func (db *DB) FindJob(ctx context.Context, tenant int64, kind search.JobKind, id string) (*search.Job, error) {
	jobs, err := jobsWhere(ctx, db.read, "id = ? AND tenant = ? AND kind = ?", id, tenant, kind)
	if err != nil {
		return nil, err
	}
	if len(jobs) == 0 {
		return nil, api.ErrNotFound
	}
	return &jobs[0].Job, db.countRuns(ctx, &jobs[0].Job)
}

// FindJobs implements api.JobStore.
func (db *DB) FindJobs(
	ctx context.Context, tenant int64, kind search.JobKind, before int64, limit int,
) ([]search.Job, error) {
	where, args := "tenant = ? AND kind = ?", []any{tenant, kind}
	if before > 0 {
		where += " AND no < ?"
		args = append(args, before)
	}
	rows, err := jobsWhere(ctx, db.read, where+" ORDER BY no DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return nil, err
	}
	jobs := make([]search.Job, len(rows))
	for i, r := range rows {
		jobs[i] = r.Job
		if err := db.countRuns(ctx, &jobs[i]); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// countRuns counts the runs of a replay by their states.
func (db *DB) countRuns(ctx context.Context, j *search.Job) error {
	if j.Kind != search.Replays {
		return nil
	}
	var rows []struct {
		State delivery.State `db:"state"`
		N     int            `db:"n"`
	}
	if err := db.read.SelectContext(ctx, &rows, `SELECT state, count(*) AS n FROM deliveries INDEXED BY deliveries_replay
		WHERE replay = ? AND replay IS NOT NULL GROUP BY state`, j.No); err != nil {
		return fmt.Errorf("count runs of a replay: %w", err)
	}
	j.Runs = map[delivery.State]int{}
	for _, r := range rows {
		switch r.State {
		case delivery.Replaying:
			j.Runs[delivery.Pending] += r.N
		case delivery.Reopened: // made by a replay, and retried by hand since
			j.Runs[delivery.Exhausted] += r.N
		default:
			j.Runs[r.State] += r.N
		}
	}
	return nil
}

// PauseJob implements api.JobStore.
func (db *DB) PauseJob(
	ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller,
) (*search.Job, error) {
	return db.turnJob(ctx, tenant, kind, id, by, "pause", search.JobPaused, search.JobQueued, search.JobRunning)
}

// ResumeJob implements api.JobStore.
func (db *DB) ResumeJob(
	ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller,
) (*search.Job, error) {
	return db.turnJob(ctx, tenant, kind, id, by, "resume", search.JobQueued, search.JobPaused)
}

// StopJob implements api.JobStore.
func (db *DB) StopJob(
	ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller,
) (*search.Job, error) {
	return db.turnJob(ctx, tenant, kind, id, by, "stop", search.JobStopping,
		search.JobQueued, search.JobRunning, search.JobPaused)
}

// turnJob brings a job from one of some states into another, unless it is there
// already. It is a conflict if the job is in none of them.
func (db *DB) turnJob(
	ctx context.Context, tenant int64, kind search.JobKind, id string, by access.Caller, what string,
	to search.JobState, from ...search.JobState,
) (*search.Job, error) {
	var job *askedJob
	err := db.act(context.WithoutCancel(ctx), by, what+" job", func(tx *sqlx.Tx) (*audit.Deed, error) {
		jobs, err := jobsWhere(ctx, tx, "id = ? AND tenant = ? AND kind = ?"+db.in.ChangeRow(), id, tenant, kind)
		if err != nil {
			return nil, err
		}
		if len(jobs) == 0 {
			return nil, api.ErrNotFound
		}
		job = jobs[0]
		if job.State == to || to == search.JobStopping && job.State == search.JobStopped {
			return nil, nil
		}
		if !slices.Contains(from, job.State) {
			return nil, &api.Conflict{Reason: "it is " + string(job.State) + " already"}
		}

		job.UpdatedAt = time.Now().UnixMilli()
		if _, err := tx.ExecContext(ctx, "UPDATE jobs SET state = ?, updated_at = ? WHERE id = ?",
			to, job.UpdatedAt, id); err != nil {
			return nil, fmt.Errorf("%s job: %w", what, err)
		}
		deed := &audit.Deed{Tenant: tenant, Action: string(kind) + "." + what, Object: string(kind) + "/" + id}
		deed.Before = map[string]any{"state": job.State}
		job.State = to
		deed.After = map[string]any{"state": job.State}
		return deed, nil
	})
	if err != nil {
		return nil, err
	}
	wake.Up(db.replays)
	db.nudgeReplays(job.plan.subs()...)
	return &job.Job, db.countRuns(ctx, &job.Job)
}

// nudgeReplays makes the owners of subscriptions look at their replays.
func (db *DB) nudgeReplays(subs ...int64) {
	rows := make([]Rows, len(subs))
	for i, sub := range subs {
		rows[i] = Rows{Sub: sub, Replays: true}
	}
	if len(rows) > 0 {
		db.cfg.Nudge(rows)
	}
}

// ReplayNo implements api.JobStore.
func (db *DB) ReplayNo(ctx context.Context, tenant int64, id string) (no int64, err error) {
	err = db.read.GetContext(ctx, &no, "SELECT no FROM jobs WHERE id = ? AND tenant = ? AND kind = ? AND no IS NOT NULL",
		id, tenant, search.Replays)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, api.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("find replay: %w", err)
	}
	return no, nil
}
