package folds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/folds"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// withTallies is a store with nothing but two such folds.
func withTallies(t testing.TB) (store, *folds.Folds, *folds.Tally) {
	db := withTenants(t)
	db.exec(t, "CREATE TABLE tally (fold TEXT, tenant BIGINT, seq BIGINT, body TEXT, PRIMARY KEY (fold, tenant, seq))")
	b := &folds.Tally{As: "b"}
	return db, tallying(db, b), b
}

func tallying(db store, b *folds.Tally) *folds.Folds {
	f := storage.NewFolds(db.DB)
	f.Use(&folds.Tally{As: "a"}, b)
	return f
}

// tallied are the numbers that a fold was given.
func (db store) tallied(t testing.TB, fold string, tenant int64) (seqs []int64) {
	t.Helper()
	require.NoError(t, db.raw.Select(&seqs, db.raw.Rebind("SELECT seq FROM tally WHERE fold = ? AND tenant = ? ORDER BY seq"), fold, tenant))
	return seqs
}

// accepted are the numbers of the tenant's events, test pushes aside.
func (db store) accepted(t testing.TB, tenant int64) (seqs []int64) {
	t.Helper()
	require.NoError(t, db.raw.Select(&seqs, db.raw.Rebind("SELECT seq FROM events WHERE tenant = ? AND NOT test ORDER BY seq"), tenant))
	return seqs
}

func (db store) position(t testing.TB, fold string, tenant int64) int64 {
	t.Helper()
	at, err := folds.Positions(t.Context(), db.raw, tenant)
	require.NoError(t, err)
	return at[fold]
}

func TestFolds(t *testing.T) { storetest.Each(t, testFolds) }

func testFolds(t *testing.T) {
	db, f, _ := withTallies(t)
	ctx := t.Context()
	require.NoError(t, f.FoldTo(ctx, 1), "of nothing")

	db.push(t, event.CallRinging, "call/1")
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
	db.acceptMany(t, 1, event.CallRinging, 3*folds.StepEvents+1)
	db.acceptMany(t, 2, event.CallRinging, 5)
	_, err := db.Accept(ctx, []*event.Event{{Tenant: 1, Type: event.CDRCall, Test: true, Body: []byte("{}")}})
	require.NoError(t, err)
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Len(t, db.tallied(t, "a", 1), 3*folds.StepEvents+2)
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "b", 1))
	require.Empty(t, db.tallied(t, "a", 2), "who asks about one tenant waits for no other")
	require.Zero(t, db.position(t, "a", 2))

	// Another life of the store knows the events from the store alone.
	f = tallying(openAgain(t, &db), &folds.Tally{As: "b"})
	db.push(t, event.CallRinging, "call/2")
	require.NoError(t, f.FoldTo(ctx, 1))
	require.NoError(t, f.FoldTo(ctx, 2))
	for _, tenant := range []int64{1, 2} {
		require.Equal(t, db.accepted(t, tenant), db.tallied(t, "a", tenant))
	}
	require.Equal(t, 0, db.count(t, "tally WHERE body NOT IN ('{}', '{\"n\":1}')"))

	// A rebuild of one leaves the other, and gives the same.
	db.exec(t, "UPDATE tally SET body = 'mark'")
	require.NoError(t, f.Rebuild(ctx, 1, "b"))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "b", 1))
	require.Zero(t, db.count(t, "tally WHERE fold = 'b' AND tenant = 1 AND body = 'mark'"))
	require.Equal(t, len(db.accepted(t, 1)), db.count(t, "tally WHERE fold = 'a' AND tenant = 1 AND body = 'mark'"))
	require.Equal(t, 5, db.count(t, "tally WHERE fold = 'b' AND tenant = 2 AND body = 'mark'"))
	require.NoError(t, f.Rebuild(ctx, 1))
	require.Zero(t, db.count(t, "tally WHERE tenant = 1 AND body = 'mark'"))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
	require.Error(t, f.Rebuild(ctx, 1, "c"))
}

// What fails leaves no trace and is folded later, by all folds alike.
func TestFoldFails(t *testing.T) { storetest.Each(t, testFoldFails) }

func testFoldFails(t *testing.T) {
	db, f, b := withTallies(t)
	ctx := t.Context()
	db.acceptMany(t, 1, event.CallRinging, 10)
	b.Fail = errors.New("out of order")
	require.ErrorIs(t, f.FoldTo(ctx, 1), b.Fail)
	require.Empty(t, db.tallied(t, "a", 1))
	b.Fail = nil
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "b", 1))

	ended, cancel := context.WithCancel(ctx)
	cancel()
	db.push(t, event.CallRinging, "call/3")
	require.ErrorIs(t, f.FoldTo(ended, 1), context.Canceled)
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "b", 1))
}

// What the database cannot hold is left out of the fold that it does not fit
// into, and nothing else is.
func TestUnfitEvent(t *testing.T) { storetest.Each(t, testUnfitEvent) }

func testUnfitEvent(t *testing.T) {
	db, f, b := withTallies(t)
	ctx := t.Context()
	db.acceptMany(t, 1, event.CallRinging, 300)
	all := db.accepted(t, 1)
	bad := all[123]
	b.Unfit = bad
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Equal(t, all, db.tallied(t, "a", 1))
	require.Equal(t, append(slices.Clone(all[:123]), all[124:]...), db.tallied(t, "b", 1))
	b.Unfit = 0
	require.NoError(t, f.Rebuild(ctx, 1))
	require.Equal(t, all, db.tallied(t, "b", 1))
}

// Texts of any length and any characters that JSON can carry are folded.
func TestFoldsHoldAnyText(t *testing.T) { storetest.Each(t, testFoldsHoldAnyText) }

func testFoldsHoldAnyText(t *testing.T) {
	db, ctx := withTenants(t), t.Context()
	f := storage.NewFolds(db.DB)
	var random strings.Builder // so that nothing compresses it below the limit of an index
	for n := range 4000 {
		fmt.Fprintf(&random, "%x", (n*n*7919+n*104729)%65521)
	}
	texts := []string{random.String(), `\u0000`, `a\u0000b`, `\ud800`, `\ufffd`, "\u00ff", `|`, `%_'"`[:3]}
	sent := 0
	for _, text := range texts {
		for _, typ := range event.Types() {
			body := `{"callID": "c", "partyId": "p", "startTime": 1700000000000, "endTime": 1700000001000, "createTime": 1700000000000`
			for _, name := range []string{
				"agentUUID", "agentID", "agentName", "agentDN", "departmentId", "departmentName", "customerNumber", "gatewayNumber", "firstAgentUUID", "mainDialType", "attachedData",
				"queueId", "queueName", "chatId", "visitorId", "otherDN", "DNIS", "ANI", "userData", "skillId", "siteId", "campaignId", "groupId", "contactId", "media", "source",
			} {
				body += `, "` + name + `": "` + text + `"`
			}
			db.cdr(t, typ, fmt.Sprint("key/", sent), body+"}")
			sent++
		}
	}
	require.NoError(t, f.FoldTo(ctx, 1))
	at, err := f.Lowest(ctx, 1)
	require.NoError(t, err)
	require.GreaterOrEqual(t, at, int64(sent))
	require.NoError(t, f.Rebuild(ctx, 1))
}

// Many ask while many are accepted: each answer has all that was accepted
// before it was asked for, and each event is folded once.
func TestFoldsRace(t *testing.T) { storetest.Each(t, testFoldsRace) }

func testFoldsRace(t *testing.T) {
	db, f, _ := withTallies(t)
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- f.Run(ctx) }()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 12 {
				seq := db.push(t, event.CallRinging, fmt.Sprintf("call/%d-%d", g, i))
				if err := f.FoldTo(ctx, 1); err != nil {
					t.Error(err)
					return
				}
				var n int
				if err := db.raw.Get(&n, db.raw.Rebind("SELECT count(*) FROM tally WHERE fold = 'a' AND tenant = 1 AND seq = ?"), seq); err != nil || n != 1 {
					t.Errorf("event %d is in the fold %d times, %v", seq, n, err)
				}
				if g == 0 && i%5 == 4 {
					if err := f.Rebuild(ctx, 1, "b"); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	stop()
	require.NoError(t, <-ran)
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "b", 1))
}

// The loop folds without being asked, all tenants.
func TestFoldsRunAhead(t *testing.T) { storetest.Each(t, testFoldsRunAhead) }

func testFoldsRunAhead(t *testing.T) {
	db, _, _ := withTallies(t)
	ctx, stop := context.WithCancel(t.Context())
	db.acceptMany(t, 1, event.CallRinging, 2*folds.StepEvents)
	f := tallying(openAgain(t, &db), &folds.Tally{As: "b"}) // this process knows of none of them
	ran := make(chan error, 1)
	go func() { ran <- f.Run(ctx) }()
	db.acceptMany(t, 2, event.CallRinging, 10)
	require.Eventually(t, func() bool {
		return len(db.tallied(t, "b", 1)) == 2*folds.StepEvents && len(db.tallied(t, "b", 2)) == 10
	}, 2*time.Minute, 5*time.Millisecond)
	stop()
	require.NoError(t, <-ran)
}

// On PostgreSQL a lower number can be committed after a higher one: a fold waits
// for it, and passes no number by.
func TestFoldsWaitForLowerNumbers(t *testing.T) {
	t.Run(storetest.Postgres, testFoldsWaitForLowerNumbers)
}

func testFoldsWaitForLowerNumbers(t *testing.T) {
	db, f, _ := withTallies(t)
	ctx := t.Context()
	db.push(t, event.CallRinging, "call/1")
	tx, err := db.raw.Beginx()
	require.NoError(t, err)
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	tx.MustExec("SELECT pg_advisory_xact_lock_shared(?)", int64(sqldb.TurnMatching))
	var low int64
	require.NoError(t, tx.Get(&low, "SELECT nextval('event_seq')"))
	high := db.push(t, event.CallRinging, "call/2")
	require.Less(t, low, high)

	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, f.FoldTo(short, 1), context.DeadlineExceeded)
	require.Less(t, db.position(t, "a", 1), low)
	tx.MustExec(`INSERT INTO events (tenant, seq, id, type, order_key, occurred_at, accepted_at, source, key_id, process, body_hash, size,
		matched, hops, test) VALUES (1, ?, 'late', ?, '', 0, 0, '', '', '', '', 2, 0, 0, FALSE)`, low, int64(event.CallRinging))
	tx.MustExec("INSERT INTO bodies (seq, tenant, bytes) VALUES (?, 1, ?)", low, sqldb.EncodeBody([]byte("{}")))
	folded := make(chan error, 1)
	go func() { folded <- f.FoldTo(ctx, 1) }()
	require.NoError(t, tx.Commit())
	require.NoError(t, <-folded)
	require.Contains(t, db.tallied(t, "a", 1), low)
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
}

// Two processes fold one store.
func TestFoldsOfTwoProcesses(t *testing.T) { t.Run(storetest.Postgres, testFoldsOfTwoProcesses) }

func testFoldsOfTwoProcesses(t *testing.T) {
	db, f, _ := withTallies(t)
	other := open(t, db.place)
	ctx := t.Context()
	var wg sync.WaitGroup
	for i, of := range []struct {
		store
		*folds.Folds
	}{{db, f}, {other, tallying(other, &folds.Tally{As: "b"})}} {
		for g := range 2 {
			wg.Go(func() {
				for n := range 15 {
					seq := of.push(t, event.CallRinging, fmt.Sprintf("call/%d-%d-%d", i, g, n))
					err := of.Ask(ctx, 1, func(q sqlx.QueryerContext) error {
						var n int
						if err := sqlx.GetContext(ctx, q, &n, "SELECT count(*) FROM tally WHERE tenant = 1 AND seq = ?", seq); err != nil || n != 2 {
							t.Errorf("event %d is in %d of 2 folds, %v", seq, n, err)
						}
						return nil
					})
					if err == nil && g == 0 && n%5 == 4 {
						err = of.Rebuild(ctx, 1, "b")
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Len(t, db.accepted(t, 1), 2*2*15)
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "a", 1))
	require.Equal(t, db.accepted(t, 1), db.tallied(t, "b", 1))
}

// A step that has no time left ends between two events, with the positions that belong to
// its rows: whatever ends the process then, nothing is missing and nothing comes twice.
func TestStepsAreCut(t *testing.T) { storetest.Each(t, testStepsAreCut) }

func testStepsAreCut(t *testing.T) {
	db, f, b := withTallies(t)
	ctx := t.Context()
	f.StepTime(0)
	db.acceptMany(t, 1, event.CallRinging, 7)
	all := db.accepted(t, 1)
	to := all[len(all)-1]
	for n := range all {
		more, err := f.Step(ctx, 1, to)
		require.NoError(t, err)
		require.Equal(t, n < len(all)-1, more)
		require.Equal(t, all[:n+1], db.tallied(t, "a", 1))
		require.Equal(t, all[:n+1], db.tallied(t, "b", 1))
		require.GreaterOrEqual(t, db.position(t, "a", 1), all[n])

		if n == 3 { // the process is killed here
			f = tallying(openAgain(t, &db), b)
			f.StepTime(0)
		}
	}

	// A step that fails leaves nothing, also of what it was about to do in the next one.
	db.acceptMany(t, 1, event.CallReleased, 3)
	all = db.accepted(t, 1)
	_, err := f.Step(ctx, 1, all[9])
	require.NoError(t, err)
	b.Fail = errors.New("out of order")
	_, err = f.Step(ctx, 1, all[9])
	require.ErrorIs(t, err, b.Fail)
	require.Equal(t, all[:8], db.tallied(t, "a", 1))
	b.Fail = nil
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Equal(t, all, db.tallied(t, "a", 1))
	require.Equal(t, all, db.tallied(t, "b", 1))

	// What was planned is not folded again when another process, or a rebuild, was faster.
	db.acceptMany(t, 1, event.CallDialing, 3)
	all = db.accepted(t, 1)
	_, err = f.Step(ctx, 1, all[12])
	require.NoError(t, err)
	require.NoError(t, f.Rebuild(ctx, 1, "b"))
	require.Equal(t, all, db.tallied(t, "a", 1))
	require.Equal(t, all, db.tallied(t, "b", 1))
}

// One tenant that is far behind does not delay what is folded ahead for others.
func TestTenantsTakeTurns(t *testing.T) { storetest.Each(t, testTenantsTakeTurns) }

func testTenantsTakeTurns(t *testing.T) {
	db, f, b := withTallies(t)
	ctx, stop := context.WithCancel(t.Context())
	f.StepTime(0) // an event a step
	db.acceptMany(t, 1, event.CallRinging, 60)
	db.acceptMany(t, 2, event.CallRinging, 5)
	ran := make(chan error, 1)
	go func() { ran <- f.Run(ctx) }()
	require.Eventually(t, func() bool { return len(b.Turns()) >= 20 }, 2*time.Minute, time.Millisecond)
	stop()
	require.NoError(t, <-ran)

	of2 := 0
	for _, tenant := range b.Turns()[:20] {
		if tenant == 2 {
			of2++
		}
	}
	require.Equal(t, 5, of2, "an event of each in turn")
}
