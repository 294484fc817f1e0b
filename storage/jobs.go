package storage

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/wake"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// jobDelete ends what is pending of a deleted subscription.
const jobDelete = "delete"

// jobChunk is how many rows a job changes in one transaction, so that accepts and outcomes
// get their turn in between.
const jobChunk = 1000

// jobRetry is the pause after a job failed, e.g. because the disk is full.
const jobRetry = 5 * time.Second

// jobLook is how often a process looks for jobs that another left unfinished.
const jobLook = 10 * time.Second

// jobsAtWork are the states of jobs whose runs may be sent.
const jobsAtWork = "'running', 'queued'"

// job is a large change that is carried out after the request that asked for it.
type job struct {
	ID     string `db:"id"`
	Tenant int64  `db:"tenant"`
	Kind   string `db:"kind"`
	Filter []byte `db:"filter"`
}

// deleteJob is what a job of kind jobDelete has to know.
type deleteJob struct {
	Sub int64 `json:"sub"`
}

// addJob leaves a large change to RunJobs, which does it even after a crash.
func addJob(ctx context.Context, tx *sqlx.Tx, tenant int64, kind string, filter any, by string, now time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("job %s: %w", kind, err)
	}
	f, err := json.Marshal(filter)
	if err != nil {
		return fmt.Errorf("job %s: %w", kind, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO jobs
		(id, tenant, kind, filter, made_by, progress, state, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, '{}', 'waiting', ?, ?)`,
		id.String(), tenant, kind, f, by, now.UnixMilli(), now.UnixMilli()); err != nil {
		return fmt.Errorf("job %s: %w", kind, err)
	}
	return nil
}

// wakeJobs tells RunJobs that there is a job. If it is at work already, it looks again.
func (db *DB) wakeJobs() { wake.Up(db.jobs) }

// RunJobs carries out the large changes that wait, one after the other and in chunks, until
// ctx ends. What is not finished then goes on at the next start, or on another process. Only
// one process works on a chunk at a time.
func (db *DB) RunJobs(ctx context.Context) error {
	var look <-chan time.Time
	if db.Shared() {
		tick := time.NewTicker(jobLook)
		defer tick.Stop()
		look = tick.C
	}
	for {
		var again <-chan time.Time
		if err := db.runWaiting(ctx); err != nil && ctx.Err() == nil {
			db.log.Error("job", "err", err)
			again = time.After(jobRetry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-db.jobs:
		case <-look:
		case <-again:
		}
	}
}

func (db *DB) runWaiting(ctx context.Context) error {
	var waiting []job
	if err := db.read.SelectContext(ctx, &waiting,
		"SELECT id, tenant, kind, filter FROM jobs WHERE kind = ? AND state = 'waiting' ORDER BY id", jobDelete); err != nil {
		return fmt.Errorf("find jobs: %w", err)
	}
	for _, j := range waiting {
		if err := db.runDelete(ctx, j); err != nil {
			return fmt.Errorf("job %s %s: %w", j.Kind, j.ID, err)
		}
	}
	return nil
}

// runDelete cancels the pending runs of a deleted subscription.
func (db *DB) runDelete(ctx context.Context, j job) error {
	var filter deleteJob
	if err := json.Unmarshal(j.Filter, &filter); err != nil {
		return err
	}
	sub := filter.Sub

	// From here on no event matches the subscription, even if this runs before the index
	// has its deletion.
	db.index.Remove(sub)
	for {
		ended, more := 0, false
		if err := db.adminFor(ctx, j.Tenant, "cancel deliveries", func(tx *sqlx.Tx) (err error) {
			ended, more = 0, false
			if mine, err := db.lockJob(ctx, tx, j.ID); err != nil || !mine {
				return err
			}
			now := time.Now().UnixMilli()
			if ended, err = cancelPending(ctx, db.in, tx, sub, now); err != nil {
				return err
			}
			replays, err := cancelReplays(ctx, db.in, tx, sub, 0, now)
			if more = ended == jobChunk || replays == jobChunk; err != nil || more {
				return err
			}
			_, err = tx.ExecContext(ctx, "UPDATE jobs SET state = 'done', updated_at = ? WHERE id = ?", now, j.ID)
			return err
		}, func() { db.writer.pending.Change(sub, j.Tenant, -ended) }); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// lockJob keeps other processes from a job until tx ends. It returns false if one of them
// works on it, or it is done.
func (db *DB) lockJob(ctx context.Context, tx *sqlx.Tx, id string) (bool, error) {
	if db.in == sqldb.SQLite {
		return true, nil
	}
	var mine []string
	if err := tx.SelectContext(ctx, &mine,
		"SELECT id FROM jobs WHERE id = ? AND state = 'waiting' FOR UPDATE SKIP LOCKED", id); err != nil {
		return false, fmt.Errorf("lock job: %w", err)
	}
	return len(mine) == 1, nil
}

// endedRun is a run that a job has ended.
type endedRun struct {
	Seq        int64      `db:"seq"`
	Run        int        `db:"run"`
	Type       event.Type `db:"type"`
	AcceptedAt int64      `db:"accepted_at"`
}

// cancelPending ends the next chunk of pending runs, and returns how many there were.
func cancelPending(ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, sub, now int64) (int, error) {
	var rows []endedRun
	if err := tx.SelectContext(ctx, &rows, `SELECT seq, run, type, accepted_at
		FROM deliveries INDEXED BY deliveries_pending WHERE sub = ? AND state = 0 ORDER BY seq, run LIMIT ?`,
		sub, jobChunk); err != nil {
		return 0, fmt.Errorf("find pending: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	last := rows[len(rows)-1]
	if _, err := tx.ExecContext(ctx, `UPDATE deliveries INDEXED BY deliveries_pending SET state = ?, done_at = ?
		WHERE sub = ? AND state = 0 AND (seq, run) <= (?, ?)`, delivery.Cancelled, now, sub, last.Seq, last.Run); err != nil {
		return 0, fmt.Errorf("cancel: %w", err)
	}
	return len(rows), countCancelled(ctx, in, tx, sub, rows, now)
}

// countCancelled counts the deliveries whose pending runs were cancelled. A delivery
// follows its latest run, unless it was delivered before.
func countCancelled(ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, sub int64, rows []endedRun, now int64) error {
	ended := map[stateHour]int64{}
	for _, r := range rows {
		if r.Run > 0 {
			res, err := tx.ExecContext(ctx,
				"UPDATE deliveries SET state = ?, done_at = ? WHERE sub = ? AND seq = ? AND run = 0 AND state = ?",
				delivery.Cancelled, now, sub, r.Seq, delivery.Reopened)
			if err != nil {
				return fmt.Errorf("cancel: %w", err)
			}
			n, err := res.RowsAffected()
			if err != nil {
				return fmt.Errorf("cancel: %w", err)
			}
			if n == 0 {
				continue
			}
		}
		ended[hourOf(sub, r.AcceptedAt, r.Type)]++
	}
	for k, n := range ended {
		if err := moveHour(ctx, in, tx, k, delivery.Pending, delivery.Cancelled, n); err != nil {
			return err
		}
	}
	return nil
}

// cancelReplays ends the next chunk of a subscription's runs that are pending for a
// replay, or for any if replay is 0, and returns how many there were. Their deliveries
// stay what they were; one that the replay has made ends with its run.
func cancelReplays(ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, sub, replay, now int64) (int, error) {
	which, args := "", []any{sub}
	if replay > 0 {
		which = " AND replay = ?"
		args = append(args, replay)
	}
	var rows []endedRun
	if err := tx.SelectContext(ctx, &rows, `SELECT seq, run, type, accepted_at
		FROM deliveries INDEXED BY deliveries_replaying WHERE state = 7 AND sub = ?`+which+" ORDER BY seq, run LIMIT ?",
		append(args, jobChunk)...); err != nil {
		return 0, fmt.Errorf("find replays: %w", err)
	}
	if len(rows) == 0 {
		return 0, nil
	}
	last := rows[len(rows)-1]
	args = append([]any{delivery.Cancelled, now}, args...)
	if _, err := tx.ExecContext(ctx, `UPDATE deliveries INDEXED BY deliveries_replaying SET state = ?, done_at = ?
		WHERE state = 7 AND sub = ?`+which+" AND (seq, run) <= (?, ?)", append(args, last.Seq, last.Run)...); err != nil {
		return 0, fmt.Errorf("cancel replays: %w", err)
	}

	made := map[stateHour]int64{}
	for _, r := range rows {
		if r.Run == 0 {
			made[hourOf(sub, r.AcceptedAt, r.Type)]++
		}
	}
	for k, n := range made {
		if err := moveHour(ctx, in, tx, k, delivery.Pending, delivery.Cancelled, n); err != nil {
			return 0, err
		}
	}
	return len(rows), nil
}

// stateColumns are the columns of delivery_hours by state; what is left of matched is pending.
var stateColumns = map[delivery.State]string{
	delivery.Delivered: "delivered", delivery.Exhausted: "exhausted", delivery.Expired: "expired",
	delivery.Cancelled: "cancelled", delivery.Superseded: "superseded",
}

// moveHour counts n deliveries under another state than before.
func moveHour(ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, k stateHour, from, to delivery.State, n int64) error {
	more := map[string]int64{}
	for state, by := range map[delivery.State]int64{from: -n, to: n} {
		if c := stateColumns[state]; c != "" {
			more[c] = by
		}
	}
	return addHour(ctx, in, tx, k, more)
}

// addHour adds to the counts of an hour, by column.
func addHour(ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, k stateHour, more map[string]int64) error {
	var columns []string
	args := []any{k.sub, k.hour, int64(k.kind)}
	if in == sqldb.Postgres {
		args = append(args, partOfAdmins)
	}
	for column, by := range more {
		columns = append(columns, column)
		args = append(args, by)
	}

	counts := strings.Join(columns, ", ")
	if _, err := tx.ExecContext(ctx, "INSERT INTO delivery_hours ("+hourKey(in)+", "+counts+") VALUES ("+
		sqldb.Values("?", len(args))+") ON CONFLICT ("+hourKey(in)+") DO UPDATE SET "+
		each(counts, "% = delivery_hours.% + excluded.%"), args...); err != nil {
		return fmt.Errorf("count deliveries: %w", err)
	}
	return nil
}
