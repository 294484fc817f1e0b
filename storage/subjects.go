package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/storage/folds"
)

// subjectEvents returns the numbers of events in [low, below) that name a customer's number,
// at most n: the lowest, or the highest.
func (snap snapshot) subjectEvents(
	ctx context.Context, tenant int64, subject []byte, low, below int64, up bool, n int,
) (seqs []int64, err error) {
	order := "DESC"
	if up {
		order = "ASC"
	}
	err = sqlx.SelectContext(ctx, snap.Q, &seqs, `SELECT seq FROM subjects
		WHERE tenant = ? AND subject = ? AND seq >= ? AND seq < ? ORDER BY seq `+order+` LIMIT ?`,
		tenant, subject, low, below, n)
	return seqs, err
}

// subjectLook is how many events that name a number are read at a time.
const subjectLook = 100

// eventsOfSubject returns a page of the events in [low, below) that name a customer's number
// and that the filter picks, newest first.
func (snap snapshot) eventsOfSubject(
	ctx context.Context, f search.EventFilter, low, below int64,
) (page []search.Event, next int64, err error) {
	for looked := 0; looked < snap.rows; looked += subjectLook {
		seqs, err := snap.subjectEvents(ctx, f.Tenant, f.Subject, low, below, false, subjectLook)
		if err != nil {
			return nil, 0, err
		}
		events, err := snap.loadEvents(ctx, f.Tenant, seqs)
		if err != nil {
			return nil, 0, err
		}

		for i := range events {
			if !f.Matches(&events[i]) {
				continue
			}
			if len(page) == f.Limit { // another page follows
				return page, page[f.Limit-1].Seq, nil
			}
			page = append(page, events[i])
		}
		if len(seqs) < subjectLook {
			return page, 0, nil
		}
		below = seqs[len(seqs)-1]
	}
	return page, below, nil
}

// indexedRange returns the range [low, below) of the events of a tenant that the index of
// numbers has.
func (snap snapshot) indexedRange(ctx context.Context, tenant int64) (low, below int64, err error) {
	low, below, err = folds.IndexedRange(ctx, snap.Q, tenant)
	if err != nil {
		return 0, 0, fmt.Errorf("index of numbers: %w", err)
	}
	return low, below, nil
}

// planBySubject bounds the plan of a job that goes by a customer's number by what the index
// of numbers has: what the index does not have, nobody could say.
func (snap snapshot) planBySubject(ctx context.Context, tenant int64, p *jobPlan) error {
	low, below, err := snap.indexedRange(ctx, tenant)
	if err != nil {
		return err
	}
	if below == 0 || low > p.Low {
		return &api.Conflict{Reason: "the numbers in older events are not indexed yet: ask for a later from, or again in some minutes; " +
			"GET /v1/events with the number says indexedFrom"}
	}
	p.Below = min(p.Below, below)
	return nil
}

// errUnindexed means that a job waits, because the index of numbers is made again.
var errUnindexed = errors.New("the index of numbers is being made")

// checkIndexed returns errUnindexed if a job goes by a number and the index of numbers does
// not have all of its events.
func (db *DB) checkIndexed(ctx context.Context, spec *search.JobSpec, p *jobPlan) error {
	if spec.Subject() == nil {
		return nil
	}
	return db.snapshot(ctx, "index of numbers", func(snap snapshot) error {
		low, below, err := snap.indexedRange(ctx, spec.Tenant)
		if err == nil && (low > p.Low || below < p.Below) {
			err = errUnindexed
		}
		return err
	})
}
