package folds_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/event"
	"github.com/hookline/hookline/hub/search"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage"
	"github.com/hookline/hookline/storage/internal/storetest"
)

// naming is an event of a tenant that names a customer's number.
func naming(tenant int64, number string) *event.Event {
	return &event.Event{
		Tenant: tenant, CompanyID: fmt.Sprint("company-", tenant), Type: event.CDRCall, OrderKey: "cdr/" + number,
		Body: fmt.Appendf(nil, `{"callID":"c","startTime":1700000000000,"customerNumber":%q}`, number),
	}
}

// found returns the events of a tenant that a number finds, the newest first.
func (db store) found(t testing.TB, tenant int64, digits string) (seqs []int64) {
	t.Helper()
	box, err := signing.NewBox(make([]byte, 32))
	require.NoError(t, err)
	subjects := search.Subjects{Key: box.Subkey(signing.LabelSubject)}
	page, next, err := db.FindEvents(t.Context(),
		search.EventFilter{Tenant: tenant, Subject: subjects.Of(tenant, digits), Limit: 500})
	require.NoError(t, err)
	require.Zero(t, next)
	for _, e := range page {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// naive returns the events of a tenant, the newest first, whose body names a number, by
// reading all of them.
func (db store) naive(t testing.TB, tenant int64, digits string) (seqs []int64) {
	t.Helper()
	page, _, err := db.FindEvents(t.Context(), search.EventFilter{Tenant: tenant, Limit: 5000})
	require.NoError(t, err)
	for _, e := range page {
		whole, err := db.FindEventSeq(t.Context(), tenant, e.Seq)
		require.NoError(t, err)
		for _, number := range event.CustomerNumbers(whole.Type, whole.Body) {
			if number == digits {
				seqs = append(seqs, e.Seq)
			}
		}
	}
	return seqs
}

// However the index of numbers came about, a number finds what a look into every event finds:
// as events come, when it is made again, and in a store that had events before it had an
// index. That one is indexed beside the others, the newest events first.
func TestSubjects(t *testing.T) { storetest.Each(t, testSubjects) }

func testSubjects(t *testing.T) {
	db := withTenants(t)
	ctx := t.Context()
	f := storage.NewFolds(db.DB)
	numbers := []string{"6591234567", "91234567", "4930123456"}
	check := func(why string) {
		t.Helper()
		for tenant := int64(1); tenant <= 2; tenant++ {
			for _, n := range numbers {
				require.Equal(t, db.naive(t, tenant, n), db.found(t, tenant, n), "%s: %s of tenant %d", why, n, tenant)
			}
		}
	}

	r := rand.New(rand.NewPCG(7, 1))
	var events []*event.Event
	for i := range 300 {
		written := fmt.Sprintf([]string{"+%s", "00%s", "%s x12", "tel:%s"}[r.IntN(4)], numbers[r.IntN(3)])
		events = append(events, naming(1+int64(i%2), written))
	}
	_, err := db.Accept(ctx, events)
	require.NoError(t, err)
	for tenant := int64(1); tenant <= 2; tenant++ {
		as, err := f.WaitIndexed(ctx, tenant, time.Minute)
		require.NoError(t, err)
		require.Zero(t, as)
	}
	check("as they came")
	require.NotEmpty(t, db.found(t, 1, numbers[0]))

	require.NoError(t, f.RebuildAll(ctx, "subjects"))
	check("made again")

	// A store of a version without an index. The migration puts the fold where the others
	// are, and the mark there.
	db.exec(t, "DELETE FROM subjects")
	db.exec(t, "DELETE FROM folds WHERE name IN ('subjects', '-indexed')")
	db.exec(t, "INSERT INTO folds (name, tenant, position) SELECT 'subjects', tenant, min(position) FROM folds WHERE name NOT LIKE '-%' GROUP BY tenant")
	db.exec(t, "INSERT INTO folds (name, tenant, position) SELECT '-indexed', tenant, position + 1 FROM folds WHERE name = 'subjects' AND position > 0")
	f = storage.NewFolds(openAgain(t, &db).DB)
	require.NoError(t, f.FoldTo(ctx, 1))
	require.Empty(t, db.found(t, 1, numbers[0]), "old events do not hold up the others")
	newest := db.accept(t, naming(1, numbers[0]))
	as, err := f.WaitIndexed(ctx, 1, time.Minute)
	require.NoError(t, err)
	require.NotZero(t, as.From, "it says what it lacks")
	require.Equal(t, []int64{newest}, db.found(t, 1, numbers[0]))

	require.NoError(t, f.Index(ctx))
	check("indexed beside the others")
	as, err = f.WaitIndexed(ctx, 1, time.Minute)
	require.NoError(t, err)
	require.Zero(t, as, "nothing is missing any more")

	// What is past the retention of bodies leaves the index.
	all := db.found(t, 1, numbers[0])
	bound := all[len(all)/2]
	db.exec(t, db.raw.Rebind("INSERT INTO retention (tenant, payload) VALUES (1, ?)"), bound)
	require.NoError(t, f.Trim(ctx))
	require.Equal(t, all[:len(all)/2+1], db.found(t, 1, numbers[0]))
	require.Equal(t, db.naive(t, 2, numbers[0]), db.found(t, 2, numbers[0]), "of another tenant nothing goes")
}

// Test events are not indexed, nor numbers that masking does not take for a customer's, nor
// short ones.
func TestNotIndexed(t *testing.T) { storetest.Each(t, testNotIndexed) }

func testNotIndexed(t *testing.T) {
	db := withTenants(t)
	f := storage.NewFolds(db.DB)
	db.accept(t, naming(1, "1234"))
	db.accept(t, &event.Event{Tenant: 1, Type: event.CDRCall, Test: true, Body: []byte(`{"customerNumber":"91234567"}`)})
	db.accept(t, &event.Event{Tenant: 1, Type: event.CDRCall, Body: []byte(`{"callType":2,"calleeNumber":"91234567"}`)})
	db.accept(t, &event.Event{Tenant: 1, Type: event.CDRCall, Body: []byte(`not JSON`)})
	require.NoError(t, f.FoldTo(t.Context(), 1))
	require.Zero(t, db.count(t, "subjects"))

	db.accept(t, naming(1, "91234567"))
	require.NoError(t, f.FoldTo(t.Context(), 1))
	require.Len(t, db.found(t, 1, "91234567"), 1)
	require.Empty(t, db.found(t, 2, "91234567"), "a tenant's codes say nothing in another")
}
