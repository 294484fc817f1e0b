package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// announcements is the owner of the rows of used_signs that Once keeps, beside those
// of apps, whose ids are UUIDs.
const announcements = "hub"

// Once reports whether nobody said what since now, in any process and whatever was
// restarted: after true it is false until the time until.
func (db *DB) Once(ctx context.Context, what string, now, until time.Time) (bool, error) {
	first := false // not a result: the transaction may set it after ctx has ended this call
	err := db.admin(ctx, "say once", func(tx *sqlx.Tx) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO used_signs (app, sign, until_at) VALUES (?, ?, ?)
			ON CONFLICT (app, sign) DO UPDATE SET until_at = excluded.until_at WHERE used_signs.until_at <= ?`,
			announcements, []byte(what), until.UnixMilli(), now.UnixMilli())
		if err != nil {
			return fmt.Errorf("say %s once: %w", what, err)
		}
		n, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("say %s once: %w", what, err)
		}
		first = n > 0

		// What was said long ago is of no use any more.
		if _, err := tx.ExecContext(ctx, `DELETE FROM used_signs WHERE until_at < ?`, now.UnixMilli()); err != nil {
			return fmt.Errorf("forget what was said once: %w", err)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return first, nil
}
