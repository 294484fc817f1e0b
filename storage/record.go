package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
)

// recordOutcomes writes what became of runs: their attempts, and their next state.
func (w *writer) recordOutcomes(ctx context.Context, outcomes []*delivery.Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	s := &w.stmt
	now := time.Now().UnixMilli()
	for _, o := range outcomes {
		it, tries, first := o.Item, o.Item.Tries, o.Item.FirstTryAt
		var status, class, done any
		if a := o.Attempt; a != nil {
			tries++
			if first == 0 {
				first = a.At
			}
			status, class = int64(a.StatusCode), int64(a.Class)
			s.attempts.add(it.Sub, it.Seq, int64(it.Run), int64(tries), a.At, a.DNS.Microseconds(), a.Connect.Microseconds(),
				a.TLS.Microseconds(), a.First.Microseconds(), a.Total.Microseconds(), a.RemoteIP, int64(a.StatusCode), int64(a.Class),
				text(a.Err), a.Header, bytes(a.Body), a.SignedAt, a.RandomCode, bytes(a.Nonce), int64(a.KeyN), a.Version, a.Late,
				a.Replay, w.db.cfg.Process, int64(0))
			w.hours.attempt(o)
			if it.Masked != event.Unmasked {
				s.masked.add(it.Seq, int64(it.Masked), it.Event.Tenant, encodeBody(it.Body))
			}
		} else if o.Verdict.State == delivery.Exhausted {
			class = int64(delivery.GaveUp)
		}
		if o.Verdict.State != delivery.Pending {
			done = now
		}
		res, err := s.outcome.ExecContext(ctx, int64(o.Verdict.State), int64(tries), o.Verdict.DueAt, nullable(first), done, status, class,
			it.Late, o.Verdict.AsideAt, nullable(o.Verdict.SupersededBy), it.Sub, it.Seq, int64(it.Run))
		if err != nil {
			return fmt.Errorf("record outcome: %w", err)
		}
		changed, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("record outcome: %w", err)
		}
		if changed == 0 || o.Verdict.State == delivery.Pending {
			continue // still to be sent, or cancelled meanwhile: the attempt stays on the record
		}
		w.pending.done(it.Sub)
		if it.Run > 0 { // the delivery follows its latest run, unless it was delivered before
			res, err := s.reopenedDone.ExecContext(ctx, int64(o.Verdict.State), now, status, class, it.Sub, it.Seq)
			if err != nil {
				return fmt.Errorf("record outcome of run %d: %w", it.Run, err)
			}
			if changed, err = res.RowsAffected(); err != nil {
				return fmt.Errorf("record outcome of run %d: %w", it.Run, err)
			}
		}
		if changed > 0 {
			w.hours.ended(it.Sub, it.AcceptedAt, it.Type.Class(), o.Verdict.State)
		}
	}
	if _, err := s.attempts.flush(ctx); err != nil {
		return fmt.Errorf("record attempts: %w", err)
	}
	if _, err := s.masked.flush(ctx); err != nil {
		return fmt.Errorf("record masked bodies: %w", err)
	}
	return nil
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func bytes(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}

func nullable(ms int64) any {
	if ms == 0 {
		return nil
	}
	return ms
}
