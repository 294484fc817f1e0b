package folds_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// pastStart is when the events of tests happen, Unix ms.
const pastStart = 1_700_000_000_000

// dayMS is a day in milliseconds.
const dayMS = 86_400_000

// store is a store whose rows a test also reads and writes by itself.
type store struct {
	*storage.DB
	place  string
	raw    *sqlx.DB
	closed *sync.Once
}

// withTenants is a store with the tenants 1 and 2.
func withTenants(t testing.TB) store {
	db := open(t, storetest.Place(t, makeStore))
	tx, err := db.raw.Beginx()
	require.NoError(t, err)
	require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1))
	require.NoError(t, storetest.InsertTenant(t.Context(), tx, 2))
	require.NoError(t, tx.Commit())
	return db
}

// makeStore makes a store, for others to copy.
func makeStore(place string) (io.Closer, error) {
	box, err := signing.NewBox(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	return storage.Open(context.Background(), config(place, box))
}

// config is that of the store of a place.
func config(place string, box *signing.Box) storage.Config {
	cfg := storage.Config{Dir: place, Process: "test", Box: box, Log: slog.New(slog.DiscardHandler)}
	if sqldb.IsURL(place) {
		cfg.Dir, cfg.URL = "", place
	}
	return cfg
}

// open opens the store of a place, as another process would.
func open(t testing.TB, place string) store {
	box, err := signing.NewBox(make([]byte, 32))
	require.NoError(t, err)
	db, err := storage.Open(context.Background(), config(place, box))
	require.NoError(t, err)
	s := store{db, place, storetest.OpenRows(t, place), new(sync.Once)}
	t.Cleanup(func() { s.close(t) })
	return s
}

// openAgain closes a store and opens it again.
func openAgain(t testing.TB, db *store) store {
	t.Helper()
	db.close(t)
	*db = open(t, db.place)
	return *db
}

// close before the end of the test, to open the place again.
func (db store) close(t testing.TB) {
	db.closed.Do(func() { require.NoError(t, errors.Join(db.raw.Close(), db.DB.Close())) })
}

// in is the database that the store is in.
func (db store) in() sqldb.Dialect { return sqldb.DialectOf(db.place) }

func (db store) exec(t testing.TB, stmt string, args ...any) {
	t.Helper()
	_, err := db.raw.ExecContext(t.Context(), stmt, args...)
	require.NoError(t, err, stmt)
}

func (db store) count(t testing.TB, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, db.raw.Get(&n, "SELECT count(*) FROM "+query, args...))
	return n
}

func (db store) seed(t testing.TB, fn func(tx *sqlx.Tx)) {
	tx, err := db.raw.Beginx()
	require.NoError(t, err)
	fn(tx)
	require.NoError(t, tx.Commit())
}

// accept accepts one event and returns its number.
func (db store) accept(t testing.TB, e *event.Event) int64 {
	t.Helper()
	_, err := db.Accept(t.Context(), []*event.Event{e})
	require.NoError(t, err)
	return e.Seq
}

// push accepts an event of tenant 1 that says nothing.
func (db store) push(t testing.TB, typ event.Type, orderKey string) int64 {
	t.Helper()
	return db.accept(t, &event.Event{Tenant: 1, CompanyID: "company-1", Type: typ, OrderKey: orderKey, Body: []byte(`{}`)})
}

// cdr accepts a record of tenant 1.
func (db store) cdr(t testing.TB, typ event.Type, key, body string) int64 {
	t.Helper()
	return db.accept(t, &event.Event{Tenant: 1, Type: typ, OrderKey: key, Body: []byte(body)})
}

// acceptMany accepts n events of a tenant, their ids given by the sender.
func (db store) acceptMany(t testing.TB, tenant int64, typ event.Type, n int) {
	t.Helper()
	events := make([]*event.Event, n)
	for i := range events {
		events[i] = &event.Event{Tenant: tenant, ID: fmt.Sprint(typ, "-", i), Type: typ, OrderKey: fmt.Sprint("call/", i), Body: []byte(`{"n":1}`)}
	}
	_, err := db.Accept(t.Context(), events)
	require.NoError(t, err)
}
