package folds

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hookline/hookline/hub/record"
	"github.com/hookline/hookline/hub/report"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Facts are kept twice: as rows, which a fold can find and change one by one, and as blocks,
// the facts of an hour as columns, which reports read by the million. A block is made of the
// rows, and dropped when one of them changes; hours without a block are read from the rows.
// So what a report costs depends on its range, and not on the history.

var _ report.Store = (*Folds)(nil)

// packQuiet is how long an hour must be over before its block is kept: before that the next
// event would drop it.
const packQuiet = 5 * time.Minute

// packBlocks is how many of the blocks that a report had to make are kept, and how many are
// made at a time ahead of reports.
const packBlocks = 64

// keepBlocks is how many blocks are stored in one step.
const keepBlocks = 8

// ReadFacts implements report.Store.
func (f *Folds) ReadFacts(ctx context.Context, tenant int64, fn func(report.Facts) error) error {
	r := &reportReader{tenant: tenant, quiet: time.Now().Add(-packQuiet).UnixMilli()}
	if err := f.ask(ctx, tenant, "report", func(snap snapshot) error {
		r.snapshot, r.packed = snap, nil
		return fn(r)
	}); err != nil {
		return err
	}

	// The report is made. That the next one is not quicker must not spoil it.
	if err := f.keep(ctx, tenant, r.packed); err != nil && ctx.Err() == nil {
		f.cfg.Log.Warn("blocks of reports", "tenant", tenant, "err", err)
	}
	return nil
}

// packedBlock is a block that was made of rows.
type packedBlock struct {
	kind    report.Kind
	slot    int64
	changed int64 // of its hour, when the rows were read
	block   []byte
}

// keep stores blocks, unless their facts have changed since they were made.
func (f *Folds) keep(ctx context.Context, tenant int64, packed []packedBlock) error {
	for some := range slices.Chunk(packed, keepBlocks) {
		if err := f.transact(ctx, tenant, func(tx Tx) error {
			for _, p := range some {
				if _, err := tx.ExecContext(ctx, `UPDATE report_blocks SET block = ?
					WHERE tenant = ? AND kind = ? AND slot = ? AND changed = ? AND block IS NULL`,
					p.block, tenant, int64(p.kind), p.slot, p.changed); err != nil {
					return fmt.Errorf("keep blocks: %w", err)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// packEvery is how often hours are looked for that are over and have no block.
const packEvery = 30 * time.Second

// RunBlocks makes the blocks of hours that are over, until ctx ends, so that reports need
// not make them.
func (f *Folds) RunBlocks(ctx context.Context) error {
	tick := time.NewTicker(packEvery)
	defer tick.Stop()
	for {
		if err := f.pack(ctx, time.Now()); err != nil && ctx.Err() == nil && !errors.Is(err, sqldb.ErrClosed) {
			f.cfg.Log.Error("blocks of reports", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// pack makes the blocks of the hours of all tenants that are over at a time, the oldest of
// each tenant first.
func (f *Folds) pack(ctx context.Context, now time.Time) error {
	quiet := now.Add(-packQuiet).UnixMilli()
	for {
		var open []struct {
			Tenant int64 `db:"tenant"`
			Kind   int64 `db:"kind"`
			Slot   int64 `db:"slot"`
		}
		if err := f.cfg.Read.SelectContext(ctx, &open, `SELECT tenant, kind, slot FROM report_blocks
			WHERE block IS NULL AND slot < ? ORDER BY tenant, slot, kind LIMIT ?`, quiet/report.SlotMS, packBlocks); err != nil {
			return fmt.Errorf("hours without a block: %w", err)
		}

		for _, o := range open {
			began := time.Now()
			r := &reportReader{tenant: o.Tenant, quiet: quiet}
			if err := f.snapshot(ctx, "pack", func(snap snapshot) error {
				r.snapshot = snap
				from := o.Slot * report.SlotMS
				return r.Blocks(ctx, report.Kind(o.Kind), report.Span{From: from, To: from + report.SlotMS}, func(*report.Block) error { return nil })
			}); err != nil {
				return err
			}
			if err := f.keep(ctx, o.Tenant, r.packed); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Since(began)): // others have more urgent things to do
			}
		}
		if len(open) < packBlocks {
			return nil
		}
	}
}

// reportReader implements report.Facts.
type reportReader struct {
	snapshot
	tenant int64
	quiet  int64 // Unix ms: what is over then is worth keeping
	packed []packedBlock
}

// Blocks implements report.Facts.
func (r *reportReader) Blocks(ctx context.Context, k report.Kind, in report.Span, give func(*report.Block) error) error {
	rows, err := r.Q.QueryxContext(ctx, "SELECT slot, changed, block FROM report_blocks WHERE tenant = ? AND kind = ? AND slot >= ? AND slot <= ? ORDER BY slot",
		r.tenant, int64(k), in.From/report.SlotMS, (in.To-1)/report.SlotMS)
	if err != nil {
		return fmt.Errorf("blocks: %w", err)
	}
	defer rows.Close()

	// Hours without a block are read after this statement, as a connection runs one at a
	// time. The order of blocks matters to nobody but the engine's memory.
	var open []packedBlock
	var plain []byte
	for rows.Next() {
		p := packedBlock{kind: k}
		var stored sql.RawBytes
		if err := rows.Scan(&p.slot, &p.changed, &stored); err != nil {
			return fmt.Errorf("blocks: %w", err)
		}
		if stored == nil {
			open = append(open, p)
			continue
		}
		if plain, err = sqldb.Decompress(stored, plain[:0]); err != nil {
			return fmt.Errorf("block of hour %d: %w", p.slot, err)
		}
		b, err := report.ReadBlock(p.slot*report.SlotMS, plain)
		if err != nil {
			return fmt.Errorf("block of hour %d: %w", p.slot, err)
		}
		if err := give(b); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("blocks: %w", err)
	}

	for _, p := range open {
		b, err := r.make(ctx, &p)
		if err != nil {
			return fmt.Errorf("block of hour %d: %w", p.slot, err)
		}
		if err := give(b); err != nil {
			return err
		}
	}
	return nil
}

// make returns the block of an hour, made of rows.
func (r *reportReader) make(ctx context.Context, p *packedBlock) (*report.Block, error) {
	from := p.slot * report.SlotMS
	facts, err := r.facts(ctx, p.kind, report.Span{From: from, To: from + report.SlotMS})
	if err != nil {
		return nil, err
	}
	b := report.NewBlock(p.kind, from, facts)
	if from+report.SlotMS <= r.quiet && len(r.packed) < packBlocks {
		p.block = sqldb.Compress(b.Append(nil))
		r.packed = append(r.packed, *p)
	}
	return b, nil
}

// facts reads the facts of a kind from their rows.
func (r *reportReader) facts(ctx context.Context, k report.Kind, in report.Span) ([]report.Fact, error) {
	switch k {
	case report.Calls, report.BotCalls:
		return r.calls(ctx, k, in)
	case report.Parties:
		return r.parties(ctx, in)
	}
	return r.states(ctx, "report_states s WHERE s.tenant = ? AND s.start_at >= ? AND s.start_at < ?", r.tenant, in.From, in.To)
}

func (r *reportReader) calls(ctx context.Context, k report.Kind, in report.Span) (facts []report.Fact, err error) {
	scope := record.Telemarketing
	if k == report.BotCalls {
		scope = record.Bot
	}

	rows, err := r.Q.QueryxContext(ctx, `
		SELECT start_at, own, legs, talk, total, agent_talk, gateway, route, customer FROM report_calls
		WHERE tenant = ? AND scope = ? AND start_at >= ? AND start_at < ?`, r.tenant, int64(scope), in.From, in.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			f         report.Fact
			own, legs int64
			customer  sql.RawBytes
		)
		err := rows.Scan(&f.Start, &own, &legs, &f.Talk, &f.Total, &f.AgentTalk, &f.Key.Name, &f.Class.Route, &customer)
		if err != nil {
			return nil, err
		}

		// A call that is neither inbound nor outbound is in no report.
		f.Class.Flags = report.Flags(own | legs)
		copy(f.Customer[:], customer)
		if f.Class.Flags&(report.In|report.Out) != 0 {
			facts = append(facts, f)
		}
	}
	return facts, rows.Err()
}

func (r *reportReader) parties(ctx context.Context, in report.Span) (facts []report.Fact, err error) {
	rows, err := r.Q.QueryxContext(ctx, `SELECT start_at, shows, talk, total, call_no, agent, departments FROM report_parties
		WHERE tenant = ? AND scope = ? AND start_at >= ? AND start_at < ? AND shows <> 0`, r.tenant, int64(record.Telemarketing), in.From, in.To)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f report.Fact
		var shows int64
		if err := rows.Scan(&f.Start, &shows, &f.Talk, &f.Total, &f.AgentTalk, &f.Key.Name, &f.Key.Departments); err != nil {
			return nil, err
		}
		f.Class.Flags = report.Flags(shows)
		facts = append(facts, f)
	}
	return facts, rows.Err()
}

func (r *reportReader) states(ctx context.Context, from string, args ...any) (facts []report.Fact, err error) {
	rows, err := r.Q.QueryxContext(ctx, "SELECT s.agent, s.start_at, s.end_at, s.reason, s.work, s.shows FROM "+from, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var f report.Fact
		var shows int64
		if err := rows.Scan(&f.Key.Name, &f.Start, &f.Talk, &f.Class.Reason, &f.Class.Work, &shows); err != nil {
			return nil, err
		}
		f.Class.Flags = report.Flags(shows)
		facts = append(facts, f)
	}
	return facts, rows.Err()
}

// Lasting implements report.Facts.
func (r *reportReader) Lasting(ctx context.Context, at int64) ([]report.Fact, error) {
	facts, err := r.states(ctx, `report_agents a CROSS JOIN report_states s ON s.tenant = a.tenant AND s.agent = a.agent AND s.start_at =
			(SELECT max(b.start_at) FROM report_states b WHERE b.tenant = a.tenant AND b.agent = a.agent AND b.start_at < ?)
		WHERE a.tenant = ? AND s.end_at > ?`, at, r.tenant, at)
	if err != nil {
		return nil, fmt.Errorf("states that last: %w", err)
	}
	return facts, nil
}

// Namings implements report.Facts.
func (r *reportReader) Namings(ctx context.Context) (all []report.Naming, err error) {
	rows, err := r.Q.QueryxContext(ctx, "SELECT agent, no, name FROM report_agents WHERE tenant = ?", r.tenant)
	if err != nil {
		return nil, fmt.Errorf("agents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n report.Naming
		if err := rows.Scan(&n.Agent, &n.Number, &n.Name); err != nil {
			return nil, fmt.Errorf("agents: %w", err)
		}
		all = append(all, n)
	}
	return all, rows.Err()
}
