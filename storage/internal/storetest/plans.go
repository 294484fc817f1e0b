package storetest

import (
	"context"
	"database/sql"
	"regexp"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/storage/internal/sqldb"
)

// Explainer asks the database how it would run each statement before it runs it.
type Explainer struct {
	*sqlx.DB
	In    sqldb.Dialect
	T     *testing.T
	Seen  map[string]bool // plans do not depend on the arguments
	Sorts bool            // sorting what was found is fine
}

func (e *Explainer) QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error) {
	e.Explain(ctx, query, args)
	return e.DB.QueryxContext(ctx, query, args...)
}

func (e *Explainer) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	e.Explain(ctx, query, args)
	return e.DB.QueryContext(ctx, query, args...)
}

func (e *Explainer) QueryRowxContext(ctx context.Context, query string, args ...any) *sqlx.Row {
	e.Explain(ctx, query, args)
	return e.DB.QueryRowxContext(ctx, query, args...)
}

// Explain fails the test when a statement reads a table from end to end or
// sorts what it found.
func (e *Explainer) Explain(ctx context.Context, query string, args []any) {
	if e.Seen[query] {
		return
	}
	e.Seen[query] = true
	if e.In == sqldb.Postgres {
		e.explainPostgres(ctx, query, args)
		return
	}
	rows, err := e.DB.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	require.NoError(e.T, err, query)
	defer rows.Close()
	outer := map[int]bool{} // by parent: the loop around the others was seen
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(e.T, rows.Scan(&id, &parent, &unused, &step))

		// What the statement itself lists may be read whole, but not once for each row of
		// another table.
		list := strings.HasPrefix(step, "SCAN json_each")
		require.False(e.T, list && outer[parent], "for each row: %s\n%s", step, query)
		if strings.HasPrefix(step, "SCAN ") || strings.HasPrefix(step, "SEARCH ") {
			outer[parent] = true
		}
		bounded := step == "SCAN k" || strings.Contains(step, "CONSTANT ROW") || list
		require.False(e.T, strings.Contains(step, "SCAN") && !bounded, "%s\n%s", step, query)
		require.False(e.T, strings.Contains(step, "TEMP B-TREE") && !e.Sorts, "%s\n%s", step, query)
	}
	require.NoError(e.T, rows.Err())
}

// small tables are read whole, on PostgreSQL, however often a statement names them.
var small = regexp.MustCompile(`Seq Scan on (tenants|subscriptions|event_seq|retention) `)

// explainPostgres fails the test when a statement would read a large table from
// end to end, were there many rows in it.
func (e *Explainer) explainPostgres(ctx context.Context, query string, args []any) {
	tx, err := e.DB.BeginTxx(ctx, nil)
	require.NoError(e.T, err)
	defer tx.Rollback() //nolint:errcheck // it only looked
	// In a small table the planner would rather read all of it.
	_, err = tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off")
	require.NoError(e.T, err)
	var steps []string
	require.NoError(e.T, tx.SelectContext(ctx, &steps, "EXPLAIN "+query, args...), query)
	plan := strings.Join(steps, "\n")
	for _, step := range steps {
		require.False(e.T, strings.Contains(step, "Seq Scan") && !small.MatchString(step), "%s\n%s", plan, query)
		require.False(e.T, strings.Contains(step, "Bitmap") && strings.Contains(step, "_20"), "it sorts a day: %s\n%s", plan, query)
	}
	// What SQLite is told to use PostgreSQL finds by itself.
	if name := regexp.MustCompile(`INDEXED BY (deliveries_\w+)`).FindStringSubmatch(query); name != nil {
		require.Contains(e.T, plan, name[1], query)
	}
	// An index that is read whole is no better.
	for i, step := range steps {
		if !strings.Contains(step, "Index") || !strings.Contains(step, " Scan") {
			continue
		}
		bounded := i+1 < len(steps) && (strings.Contains(steps[i+1], "Index Cond") || strings.Contains(steps[i+1], "Filter: (accepted_at")) || small.MatchString(strings.Replace(step, "Index", "Seq", 1))
		require.True(e.T, bounded, "%s\n%s", plan, query)
	}
}
