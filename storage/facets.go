package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
)

// facetRows is how many deliveries are counted at a time.
const facetRows = 500

// CountFacets implements search.Store.
func (db *DB) CountFacets(
	ctx context.Context, f search.DeliveryFilter, most int, until time.Time,
) (*search.Facets, error) {
	c := &search.Facets{
		States: map[delivery.State]int{}, Errors: map[delivery.ErrorClass]int{}, HTTP: map[int]int{},
		Types: map[event.Type]int{}, Subs: map[string]int{},
	}
	err := db.snapshot(ctx, "count facets", func(snap snapshot) error {
		for c.Counted < most {
			f.Limit = min(facetRows, most-c.Counted)
			page, next, err := snap.deliveries(ctx, f)
			if err != nil {
				return err
			}
			for i := range page {
				addFacets(c, &page[i])
			}
			if next == nil {
				c.Complete = true
				return nil
			}
			f.After = next
			if !time.Now().Before(until) {
				break
			}
		}

		// Say where it stopped: at the event of the last delivery that was looked at.
		err := snap.Q.QueryRowxContext(ctx, `SELECT accepted_at FROM events WHERE tenant = ? AND seq <= ?
			ORDER BY seq DESC LIMIT 1`, f.Tenant, f.After.Seq).Scan(&c.To)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("where the count stopped: %w", err)
		}
		return nil
	})
	return c, err
}

// addFacets counts a delivery.
func addFacets(c *search.Facets, d *search.Delivery) {
	c.Counted++
	c.States[d.State]++
	c.Types[d.Type]++
	c.Subs[d.Subscription]++
	if d.LastError != delivery.None {
		c.Errors[d.LastError]++
	}
	if d.LastStatus != 0 {
		c.HTTP[d.LastStatus]++
	}
}
