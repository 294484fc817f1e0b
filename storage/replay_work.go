package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

const (
	replayAhead = 1000 // runs of replays that are pending for one subscription at most
	replayChunk = 250  // runs written, or deliveries cancelled, in one transaction
	jobsAtOnce  = 2    // of one tenant and kind; the next waits as queued

	// replayLook is how often a process looks whether the lanes have taken what jobs at
	// work have written ahead.
	replayLook = 100 * time.Millisecond
)

// RunReplays carries out replays and cancellations until ctx ends. They write ahead of
// the lanes, a chunk at a time. What is not finished then goes on at the next start, or
// on another process, behind the last chunk that was committed.
func (db *DB) RunReplays(ctx context.Context) error {
	for {
		wait, err := db.workOnJobs(ctx)
		if err != nil {
			if ctx.Err() == nil {
				db.log.Error("jobs", "err", err)
			}
			wait = jobRetry
		}
		select {
		case <-ctx.Done():
			return nil
		case <-db.replays:
		case <-time.After(wait):
		}
	}
}

// workOnJobs does the next part of each job at work. It returns how long to rest.
func (db *DB) workOnJobs(ctx context.Context) (rest time.Duration, err error) {
	jobs, err := jobsWhere(ctx, db.read, "state IN ("+jobsAtWork+", 'stopping') ORDER BY no")
	if err != nil || len(jobs) == 0 {
		return jobLook, err
	}
	if err := db.CatchUp(ctx); err != nil {
		return 0, err
	}

	type kindOf struct {
		tenant int64
		kind   search.JobKind
	}
	began := time.Now()
	atWork := map[kindOf]int{}
	for _, j := range jobs {
		of := kindOf{j.Spec.Tenant, j.Kind}
		if j.State != search.JobStopping {
			if atWork[of]++; atWork[of] > jobsAtOnce {
				continue
			}
		}
		if err := db.workOn(ctx, j); err != nil {
			return 0, fmt.Errorf("%s %s: %w", j.Kind, j.ID, err)
		}
	}
	return max(replayLook, time.Since(began)), nil // accepts and outcomes get their turn
}

// workOn does the next part of a job.
func (db *DB) workOn(ctx context.Context, j *askedJob) error {
	if j.State == search.JobStopping {
		return db.clearJob(ctx, j)
	}
	ahead, err := db.writtenAhead(ctx, j)
	if err != nil {
		return err
	}

	budget, paid := j.budget(time.Now())
	wasDone := j.plan.done()
	for i := range j.plan.Tracks {
		t := &j.plan.Tracks[i]
		if t.Done {
			continue
		}
		n := min(replayChunk, budget, ahead.room(j, t.Sub))
		if n <= 0 && db.index.Get(t.Sub) != nil {
			continue
		}
		written, mine, err := db.workOnTrack(ctx, j, t, n, paid)
		if err != nil || !mine {
			return err
		}
		budget -= written
	}
	if wasDone && ahead.ofJob == 0 {
		return db.endJob(ctx, j)
	}
	return nil
}

// budget returns how many runs the job may write now by its rate, and where its account
// of the rate begins, in Unix µs. Unused rate is kept for a second, or for one run.
func (j *askedJob) budget(now time.Time) (n int, paid int64) {
	if j.Spec.Rate <= 0 {
		return math.MaxInt, 0
	}
	window := int64(1e6 * max(1, 1/j.Spec.Rate))
	paid = max(j.plan.PaidUntil, now.UnixMicro()-window)
	return int(float64(now.UnixMicro()-paid)*j.Spec.Rate/1e6 + 1e-6), paid
}

// runsAhead counts the runs of replays that are pending.
type runsAhead struct {
	bySub map[int64]int // of all replays
	byJob map[int64]int // by subscription, of one replay
	ofJob int           // of one replay, all subscriptions together
}

// room returns how many runs the job may write ahead for a subscription.
func (a *runsAhead) room(j *askedJob, sub int64) int {
	if j.Kind != search.Replays {
		return replayChunk
	}
	room := replayAhead - a.bySub[sub]
	if j.Spec.Rate > 0 { // should the lane be held for a while, no more than this comes at once
		room = min(room, int(math.Ceil(j.Spec.Rate))-a.byJob[sub])
	}
	return room
}

// writtenAhead counts what is pending for replays of the subscriptions of a job.
func (db *DB) writtenAhead(ctx context.Context, j *askedJob) (a runsAhead, err error) {
	a = runsAhead{bySub: map[int64]int{}, byJob: map[int64]int{}}
	if j.Kind != search.Replays || len(j.plan.Tracks) == 0 {
		return a, nil
	}

	// Runs of replays that are not ended, of all jobs for these subscriptions.
	subs := j.plan.subs()
	args := make([]any, len(subs))
	for i, sub := range subs {
		args[i] = sub
	}
	var rows []struct {
		Sub    int64 `db:"sub"`
		Replay int64 `db:"replay"`
		N      int   `db:"n"`
	}
	if err := db.read.SelectContext(ctx, &rows, `SELECT sub, COALESCE(replay, 0) AS replay, count(*) AS n
		FROM deliveries INDEXED BY deliveries_replaying WHERE state = 7 AND sub IN (`+sqldb.Values("?", len(subs))+`)
		GROUP BY sub, replay`, args...); err != nil {
		return a, fmt.Errorf("count replays: %w", err)
	}

	for _, r := range rows {
		a.bySub[r.Sub] += r.N
		if r.Replay == j.No {
			a.byJob[r.Sub] = r.N
			a.ofJob += r.N
		}
	}
	return a, nil
}

// workOnTrack does the next part of a track, of at most n runs. mine is false if
// another process works on the job, or somebody has paused or stopped it.
func (db *DB) workOnTrack(
	ctx context.Context, j *askedJob, t *track, n int, paid int64,
) (written int, mine bool, err error) {
	sub := db.index.Get(t.Sub)
	next := part{done: true, upTo: t.At} // of a deleted subscription nothing is left to do
	if sub != nil {
		if err := db.checkIndexed(ctx, &j.Spec, &j.plan); errors.Is(err, errUnindexed) {
			return 0, true, nil // the track goes on when the index is there
		} else if err != nil {
			return 0, false, err
		}
		if next, err = db.partOf(ctx, j.Kind, &j.Spec, &j.plan, *t, sub, n); err != nil {
			return 0, false, err
		}
	}

	// Only the lane of this subscription has to hear of it.
	ended := 0
	before := *t
	counts := j.plan.Counts
	after := func() {
		if ended > 0 {
			db.writer.pending.Change(t.Sub, j.Spec.Tenant, -ended)
			db.cfg.Nudge([]Rows{{Sub: t.Sub, Again: true}})
		}
		if j.Kind == search.Replays && written > 0 {
			db.nudgeReplays(t.Sub)
		}
	}
	err = db.admin(context.WithoutCancel(ctx), "write a part of a job", func(tx *sqlx.Tx) error {
		written, ended = 0, 0
		*t, j.plan.Counts = before, counts
		var err error
		if mine, err = db.lockPart(ctx, tx, j); err != nil || !mine {
			return err
		}

		done := next.counts
		if j.Kind == search.Replays {
			written, err = db.writeRuns(ctx, tx, j, sub, next.rows, &done)
		} else {
			written, err = db.cancelRows(ctx, tx, t.Sub, next.rows)
			ended = written
		}
		if err != nil {
			return err
		}

		done.Written = written
		j.plan.Counts.Add(done)
		t.At = next.upTo
		t.Done = next.done
		if j.Spec.Rate > 0 {
			j.plan.PaidUntil = max(j.plan.PaidUntil, paid) + int64(float64(written)*1e6/j.Spec.Rate)
		}
		return db.savePlan(ctx, tx, j, search.JobRunning)
	}, after)
	return written, mine, err
}

// partOf finds the next part of a track, of what the kind of job is about.
func (db *DB) partOf(
	ctx context.Context, kind search.JobKind, spec *search.JobSpec, p *jobPlan, t track,
	sub *subscriptions.Subscription, n int,
) (part, error) {
	if kind == search.Cancellations {
		return db.pendingPart(ctx, spec, p, t, n)
	}
	return db.nextPart(ctx, spec, p, t, sub, n)
}

// lockPart keeps other processes from a job until tx ends. It returns false if the job
// is not at work any more, or another process has come further.
func (db *DB) lockPart(ctx context.Context, tx *sqlx.Tx, j *askedJob) (bool, error) {
	lock := ""
	if db.in == sqldb.Postgres {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	jobs, err := jobsWhere(ctx, tx, "id = ? AND state IN ("+jobsAtWork+", 'stopping')"+lock, j.ID)
	if err != nil || len(jobs) == 0 {
		return false, err
	}
	isStopping := jobs[0].State == search.JobStopping
	return jobs[0].text == j.text && isStopping == (j.State == search.JobStopping), nil
}

// savePlan stores how far a job is.
func (db *DB) savePlan(ctx context.Context, tx *sqlx.Tx, j *askedJob, state search.JobState) error {
	text, err := json.Marshal(&j.plan)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE jobs SET progress = ?, state = ?, updated_at = ? WHERE id = ?",
		string(text), state, time.Now().UnixMilli(), j.ID); err != nil {
		return fmt.Errorf("save progress: %w", err)
	}
	j.text = string(text)
	j.State = state
	return nil
}

// writeRuns adds a pending run of the replay for each row, unless a run of the delivery
// is pending by now or the body is gone, which it counts. It returns how many it added.
func (db *DB) writeRuns(
	ctx context.Context, tx *sqlx.Tx, j *askedJob, sub *subscriptions.Subscription, rows []replayRow,
	counts *search.JobCounts,
) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}

	// The subscription must not be deleted, and the bodies must stay, until this is
	// committed.
	var deleted *int64
	if err := tx.GetContext(ctx, &deleted, "SELECT deleted_at FROM subscriptions WHERE no = ?"+db.in.ChangeRow(),
		sub.No); err != nil || deleted != nil {
		return 0, err
	}
	kept, err := keepBodies(ctx, db.in, tx, rows)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	args := make([]any, 0, 5*len(rows)+10)
	byNumber := make(map[int64]*replayRow, len(rows))
	for i := range rows {
		r := &rows[i]
		if !kept[r.seq] {
			counts.PastRetention++
			continue
		}
		byNumber[r.seq] = r
		giveUp := sub.ActiveClock(now) + sub.GiveUpAfter[r.typ.Class()].Milliseconds()
		args = append(args, r.seq, r.key, int64(r.typ), giveUp, r.acceptedAt)
	}
	if len(byNumber) == 0 {
		return 0, nil
	}

	reason := j.Spec.Reason
	if reason == "" {
		reason = "replay"
	}
	var made []struct {
		Seq int64 `db:"seq"`
		Run int   `db:"run"`
	}
	if err := tx.SelectContext(ctx, &made, "WITH k(seq, order_key, type, give_up_at, accepted_at) AS (VALUES "+
		sqldb.BigInts(5, len(byNumber))+`)
		INSERT INTO deliveries (sub, seq, run, order_key, type, version, state, tries, due_at, give_up_at, accepted_at,
			late, aside_at, made_by, reason, replay)
		SELECT CAST(? AS BIGINT), k.seq, COALESCE((SELECT max(d.run) + 1 FROM deliveries d WHERE d.sub = ? AND d.seq = k.seq), 0),
			k.order_key, k.type, CAST(? AS BIGINT), 7, 0, 0, k.give_up_at, k.accepted_at,
			false, 0, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT)
		FROM k WHERE NOT EXISTS (SELECT 1 FROM deliveries p WHERE p.sub = ? AND p.seq = k.seq AND p.state IN (0, 7))
		ON CONFLICT (sub, seq, run) DO NOTHING RETURNING seq, run`,
		append(args, sub.No, sub.No, sub.Version, j.By, reason, j.No, sub.No)...); err != nil {
		return 0, fmt.Errorf("add runs: %w", err)
	}
	counts.AlreadyPending += len(byNumber) - len(made)

	// Deliveries that were never there count in the hour of their event, as all do.
	matched := map[stateHour]int64{}
	for _, m := range made {
		if r := byNumber[m.Seq]; m.Run == 0 {
			matched[hourOf(sub.No, r.acceptedAt, r.typ)]++
		}
	}
	for _, k := range sortedKeys(matched, stateHour.compare) {
		if err := addHour(ctx, db.in, tx, k, map[string]int64{"matched": matched[k]}); err != nil {
			return 0, err
		}
	}
	return len(made), nil
}

// keepBodies returns which of the rows have their bodies, and keeps these from being
// deleted until tx ends.
func keepBodies(ctx context.Context, in sqldb.Dialect, tx *sqlx.Tx, rows []replayRow) (map[int64]bool, error) {
	args := make([]any, len(rows))
	for i, r := range rows {
		args[i] = r.seq
	}
	var found []int64
	if err := tx.SelectContext(ctx, &found, "SELECT seq FROM bodies WHERE seq IN ("+sqldb.Values("?", len(rows))+
		") ORDER BY seq"+in.KeepRow(), args...); err != nil {
		return nil, fmt.Errorf("find bodies: %w", err)
	}
	kept := make(map[int64]bool, len(found))
	for _, seq := range found {
		kept[seq] = true
	}
	return kept, nil
}

// pendingPart finds the next live deliveries of a track that a cancellation ends.
func (db *DB) pendingPart(
	ctx context.Context, spec *search.JobSpec, p *jobPlan, t track, n int,
) (next part, err error) {
	f := *spec.Deliveries
	f.States = search.States(delivery.Pending)
	err = db.snapshot(ctx, "find what to cancel", func(snap snapshot) error {
		w := walk{
			table: "deliveries INDEXED BY deliveries_pending", where: "sub = ? AND state = 0", args: []any{t.Sub},
		}
		if f.Types != 0 {
			w.narrow("(CAST(? AS BIGINT) >> type) & 1 = 1", int64(f.Types))
		}
		if f.OrderKey != "" {
			w.narrow("order_key = ?", event.Key(f.OrderKey))
		}
		if f.Subject != nil {
			w.narrow("EXISTS (SELECT 1 FROM subjects x WHERE x.tenant = ? AND x.subject = ? AND x.seq = deliveries.seq)",
				spec.Tenant, f.Subject)
		}
		seqs, upTo, done, err := w.upwards(ctx, snap.Q, t.At, p.Below, max(minLook, snap.rows), n)
		if err != nil {
			return err
		}
		next.upTo = upTo
		next.done = done

		which := make([]search.DeliveryCursor, len(seqs))
		for i, seq := range seqs {
			which[i] = search.DeliveryCursor{Seq: seq, Sub: t.Sub}
		}
		var ds []search.Delivery
		for some := 0; some < len(which); some += 500 {
			loaded, err := snap.loadDeliveries(ctx, spec.Tenant, which[some:min(len(which), some+500)])
			if err != nil {
				return err
			}
			ds = append(ds, loaded...)
		}
		for i := range ds {
			d := &ds[i]
			inTime := d.AcceptedAt >= f.From && (f.To == 0 || d.AcceptedAt < f.To)
			if inTime && f.Matches(d) && (f.OrderKey == "" || d.OrderKey == f.OrderKey) {
				next.rows = append(next.rows, replayRow{seq: d.Seq, acceptedAt: d.AcceptedAt, typ: d.Type})
			}
		}
		return nil
	})
	return next, err
}

// cancelRows ends the live runs of some deliveries that are pending, and returns how
// many there were.
func (db *DB) cancelRows(ctx context.Context, tx *sqlx.Tx, sub int64, rows []replayRow) (int, error) {
	if len(rows) == 0 {
		return 0, nil
	}
	now := time.Now().UnixMilli()
	args := []any{int64(delivery.Cancelled), now, sub}
	for _, r := range rows {
		args = append(args, r.seq)
	}
	var ended []endedRun
	if err := tx.SelectContext(ctx, &ended, `UPDATE deliveries INDEXED BY deliveries_pending SET state = ?, done_at = ?
		WHERE sub = ? AND state = 0 AND seq IN (`+sqldb.Values("?", len(rows))+`)
		RETURNING seq, run, type, accepted_at`, args...); err != nil {
		return 0, fmt.Errorf("cancel: %w", err)
	}
	return len(ended), countCancelled(ctx, db.in, tx, sub, ended, now)
}

// clearJob ends what a job that was stopped has written ahead, a chunk at a time.
func (db *DB) clearJob(ctx context.Context, j *askedJob) error {
	for _, t := range j.plan.Tracks {
		for more := j.Kind == search.Replays; more; {
			if err := db.admin(context.WithoutCancel(ctx), "stop a replay", func(tx *sqlx.Tx) error {
				more = false
				mine, err := db.lockPart(ctx, tx, j)
				if err != nil || !mine {
					return err
				}
				n, err := cancelReplays(ctx, db.in, tx, t.Sub, j.No, time.Now().UnixMilli())
				more = n == jobChunk
				return err
			}); err != nil {
				return err
			}
		}
	}
	return db.endJob(ctx, j)
}

// endJob closes a job of which nothing is left, and says so in the audit log.
func (db *DB) endJob(ctx context.Context, j *askedJob) error {
	return db.act(context.WithoutCancel(ctx), itself, "end a job", func(tx *sqlx.Tx) (*audit.Deed, error) {
		mine, err := db.lockPart(ctx, tx, j)
		if err != nil || !mine {
			return nil, err
		}
		state := search.JobDone
		if j.State == search.JobStopping {
			state = search.JobStopped
		}
		if err := db.savePlan(ctx, tx, j, state); err != nil {
			return nil, err
		}
		return &audit.Deed{
			Tenant: j.Spec.Tenant, Action: strings.Join([]string{string(j.Kind), "end"}, "."),
			Object: string(j.Kind) + "/" + j.ID, After: map[string]any{"state": state, "counts": j.plan.Counts},
		}, nil
	})
}
