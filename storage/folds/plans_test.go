package folds_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// noted is SQLite's driver, which notes the statements that go through it.
type noted struct {
	path string
	seen map[string]int // how many arguments each had
}

func (n *noted) Connect(context.Context) (driver.Conn, error) {
	c, err := (&sqlite.Driver{}).Open(n.path)
	if err != nil {
		return nil, err
	}
	return notedConn{c.(sqliteConn), n}, nil
}

func (n *noted) Driver() driver.Driver { return &sqlite.Driver{} }

type sqliteConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnBeginTx
}

type notedConn struct {
	sqliteConn
	in *noted
}

func (c notedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.in.seen[query] = len(args)
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c notedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.in.seen[query] = len(args)
	return c.sqliteConn.QueryContext(ctx, query, args)
}

// whole is how SQLite says that it reads all rows, or all of a tenant.
var whole = regexp.MustCompile(`^SCAN [a-z]|\((tenant=\?)?( AND scope=\?)?\)$`)

// However many rows there are, a fold looks only at those of its events.
func TestFoldPlans(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	spy := &noted{path: "file:" + filepath.Join(db.place, "hookline.db"), seen: map[string]int{}}
	through := sqlx.NewDb(sql.OpenDB(spy), "sqlite")
	defer through.Close()
	var events []*event.Event
	for n := range 300 {
		for _, typ := range event.Types() {
			body := fmt.Sprintf(`{"startTime": %d, "endTime": %d, "createTime": %[1]d, "creationTime": %[1]d, "timestamp": %[1]d, "enterTime": %[1]d, "attachedData": {"a": 1},
				"callResult": 3, "loginStatus": 2, "reasonCode": 1, "workStatus": 1, "event": "EventRinging"`, pastStart+n, pastStart+n+1000)
			for _, name := range []string{
				"callID", "partyId", "agentUUID", "agentID", "agentName", "agentDN", "thisDN", "departmentId", "customerNumber", "gatewayNumber", "queueId", "queueName",
				"chatId", "visitorId", "contactId", "skillId", "siteId", "media",
			} {
				body += fmt.Sprintf(`, %q: "%s-%d"`, name, name, n%250)
			}
			events = append(events, &event.Event{Tenant: 1, Seq: int64(len(events) + 1), ID: fmt.Sprint(len(events)), Type: typ, OrderKey: fmt.Sprint(typ, n%250), OccurredAt: pastStart + int64(n), AcceptedAt: pastStart + int64(n), Body: []byte(body + "}")})
		}
	}
	storage.NewFolds(db.DB).Replay(ctx, 1, events, func(name string, replay func(tx *sqlx.Tx) error) {
		t.Run(name, func(t *testing.T) {
			clear(spy.seen)
			tx, err := through.BeginTxx(ctx, nil)
			require.NoError(t, err)
			require.NoError(t, replay(tx))
			require.NoError(t, tx.Commit())
			require.NotEmpty(t, spy.seen)
			for query, args := range spy.seen {
				var steps []struct {
					ID, Parent, NotUsed int
					Detail              string
				}
				require.NoError(t, db.raw.Select(&steps, "EXPLAIN QUERY PLAN "+query, make([]any, args)...), query)
				for _, s := range steps {
					// The first of all, and what the statement brings itself, cost little.
					if whole.MatchString(s.Detail) && !strings.Contains(query, "min(seq)") && s.Detail != "SCAN t" {
						t.Errorf("%s\n%s", s.Detail, query)
					}
				}
			}
		})
	})
}

// No question about the present, nor about windows of the past, reads a table from
// end to end.
func TestScenePlans(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	e := &storetest.Explainer{DB: db.raw, T: t, Seen: map[string]bool{}, Sorts: true}
	require.NoError(t, folds.Snapshot{Snapshot: sqldb.Snapshot{Q: e}}.Boards(ctx, 1))
	require.Len(t, e.Seen, 13)
}
