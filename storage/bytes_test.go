package storage

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/recording"
	"github.com/hookline/hookline/migrations"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// requireBytes holds the counts of bytes against the rows, and returns those of a tenant's
// events.
func (db pastDB) requireBytes(t testing.TB, tenant int64) (bytes int64) {
	t.Helper()
	_, err := CheckBytes(t.Context(), cmp.Or(db.cfg.URL, db.cfg.Dir))
	require.NoError(t, err)
	require.NoError(t, db.read.Get(&bytes,
		"SELECT CAST(coalesce(sum(length(bytes)), 0) AS bigint) FROM bodies WHERE tenant = ?", tenant))
	require.Equal(t, bytes, db.EventBytes(tenant))
	return bytes
}

// acceptBodies accepts events with bodies of these sizes; ids of the sender are used again
// and again.
func (db pastDB) acceptBodies(t testing.TB, tenant int64, r *rand.Rand, sizes ...int) {
	t.Helper()
	var events []*event.Event
	for _, size := range sizes {
		e := &event.Event{Tenant: tenant, Type: event.CallRinging, OrderKey: "call/1"}
		e.Body = []byte(`{"n":"` + strings.Repeat("x", size) + `"}`)
		if r.IntN(2) == 0 {
			e.ID = fmt.Sprint("e-", r.IntN(20))
		}
		events = append(events, e)
	}
	_, err := db.Accept(t.Context(), events)
	require.NoError(t, err)
}

// Whatever happens to events and recordings, the counted bytes are those of the rows.
func TestBytesAreCounted(t *testing.T) { eachStore(t, testBytesAreCounted) }

func testBytesAreCounted(t *testing.T) {
	place := newPlace(t)
	db := openPastIn(t, place)
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1))
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 2))
		tx.MustExec(`UPDATE tenants SET settings = '{"payloadDays":40,"metadataDays":500,"recordingDays":50}' WHERE no = 2`)
	})
	subs := []int64{db.subscribe(t, 1, "").No, db.subscribe(t, 2, "").No}
	ctx, r := t.Context(), rand.New(rand.NewPCG(14, 6))

	steps := []func(){
		func() { db.acceptBodies(t, 1, r, r.IntN(100), r.IntN(5000), r.IntN(100)) },
		func() { db.acceptBodies(t, 2, r, r.IntN(100)) },
		func() { db.endAll(t, subs[r.IntN(2)]) },
		func() { require.NoError(t, db.Trim(ctx, days([]int{0, 31, 41, 401, 501}[r.IntN(5)]))) },
		func() { require.NoError(t, db.RecountBytes(ctx, 1+r.Int64N(2))) },
		func() {
			rec := &recording.Recording{Tenant: 1 + r.Int64N(2), ID: fmt.Sprint(r.IntN(3)), Blob: fmt.Sprint("b", r.Int64()), Size: r.Int64N(99)}
			_, err := db.PutRecording(ctx, bob, rec, 0)
			require.NoError(t, err)
		},
		func() {
			rec := &recording.Recording{Tenant: 1, ID: fmt.Sprint(r.IntN(3)), Source: "https://x.example/"}
			_, err := db.PutRecording(ctx, bob, rec, 0)
			require.NoError(t, err)
			rec.Blob, rec.Size = fmt.Sprint("b", r.Int64()), 7
			_, err = db.FetchedRecording(ctx, rec, 0)
			require.NoError(t, err)
		},
		func() { _, _ = db.DeleteRecording(ctx, bob, 1, fmt.Sprint(r.IntN(3))) },
		func() {
			db.close(t)
			db = openPastIn(t, place)
		},
	}
	for range fewer(t, 3, 1) * len(steps) {
		steps[r.IntN(len(steps))]()
		db.requireBytes(t, 1) // which also looks at the other tenant's rows
	}
	require.Zero(t, db.count(t, "body_bytes WHERE bytes = 0"))

	// In the end nothing is left, and no row says so.
	db.endAll(t, subs[0])
	db.endAll(t, subs[1])
	require.NoError(t, db.Trim(ctx, days(501)))
	require.Zero(t, db.requireBytes(t, 1))
	require.Zero(t, db.count(t, "(SELECT 1 FROM body_bytes GROUP BY tenant HAVING sum(bytes) <> 0) t"))
	require.Zero(t, db.count(t, "recordings WHERE tenant = 2"), "past recordingDays")
}

// What a store held before its bytes were counted is counted in the background, and until
// then the tenant is told so. CheckBytes finds a count that is wrong.
func TestBytesOfAnOlderStore(t *testing.T) { eachStore(t, testBytesOfAnOlderStore) }

func testBytesOfAnOlderStore(t *testing.T) {
	place := newPlace(t)
	db := openPastIn(t, place)
	db.seed(t, func(tx *sqlx.Tx) {
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 1))
		require.NoError(t, storetest.InsertTenant(t.Context(), tx, 2))
	})
	ctx, r := t.Context(), rand.New(rand.NewPCG(1, 1))
	db.acceptBodies(t, 1, r, 10, 20, 9000)
	_, err := db.PutRecording(ctx, bob, &recording.Recording{Tenant: 2, ID: "r", Blob: "b", Size: 5}, 0)
	require.NoError(t, err)

	// The store as the version before left it, and the migration.
	db.exec(t, "DROP TABLE body_bytes; DROP TABLE uncounted_bodies; DROP TABLE recording_bytes")
	files, dir := migrations.SQLite, "sqlite"
	if db.Shared() {
		files, dir = migrations.Postgres, "postgres"
	}
	migration, err := files.ReadFile(dir + "/00022_bytes.sql")
	require.NoError(t, err)
	db.exec(t, string(migration))
	db.close(t)

	db = openPastIn(t, place)
	u, err := db.FindUsage(ctx, 1, time.Now())
	require.NoError(t, err)
	require.True(t, u.Counting)
	db.acceptBodies(t, 1, r, 30)
	u, err = db.FindUsage(ctx, 2, time.Now())
	require.NoError(t, err)
	require.False(t, u.Counting, "it had no events")
	require.EqualValues(t, 5, u.RecordingBytes)

	require.NoError(t, db.Trim(ctx, time.Now()))
	bytes := db.requireBytes(t, 1)
	require.Positive(t, bytes)
	u, err = db.FindUsage(ctx, 1, time.Now())
	require.NoError(t, err)
	require.False(t, u.Counting)
	require.Equal(t, bytes, u.EventBytes)

	db.exec(t, "UPDATE body_bytes SET bytes = bytes + 1; UPDATE recording_bytes SET bytes = 3")
	_, err = CheckBytes(ctx, cmp.Or(db.cfg.URL, db.cfg.Dir))
	require.ErrorIs(t, err, ErrMiscount)
	require.ErrorContains(t, err, "tenant 1, events")
	require.ErrorContains(t, err, "tenant 2, recordings: counted 3 bytes, there are 5")
	require.NoError(t, db.RecountBytes(ctx, 1))
	require.NoError(t, db.RecountBytes(ctx, 2))
	db.requireBytes(t, 1)
}

// Recordings never take more than the limit, however many are put at the same time.
func TestRecordingQuota(t *testing.T) { eachStore(t, testRecordingQuota) }

func testRecordingQuota(t *testing.T) {
	db := withTenants(t)
	ctx := t.Context()
	const most = 100
	put := func(i int, size int64) error {
		_, err := db.PutRecording(ctx, bob,
			&recording.Recording{Tenant: 1, ID: fmt.Sprint(i), Blob: fmt.Sprint("b-", i, size), Size: size}, most)
		return err
	}
	results := make(chan error, 8)
	for i := range cap(results) {
		go func() { results <- put(i, 30) }()
	}
	kept := 0
	for range cap(results) {
		if err := <-results; err == nil {
			kept++
		} else {
			require.ErrorIs(t, err, recording.ErrQuota)
		}
	}
	require.Equal(t, 3, kept)
	require.Equal(t, 3, db.count(t, "recordings"))

	source := &recording.Recording{Tenant: 1, ID: "source", Source: "https://x.example/"}
	_, err := db.PutRecording(ctx, bob, source, most)
	require.NoError(t, err)
	source.Blob, source.Size = "b-source", 11
	_, err = db.FetchedRecording(ctx, source, most)
	require.ErrorIs(t, err, recording.ErrQuota)
	source.Size = 10
	isKept, err := db.FetchedRecording(ctx, source, most)
	require.NoError(t, err)
	require.True(t, isKept)
	n, err := db.RecordingBytes(ctx, 1)
	require.NoError(t, err)
	require.EqualValues(t, most, n)
	db.requireBytes(t, 1)
}
