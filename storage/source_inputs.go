package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/ingest"
	"github.com/hookline/hookline/hub/source"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

var (
	_ source.InputStore = (*DB)(nil)
	_ source.Store      = (*DB)(nil)
)

// Bounds of the inputs of a source. Past those of inputs that are held it takes no more; past
// those of all, what was mapped or ignored is deleted before its time.
const (
	maxHeldInputs = 1_000_000
	maxHeldBytes  = 1 << 30
	maxInputs     = 2_000_000
	maxInputBytes = 2 << 30
)

// How long inputs are kept.
const (
	keepInputs   = 7 * 24 * time.Hour
	keepRejected = 30 * 24 * time.Hour
	trimChunk    = 1000 // rows that one transaction deletes
)

// inbox gathers the inputs of requests, so that those who come together share a commit.
type inbox struct {
	mu   sync.Mutex
	next *inputBatch   // gathers while the batch before it is committed
	turn chan struct{} // of capacity 1; full while a batch is being committed
}

// inputBatch is inputs of requests that are committed together.
type inputBatch struct {
	calls  []*inputCall
	inputs int
	bytes  int
	done   chan struct{} // closed when the errors of the calls are set
}

// inputCall is the inputs of one request.
type inputCall struct {
	inputs []source.NewInput
	err    error
}

// Bounds of a batch. A request that is larger is a batch of its own.
const (
	batchInputs = 512
	batchBytes  = 4 << 20
)

// AddInputs implements source.InputStore.
func (db *DB) AddInputs(ctx context.Context, inputs []source.NewInput) error {
	call := &inputCall{inputs: inputs}
	size := 0
	for _, in := range inputs {
		size += len(in.Body) + len(in.Meta)
	}

	// Join the batch that gathers, or begin another one.
	box := &db.inbox
	box.mu.Lock()
	b := box.next
	if b == nil || b.inputs+len(inputs) > batchInputs || b.bytes+size > batchBytes {
		b = &inputBatch{done: make(chan struct{})}
		box.next = b
	}
	b.calls = append(b.calls, call)
	b.inputs += len(inputs)
	b.bytes += size
	first := len(b.calls) == 1
	box.mu.Unlock()

	// Whoever began a batch commits it, for all who joined before its turn came. Once it is
	// begun it is finished, whoever went away: the bodies must stay until then.
	if !first {
		<-b.done
		return call.err
	}
	box.turn <- struct{}{}
	box.mu.Lock()
	if box.next == b {
		box.next = nil
	}
	box.mu.Unlock()

	ctx = context.WithoutCancel(ctx)
	err := db.admin(ctx, "add inputs", func(tx *sqlx.Tx) error { return db.addInputs(ctx, tx, b.calls) })
	for _, c := range b.calls {
		if err != nil {
			c.err = err
		}
	}
	<-box.turn
	close(b.done)
	return call.err
}

// addInputs writes the inputs of several requests. A call that is refused gets its error.
func (db *DB) addInputs(ctx context.Context, tx *sqlx.Tx, calls []*inputCall) error {
	held := map[int64]*heldInputs{}
	var rows []source.NewInput
	for _, c := range calls {
		c.err = nil // of a try before
		if len(c.inputs) == 0 {
			continue
		}
		no := c.inputs[0].Source
		h := held[no]
		if h == nil {
			h = &heldInputs{}
			if err := tx.GetContext(ctx, h, "SELECT held, held_bytes FROM source_marks WHERE source = ?", no); err != nil {
				return fmt.Errorf("inputs held of source %d: %w", no, err)
			}
			held[no] = h
		}
		if c.inputs[0].Unsigned != "" {
			kept, err := keepUnsigned(ctx, tx, c.inputs[0])
			if err != nil {
				return err
			}
			if kept {
				rows = append(rows, c.inputs...)
			}
			continue
		}
		if h.Held >= maxHeldInputs || h.Bytes >= maxHeldBytes {
			c.err = source.ErrFull
			continue
		}
		rows = append(rows, c.inputs...)
	}

	added, err := insertInputs(ctx, tx, rows)
	if err != nil {
		return err
	}
	// In the order of their numbers, as transactions wait for each other.
	for _, no := range sortedKeys(added, cmp.Compare[int64]) {
		a := added[no]
		if _, err := tx.ExecContext(ctx, `UPDATE source_marks SET inputs = inputs + ?, bytes = bytes + ?, held = held + ?,
			held_bytes = held_bytes + ?, last_input_at = CASE WHEN last_input_at < ? THEN ? ELSE last_input_at END
			WHERE source = ?`, a.inputs, a.bytes, a.held, a.heldBytes, a.last, a.last, no); err != nil {
			return fmt.Errorf("count inputs of source %d: %w", no, err)
		}
	}
	return nil
}

// heldInputs counts the inputs of a source that are held.
type heldInputs struct {
	Held  int64 `db:"held"`
	Bytes int64 `db:"held_bytes"`
}

// addedInputs counts the inputs of a source that were added.
type addedInputs struct{ inputs, bytes, held, heldBytes, last int64 }

// keepUnsigned reports whether an input that was not signed right is one of the few that are
// kept in an hour.
func keepUnsigned(ctx context.Context, tx *sqlx.Tx, in source.NewInput) (bool, error) {
	hour := in.ReceivedAt / hourMS
	res, err := tx.ExecContext(ctx, `UPDATE source_marks SET unsigned_hour = ?,
		unsigned_inputs = CASE WHEN unsigned_hour = ? THEN unsigned_inputs + 1 ELSE 1 END
		WHERE source = ? AND (unsigned_hour <> ? OR unsigned_inputs < ?)`, hour, hour, in.Source, hour, source.UnsignedPerHour)
	if err != nil {
		return false, fmt.Errorf("count unsigned inputs: %w", err)
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// insertInputs writes inputs, except those that are there already, and counts them by source.
func insertInputs(ctx context.Context, tx *sqlx.Tx, inputs []source.NewInput) (map[int64]*addedInputs, error) {
	added := map[int64]*addedInputs{}
	for len(inputs) > 0 {
		// As many rows as a statement has.
		n := sqldb.Fitting(len(inputs))
		args := make([]any, 0, n*8)
		for _, in := range inputs[:n] {
			status := source.Held
			if in.Unsigned != "" {
				status = source.Rejected
			}
			var dedupe any
			if in.Dedupe != nil {
				dedupe = in.Dedupe
			}
			args = append(args, in.Source, dedupe, in.ReceivedAt, in.Meta, sqldb.EncodeBody(in.Body), int64(len(in.Body)),
				int64(status), in.Unsigned)
		}

		// Those that a source has already are not returned.
		rows, err := tx.QueryContext(ctx, `INSERT INTO source_inputs (source, dedupe, received_at, meta, bytes, size,
			status, reason, row_no, version, events, replayed) VALUES `+
			sqldb.Values("(?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0)", n)+
			" ON CONFLICT DO NOTHING RETURNING source, size, status, received_at", args...)
		if err != nil {
			return nil, fmt.Errorf("insert inputs: %w", err)
		}

		// Count what is new.
		for rows.Next() {
			var no, size, status, at int64
			if err := rows.Scan(&no, &size, &status, &at); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			a := added[no]
			if a == nil {
				a = &addedInputs{}
				added[no] = a
			}
			a.inputs++
			a.bytes += size
			if source.Status(status) == source.Held {
				a.held++
				a.heldBytes += size
				a.last = max(a.last, at)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, fmt.Errorf("insert inputs: %w", err)
		}

		inputs = inputs[n:]
	}
	return added, nil
}

// HeldSources implements source.Store.
func (db *DB) HeldSources(ctx context.Context) ([]int64, error) {
	var nos []int64
	if err := db.read.SelectContext(ctx, &nos, "SELECT source FROM source_marks WHERE held > 0 ORDER BY source"); err != nil {
		return nil, fmt.Errorf("sources with inputs: %w", err)
	}
	return nos, nil
}

// LastInputs implements source.Store.
func (db *DB) LastInputs(ctx context.Context) (map[int64]int64, error) {
	var rows []struct {
		Source int64 `db:"source"`
		Last   int64 `db:"last_input_at"`
	}
	if err := db.read.SelectContext(ctx, &rows, "SELECT source, last_input_at FROM source_marks"); err != nil {
		return nil, fmt.Errorf("last inputs: %w", err)
	}
	last := make(map[int64]int64, len(rows))
	for _, r := range rows {
		last[r.Source] = r.Last
	}
	return last, nil
}

// HeldInputs implements source.Store. The mark is read first: what is committed in between
// makes it an old one.
func (db *DB) HeldInputs(
	ctx context.Context, no int64, limit int, most int64,
) (inputs []source.Input, mark int64, err error) {
	if err := db.read.GetContext(ctx, &mark, "SELECT mark FROM source_marks WHERE source = ?", no); err != nil {
		return nil, 0, fmt.Errorf("mark of source %d: %w", no, err)
	}
	var sizes []struct {
		Seq  int64 `db:"seq"`
		Size int64 `db:"size"`
	}
	if err := db.read.SelectContext(ctx, &sizes,
		"SELECT seq, size FROM source_inputs WHERE source = ? AND status = 0 ORDER BY seq LIMIT ?", no, limit); err != nil {
		return nil, 0, fmt.Errorf("inputs of source %d: %w", no, err)
	}
	if len(sizes) == 0 {
		return nil, mark, nil
	}

	last, bytes := sizes[0].Seq, int64(0)
	for _, s := range sizes {
		if bytes += s.Size; bytes > most && s.Seq != sizes[0].Seq {
			break
		}
		last = s.Seq
	}
	var rows []inputRow
	if err := db.read.SelectContext(ctx, &rows, "SELECT "+inputColumns+", bytes FROM source_inputs"+
		" WHERE source = ? AND status = 0 AND seq >= ? AND seq <= ? ORDER BY seq LIMIT ?", no, sizes[0].Seq, last, limit); err != nil {
		return nil, 0, fmt.Errorf("inputs of source %d: %w", no, err)
	}
	inputs = make([]source.Input, len(rows))
	for i := range rows {
		if inputs[i], err = rows[i].input(); err != nil {
			return nil, 0, err
		}
	}
	return inputs, mark, nil
}

const inputColumns = "seq, received_at, meta, size, status, reason, row_no, version, events, replayed"

type inputRow struct {
	Seq        int64  `db:"seq"`
	ReceivedAt int64  `db:"received_at"`
	Meta       string `db:"meta"`
	Bytes      []byte `db:"bytes"`
	Size       int64  `db:"size"`
	Status     int    `db:"status"`
	Reason     string `db:"reason"`
	Row        int    `db:"row_no"`
	Version    int64  `db:"version"`
	Events     int    `db:"events"`
	Replayed   int    `db:"replayed"`
}

func (r *inputRow) input() (source.Input, error) {
	in := source.Input{
		Seq: r.Seq, ReceivedAt: r.ReceivedAt, Size: r.Size, Status: source.Status(r.Status), Reason: r.Reason, Row: r.Row,
		Version: r.Version, Events: r.Events, Replayed: r.Replayed != 0,
	}
	if err := json.Unmarshal([]byte(r.Meta), &in.Meta); err != nil {
		return in, fmt.Errorf("meta of input %d: %w", r.Seq, err)
	}
	if r.Bytes != nil {
		body, err := sqldb.DecodeBody(r.Bytes)
		if err != nil {
			return in, fmt.Errorf("body of input %d: %w", r.Seq, err)
		}
		in.Body = body
	}
	return in, nil
}

// MapInputs implements source.Store. The step is an op of the writer like the events of a
// request, so that it shares commits with them.
func (db *DB) MapInputs(ctx context.Context, s source.Step) error {
	op := &acceptOp{
		tenant: s.Tenant, events: s.Events, named: make([]bool, len(s.Events)),
		verdicts: make([]ingest.Verdict, len(s.Events)), done: make(chan error, 1),
	}
	for i, e := range s.Events {
		op.named[i] = e.ID != ""
		op.bytes += int64(len(e.Body)) + eventOverhead
	}
	op.also = func(ctx context.Context, w *worker) error { return w.mapInputs(ctx, s) }
	if err := db.writer.queue(op); err != nil {
		return err
	}
	return <-op.done
}

// mapInputs writes what became of the inputs of a step, and moves the mark of their source.
func (w *worker) mapInputs(ctx context.Context, s source.Step) error {
	var bytes int64
	for _, o := range s.Outcomes {
		bytes += o.Size
	}
	res, err := w.folds.ExecContext(ctx, `UPDATE source_marks SET mark = mark + 1, held = held - ?, held_bytes = held_bytes - ?
		WHERE source = ? AND mark = ?`, len(s.Outcomes), bytes, s.Source, s.Mark)
	if err != nil {
		return fmt.Errorf("move mark of source %d: %w", s.Source, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return cmp.Or(err, source.ErrBehind)
	}

	// Those that became the same are written together.
	outcomes := slices.Clone(s.Outcomes)
	slices.SortFunc(outcomes, func(a, b source.Outcome) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Row, b.Row),
			cmp.Compare(a.Events, b.Events), cmp.Compare(a.Seq, b.Seq))
	})
	same := func(a, b source.Outcome) bool {
		return a.Status == b.Status && a.Reason == b.Reason && a.Row == b.Row && a.Events == b.Events
	}
	for len(outcomes) > 0 {
		n := 1
		for n < len(outcomes) && n < sqldb.Lengths[0] && same(outcomes[0], outcomes[n]) {
			n++
		}
		if err := w.finishInputs(ctx, s, outcomes[:n]); err != nil {
			return err
		}
		outcomes = outcomes[n:]
	}
	return nil
}

// finishInputs writes what became of inputs that became the same.
func (w *worker) finishInputs(ctx context.Context, s source.Step, outcomes []source.Outcome) error {
	o := outcomes[0]
	args := []any{int64(o.Status), o.Reason, o.Row, s.Version, o.Events, s.Source}
	seqs := make([]any, len(outcomes))
	for i := range outcomes {
		seqs[i] = outcomes[i].Seq
	}
	seqs = sqldb.Filled(seqs)
	res, err := w.folds.ExecContext(ctx, `UPDATE source_inputs SET status = ?, reason = ?, row_no = ?, version = ?, events = ?
		WHERE source = ? AND status = 0 AND seq IN (`+sqldb.Values("?", len(seqs))+`)`, append(args, seqs...)...)
	if err != nil {
		return fmt.Errorf("finish inputs of source %d: %w", s.Source, err)
	}
	if n, err := res.RowsAffected(); err != nil || n != int64(len(outcomes)) {
		return cmp.Or(err, source.ErrBehind)
	}
	return nil
}

// FindInputs implements api.SourceStore.
func (db *DB) FindInputs(ctx context.Context, no int64, f api.InputFilter, limit int) ([]source.Input, error) {
	// Conditions of the filter.
	where, args := "source = ?", []any{no}
	if f.Status != nil {
		where += " AND status = ?"
		args = append(args, int64(*f.Status))
	}
	if f.Before > 0 {
		where += " AND seq < ?"
		args = append(args, f.Before)
	}
	if f.From > 0 {
		where += " AND received_at >= ?"
		args = append(args, f.From)
	}
	if f.To > 0 {
		where += " AND received_at < ?"
		args = append(args, f.To)
	}

	// Bodies only if they are asked for.
	columns := inputColumns
	if f.Bodies {
		columns += ", bytes"
	}
	var rows []inputRow
	if err := db.read.SelectContext(ctx, &rows, "SELECT "+columns+" FROM source_inputs WHERE "+where+
		" ORDER BY seq DESC LIMIT ?", append(args, limit)...); err != nil {
		return nil, fmt.Errorf("list inputs of source %d: %w", no, err)
	}

	inputs := make([]source.Input, len(rows))
	for i := range rows {
		var err error
		if inputs[i], err = rows[i].input(); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// FindInput implements api.SourceStore.
func (db *DB) FindInput(ctx context.Context, no, seq int64) (*source.Input, error) {
	var rows []inputRow
	if err := db.read.SelectContext(ctx, &rows, "SELECT "+inputColumns+", bytes FROM source_inputs WHERE seq = ? AND source = ?",
		seq, no); err != nil {
		return nil, fmt.Errorf("find input %d: %w", seq, err)
	}
	if len(rows) == 0 {
		return nil, api.ErrNotFound
	}
	in, err := rows[0].input()
	return &in, err
}

// ReplayInputs implements api.SourceStore. First comes its row of the audit log. It goes on in
// chunks, so that others write in between; if it fails half way, the rest is still rejected, and
// can be asked for again.
func (db *DB) ReplayInputs(ctx context.Context, by access.Caller, s *source.Source, f api.InputFilter) (int, error) {
	if err := db.act(ctx, by, "replay inputs", func(*sqlx.Tx) (*audit.Deed, error) {
		return &audit.Deed{
			Tenant: s.Tenant, Action: audit.SourceReplay, Object: "source/" + s.ID,
			After: map[string]any{"from": f.From, "to": f.To, "reason": f.Reason},
		}, nil
	}); err != nil {
		return 0, err
	}

	total := 0
	for after := int64(0); ; {
		seqs, err := db.replayInputs(ctx, by.Tenant, s.No, f, after)
		if err != nil {
			return total, err
		}
		total += len(seqs)
		if len(seqs) < trimChunk {
			return total, nil
		}
		after = seqs[len(seqs)-1]
	}
}

// replayInputs lets the next chunk of rejected inputs be mapped again, and returns their numbers.
func (db *DB) replayInputs(ctx context.Context, tenant, no int64, f api.InputFilter, after int64) (seqs []int64, err error) {
	err = db.adminFor(ctx, tenant, "replay inputs", func(tx *sqlx.Tx) error {
		seqs = nil // of a try before
		where, args := replayable(no, f, after)
		if err := tx.SelectContext(ctx, &seqs, "SELECT seq FROM source_inputs WHERE "+where+" ORDER BY seq LIMIT ?",
			append(args, trimChunk)...); err != nil {
			return fmt.Errorf("find inputs to replay: %w", err)
		}
		if len(seqs) == 0 {
			return nil
		}
		return holdAgain(ctx, tx, no, seqs)
	})
	if err != nil {
		return nil, err
	}
	return seqs, nil
}

// replayable returns the condition of the rejected inputs that a filter picks. Those that were
// not signed right are never mapped.
func replayable(no int64, f api.InputFilter, after int64) (where string, args []any) {
	where = "source = ? AND status = 3 AND seq > ? AND reason NOT LIKE '" + source.ReasonSignature + "%'"
	args = []any{no, after}
	if f.From > 0 {
		where += " AND received_at >= ?"
		args = append(args, f.From)
	}
	if f.To > 0 {
		where += " AND received_at < ?"
		args = append(args, f.To)
	}
	if f.Reason != "" {
		where += " AND reason = ?"
		args = append(args, f.Reason)
	}
	return where, args
}

// holdAgain lets rejected inputs be mapped again.
func holdAgain(ctx context.Context, tx *sqlx.Tx, no int64, seqs []int64) error {
	for list := range slices.Chunk(seqs, sqldb.Lengths[0]) {
		args := make([]any, len(list))
		for i := range list {
			args[i] = list[i]
		}
		if _, err := tx.ExecContext(ctx, "UPDATE source_inputs SET status = 0, reason = '', row_no = 0, replayed = 1 WHERE seq IN ("+
			sqldb.Values("?", len(args))+")", args...); err != nil {
			return fmt.Errorf("hold inputs again: %w", err)
		}
	}
	var bytes int64
	if err := tx.GetContext(ctx, &bytes, "SELECT COALESCE(sum(size), 0) FROM source_inputs WHERE source = ? AND status = 0"+
		" AND seq >= ? AND seq <= ? AND replayed = 1", no, seqs[0], seqs[len(seqs)-1]); err != nil {
		return fmt.Errorf("size of inputs to replay: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE source_marks SET held = held + ?, held_bytes = held_bytes + ? WHERE source = ?",
		len(seqs), bytes, no); err != nil {
		return fmt.Errorf("count inputs to replay: %w", err)
	}
	return nil
}

// CountInputs implements api.SourceStore.
func (db *DB) CountInputs(ctx context.Context, no int64) (c api.InputCounts, err error) {
	var rows []struct {
		Status int   `db:"status"`
		N      int64 `db:"n"`
		Oldest int64 `db:"oldest"`
	}
	if err := db.read.SelectContext(ctx, &rows, `SELECT status, count(*) AS n, min(received_at) AS oldest FROM source_inputs
		WHERE source = ? GROUP BY status`, no); err != nil {
		return c, fmt.Errorf("count inputs of source %d: %w", no, err)
	}
	c.ByStatus = make([]int64, len(source.Statuses))
	for _, r := range rows {
		c.ByStatus[r.Status] = r.N
		if source.Status(r.Status) == source.Held {
			c.OldestHeld = r.Oldest
		}
	}
	row := db.read.QueryRowContext(ctx, "SELECT last_input_at, bytes FROM source_marks WHERE source = ?", no)
	if err := row.Scan(&c.LastInput, &c.Bytes); err != nil {
		return c, fmt.Errorf("last input of source %d: %w", no, err)
	}
	return c, nil
}

// TrimInputs implements source.Store: it deletes what is past its time, of sources with too much
// the oldest of what is done, and all of sources that were deleted.
func (db *DB) TrimInputs(ctx context.Context, now time.Time) error {
	var marks []struct {
		Source  int64  `db:"source"`
		Inputs  int64  `db:"inputs"`
		Bytes   int64  `db:"bytes"`
		Deleted *int64 `db:"deleted_at"`
	}
	if err := db.read.SelectContext(ctx, &marks, `SELECT m.source, m.inputs, m.bytes, s.deleted_at
		FROM source_marks m JOIN sources s ON s.no = m.source WHERE m.inputs > 0`); err != nil {
		return fmt.Errorf("find old inputs: %w", err)
	}
	for _, m := range marks {
		done := "(status = 1 OR status = 2)"
		trims := []struct {
			where  string
			before int64
		}{
			{done, now.Add(-keepInputs).UnixMilli()},
			{"status = 3", now.Add(-keepRejected).UnixMilli()},
		}
		if m.Deleted != nil {
			trims[0].where, trims[0].before = "status >= 0", now.UnixMilli()+1
		} else if m.Inputs > maxInputs || m.Bytes > maxInputBytes {
			if err := db.trimOldest(ctx, m.Source, done, max(m.Inputs-maxInputs, m.Inputs/10)); err != nil {
				return err
			}
		}
		for _, t := range trims {
			if err := db.trimWhile(ctx, m.Source, t.where+" AND received_at < ?", t.before); err != nil {
				return err
			}
		}
	}
	return nil
}

// trimWhile deletes what a condition picks, in chunks.
func (db *DB) trimWhile(ctx context.Context, no int64, where string, before int64) error {
	for {
		n, err := db.trimSome(ctx, no, where, trimChunk, before)
		if err != nil || n < trimChunk {
			return err
		}
	}
}

// trimOldest deletes the oldest n inputs that a condition picks, in chunks.
func (db *DB) trimOldest(ctx context.Context, no int64, where string, n int64) error {
	for n > 0 {
		deleted, err := db.trimSome(ctx, no, where, min(n, trimChunk))
		if err != nil || deleted == 0 {
			return err
		}
		n -= deleted
	}
	return nil
}

// trimSome deletes at most n inputs that a condition picks, the oldest first.
func (db *DB) trimSome(ctx context.Context, no int64, where string, n int64, args ...any) (deleted int64, err error) {
	var seqs []int64
	if err := db.read.SelectContext(ctx, &seqs, "SELECT seq FROM source_inputs WHERE source = ? AND "+where+
		" ORDER BY seq LIMIT ?", append(append([]any{no}, args...), n)...); err != nil {
		return 0, fmt.Errorf("find old inputs: %w", err)
	}
	if len(seqs) == 0 {
		return 0, nil
	}
	err = db.admin(ctx, "delete inputs", func(tx *sqlx.Tx) error {
		var gone, held addedInputs
		for list := range slices.Chunk(seqs, sqldb.Lengths[0]) {
			values := make([]any, len(list))
			for i := range list {
				values[i] = list[i]
			}
			if err := deleteInputs(ctx, tx, values, &gone, &held); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE source_marks SET inputs = inputs - ?, bytes = bytes - ?, held = held - ?,
			held_bytes = held_bytes - ? WHERE source = ?`, gone.inputs, gone.bytes, held.inputs, held.bytes, no); err != nil {
			return fmt.Errorf("count deleted inputs: %w", err)
		}
		return nil
	})
	return int64(len(seqs)), err
}

func deleteInputs(ctx context.Context, tx *sqlx.Tx, seqs []any, gone, held *addedInputs) error {
	rows, err := tx.QueryContext(ctx, "DELETE FROM source_inputs WHERE seq IN ("+sqldb.Values("?", len(seqs))+
		") RETURNING status, size", seqs...)
	if err != nil {
		return fmt.Errorf("delete inputs: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var status, size int64
		if err := rows.Scan(&status, &size); err != nil {
			return fmt.Errorf("delete inputs: %w", err)
		}
		gone.inputs++
		gone.bytes += size
		if source.Status(status) == source.Held {
			held.inputs++
			held.bytes += size
		}
	}
	return rows.Err()
}
