package storage

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/audit"
	"github.com/hookline/hookline/hub/hubtest/pgtest"
	"github.com/hookline/hookline/migrations"
	"github.com/hookline/hookline/signing"
	"github.com/hookline/hookline/storage/internal/sqldb"
	"github.com/hookline/hookline/subscriptions"
)

func zeroBox(t testing.TB) *signing.Box {
	t.Helper()
	box, err := signing.NewBox(make([]byte, 32))
	require.NoError(t, err)
	return box
}

// verify the audit log of a store that is open.
func (db pastDB) verify(t testing.TB) (int64, error) {
	t.Helper()
	return VerifyAudit(t.Context(), cmp.Or(db.cfg.URL, db.cfg.Dir), zeroBox(t))
}

// broken is the row that verify names.
func (db pastDB) broken(t testing.TB) int64 {
	t.Helper()
	_, err := db.verify(t)
	var b *audit.Broken
	require.True(t, errors.As(err, &b), "%v", err)
	return b.Seq
}

// views writes n rows.
func (db pastDB) view(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, db.Note(t.Context(), access.Caller{Tenant: 1, KeyID: "k", Name: "n", IP: "192.0.2.1"},
			audit.Deed{Tenant: 1, Action: audit.EventView, Object: fmt.Sprint("event/", i), Before: i, After: i}))
	}
}

func (db pastDB) exec(t testing.TB, stmt string, args ...any) {
	t.Helper()
	_, err := db.raw.ExecContext(t.Context(), stmt, args...)
	require.NoError(t, err, stmt)
}

// Any field of any row, rows taken out, exchanged or added: found while the
// store is open, with the right number.
func TestVerifyAudit(t *testing.T) { eachStore(t, testVerifyAudit) }

func testVerifyAudit(t *testing.T) {
	const rows = 5
	db := openPast(t)
	n, err := db.verify(t)
	require.NoError(t, err)
	require.Zero(t, n)
	db.view(t, rows)
	n, err = db.verify(t)
	require.NoError(t, err)
	require.EqualValues(t, rows, n)

	db.exec(t, "CREATE TABLE was AS SELECT * FROM audit")
	db.exec(t, "CREATE TABLE meta_was AS SELECT * FROM meta")
	// broken tampers, verifies and puts all back.
	broken := func(stmts ...string) int64 {
		t.Helper()
		for _, s := range stmts {
			db.exec(t, s)
		}
		seq := db.broken(t)
		db.exec(t, "DELETE FROM audit")
		db.exec(t, "INSERT INTO audit SELECT * FROM was")
		_, err := db.verify(t)
		require.NoError(t, err, "put back")
		return seq
	}
	for _, column := range strings.Split(auditColumns, ", ")[1:] {
		for seq := range int64(rows) {
			seq++
			value := column + " || 'x'"
			switch column {
			case "at", "tenant":
				value = column + " + 1"
			case "platform":
				value = "NOT platform"
			case "prev_hash", "hash":
				value = db.either("randomblob(32)", "decode(repeat('ab', 32), 'hex')")
			}
			require.Equal(t, seq, broken(fmt.Sprintf("UPDATE audit SET %s = %s WHERE seq = %d", column, value, seq)), column)
		}
	}
	_, err = db.raw.ExecContext(t.Context(), "UPDATE audit SET at = 'noon' WHERE seq = 2")
	require.Error(t, err, "a number holds no noon")
	require.EqualValues(t, 3, broken("UPDATE audit SET seq = 99 WHERE seq = 3"))
	require.EqualValues(t, -4, broken("UPDATE audit SET seq = -4 WHERE seq = 3"))
	for seq := 1; seq <= rows; seq++ {
		require.EqualValues(t, seq, broken(fmt.Sprintf("DELETE FROM audit WHERE seq = %d", seq)))
		require.EqualValues(t, seq, broken(fmt.Sprintf("DELETE FROM audit WHERE seq >= %d", seq)), "cut off")
	}
	require.EqualValues(t, 2, broken("UPDATE audit SET seq = 100 WHERE seq = 2", "UPDATE audit SET seq = 2 WHERE seq = 4", "UPDATE audit SET seq = 4 WHERE seq = 100"))
	require.EqualValues(t, rows+1, broken("INSERT INTO audit SELECT 6, at, tenant, platform, who, name, ip, action, object, before, after, prev_hash, hash FROM audit WHERE seq = 5"))

	for _, s := range []string{"DELETE FROM meta WHERE name = 'audit_head'", "UPDATE meta SET value = " + db.either("zeroblob(length(value))", "decode(repeat('00', length(value)), 'hex')") + " WHERE name = 'audit_head'"} {
		db.exec(t, s)
		_, err = db.verify(t)
		require.ErrorIs(t, err, audit.ErrHead)
		db.exec(t, "DELETE FROM meta")
		db.exec(t, "INSERT INTO meta SELECT * FROM meta_was")
	}
}

// A row that readers do not find, because its tenant is stored as another type, is noticed
// although the chain is whole. The migration gives it its type back.
func TestVerifyAuditFindsWhatReadersDoNot(t *testing.T) {
	db := openPastIn(t, t.TempDir())
	db.view(t, 4)
	const hide = "UPDATE audit SET tenant = CAST('1' AS BLOB) WHERE seq = 2"
	_, err := db.raw.ExecContext(t.Context(), hide)
	require.ErrorContains(t, err, "cannot store BLOB value in INTEGER column")

	// As a store of an earlier version had it.
	db.exec(t, "CREATE TABLE was AS SELECT * FROM audit")
	db.exec(t, "DROP TABLE audit")
	db.exec(t, `CREATE TABLE audit (seq INTEGER PRIMARY KEY, at INTEGER, tenant INTEGER, platform INTEGER, who TEXT,
		name TEXT, ip TEXT, action TEXT, object TEXT, before TEXT, after TEXT, prev_hash BLOB, hash BLOB)`)
	db.exec(t, "INSERT INTO audit SELECT * FROM was")
	db.exec(t, "DROP TABLE was")
	db.exec(t, "CREATE INDEX audit_tenant ON audit (tenant, seq)")
	db.exec(t, "CREATE INDEX audit_platform ON audit (seq) WHERE platform")
	_, err = db.verify(t)
	require.NoError(t, err)
	db.exec(t, hide)
	require.EqualValues(t, 2, db.broken(t))

	migration, err := migrations.SQLite.ReadFile("sqlite/00019_audit_strict.sql")
	require.NoError(t, err)
	db.exec(t, string(migration))
	_, err = db.verify(t)
	require.NoError(t, err)
	page, _, err := db.FindAudit(t.Context(), audit.Filter{Tenant: 1, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page, 4)
}

// The head remembers what was cut off, also when the log has gone on since.
func TestAuditCutOffAndGoneOn(t *testing.T) { eachStore(t, testAuditCutOffAndGoneOn) }

func testAuditCutOffAndGoneOn(t *testing.T) {
	db := openPast(t)
	db.view(t, 4)
	db.exec(t, "DELETE FROM audit WHERE seq > 2")
	db.view(t, 3)
	require.EqualValues(t, 3, db.broken(t))
}

// Who takes the head away together with the rows leaves a break, too.
func TestAuditHeadTakenAway(t *testing.T) { eachStore(t, testAuditHeadTakenAway) }

func testAuditHeadTakenAway(t *testing.T) {
	db := openPast(t)
	db.view(t, 4)
	db.exec(t, "DELETE FROM audit WHERE seq > 2")
	db.exec(t, "DELETE FROM meta WHERE name = 'audit_head'")
	db.view(t, 2)
	require.EqualValues(t, 3, db.broken(t))
}

func TestAuditEmptiedBeforeAStart(t *testing.T) { eachStore(t, testAuditEmptiedBeforeAStart) }

func testAuditEmptiedBeforeAStart(t *testing.T) {
	dir := newPlace(t)
	db := openPastIn(t, dir)
	db.view(t, 3)
	db.exec(t, "DELETE FROM audit")
	db.exec(t, "DELETE FROM meta WHERE name = 'audit_head'")
	db.close(t)
	again := openPastIn(t, dir)
	_, err := again.verify(t)
	require.ErrorIs(t, err, audit.ErrHead)
	again.view(t, 1)
	require.EqualValues(t, 1, again.broken(t))
}

func TestVerifyAuditOfAClosedStore(t *testing.T) { eachStore(t, testVerifyAuditOfAClosedStore) }

func testVerifyAuditOfAClosedStore(t *testing.T) {
	dir := newPlace(t)
	db := openPastIn(t, dir)
	db.view(t, 3)
	db.close(t)
	n, err := VerifyAudit(t.Context(), dir, zeroBox(t))
	require.NoError(t, err)
	require.EqualValues(t, 3, n)

	other, err := signing.NewBox([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	_, err = VerifyAudit(t.Context(), dir, other)
	require.ErrorContains(t, err, "the master key is not the one")

	nowhere := t.TempDir()
	if db.in == sqldb.Postgres {
		nowhere = pgtest.Database(t)
	}
	_, err = VerifyAudit(t.Context(), nowhere, zeroBox(t))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// rows of the log, oldest first.
func (db pastDB) auditRows(t testing.TB) (rows []audit.Row) {
	t.Helper()
	require.NoError(t, eachAudit(t.Context(), db.DB.read, 1<<40, func(r *audit.Row) error {
		rows = append(rows, *r)
		return nil
	}))
	return rows
}

// A change and its row are committed together, or neither is.
func TestChangesAreAudited(t *testing.T) { eachStore(t, testChangesAreAudited) }

func testChangesAreAudited(t *testing.T) {
	db := openPast(t)
	ctx := t.Context()
	root := access.Caller{KeyID: "root", Name: "Root", Role: access.Platform, IP: "192.0.2.7"}
	tenant := &access.Tenant{CompanyID: "acme", Name: "Acme", Timezone: "UTC"}
	require.NoError(t, db.CreateTenant(ctx, root, tenant))
	owner := access.Caller{Tenant: tenant.No, KeyID: "boss", Role: access.Owner}
	require.ErrorIs(t, db.CreateTenant(ctx, root, &access.Tenant{CompanyID: "acme"}), api.ErrExists)
	_, err := db.UpdateTenant(ctx, owner, "acme", 0, func(tn *access.Tenant) error { tn.Name = "Acme 2"; return nil })
	require.NoError(t, err)
	_, err = db.UpdateTenant(ctx, owner, "acme", 7, func(*access.Tenant) error { return nil })
	require.ErrorIs(t, err, api.ErrVersion)

	hash := access.HashKey("hk_acme_a secret")
	k := access.Key{ID: "k1", Tenant: tenant.No, Role: access.Ingest, Hash: hash, CreatedAt: time.Now()}
	require.NoError(t, db.CreateKey(ctx, owner, k, 10))
	require.NoError(t, db.RevokeKey(ctx, owner, tenant.No, "k1", time.Now()))
	require.NoError(t, db.RevokeKey(ctx, owner, tenant.No, "k1", time.Now()), "again: nothing happens")

	s, _, err := db.CreateSubscription(ctx, wanted(t, tenant.No, `,"name":"crm","appKey":"a-very-secret-appKey","headers":{"X-Token":"secret header"}`), 10, owner)
	require.NoError(t, err)
	_, _, err = db.CreateSubscription(ctx, wanted(t, tenant.No, `,"name":"crm"`), 10, owner)
	require.NoError(t, err, "the one that is there")
	change := func(f func(*subscriptions.Subscription) (*subscriptions.Subscription, error)) {
		t.Helper()
		_, err := db.UpdateSubscription(ctx, tenant.No, s.ID, 0, owner, f)
		require.NoError(t, err)
	}
	change(func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) { return s, nil })
	change(func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		n := *s
		n.URL = "https://crm.example/push?token=secret-query"
		return &n, nil
	})
	change(func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return s.Pause(subscriptions.ByAdmin, time.Now()), nil
	})
	change(func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return s.Resume(time.Now()), nil
	})
	change(func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return s.Rotate(time.Hour, time.Now())
	})
	change(func(s *subscriptions.Subscription) (*subscriptions.Subscription, error) {
		return s.FinishRotation(time.Now())
	})
	current, err := db.FindSubscription(ctx, tenant.No, s.ID)
	require.NoError(t, err)
	require.NoError(t, db.Pause(ctx, s.No, current.Releases, subscriptions.ByGone))
	require.NoError(t, db.DeleteSubscription(ctx, tenant.No, s.ID, 0, owner))

	var got []string
	for _, r := range db.auditRows(t) {
		require.Equal(t, tenant.No, r.Tenant)
		require.Equal(t, r.Who == "root", r.Platform, "the platform reads its own deeds")
		for _, secret := range []string{"secret", k.ID + "_", fmt.Sprintf("%x", hash[:8])} {
			require.NotContains(t, r.Before+r.After, secret)
		}
		got = append(got, r.Who+" "+r.Action+" "+strings.ReplaceAll(r.Object, s.ID, "S"))
		if r.Action == audit.SubscriptionRotate || r.Action == audit.SubscriptionUpdate {
			require.NotEqual(t, r.Before, r.After)
		}
		require.Equal(t, r.Action == audit.TenantCreate || r.Action == audit.KeyCreate || r.Action == audit.SubscriptionCreate, r.Before == "", r.Action)
		require.Equal(t, r.Action == audit.SubscriptionDelete, r.After == "", r.Action)
		for _, doc := range []string{r.Before, r.After} {
			require.True(t, doc == "" || json.Valid([]byte(doc)))
		}
	}
	require.Equal(t, []string{
		"root tenant.create tenant/acme",
		"boss tenant.update tenant/acme",
		"boss key.create key/k1",
		"boss key.revoke key/k1",
		"boss subscription.create subscription/S",
		"boss subscription.update subscription/S",
		"boss subscription.pause subscription/S",
		"boss subscription.resume subscription/S",
		"boss subscription.rotate subscription/S",
		"boss subscription.rotate subscription/S",
		"hub subscription.pause subscription/S",
		"boss subscription.delete subscription/S",
	}, got)
	first := db.auditRows(t)[0]
	require.Equal(t, "Root", first.Name)
	require.Equal(t, "192.0.2.7", first.IP)
	_, err = db.verify(t)
	require.NoError(t, err)
}

// A row that cannot be written undoes the change.
func TestNoChangeWithoutItsRow(t *testing.T) { eachStore(t, testNoChangeWithoutItsRow) }

func testNoChangeWithoutItsRow(t *testing.T) {
	db := withTenants(t)
	db.exec(t, db.either("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END",
		"ALTER TABLE audit ADD CONSTRAINT no_audit CHECK (false) NOT VALID"))
	require.Error(t, db.CreateKey(t.Context(), someone, access.Key{ID: "k1", Tenant: 1, CreatedAt: time.Now()}, 10))
	keys, err := db.FindKeys(t.Context(), 1, "", 10)
	require.NoError(t, err)
	require.Empty(t, keys)
	require.Error(t, db.Note(t.Context(), someone, audit.Deed{Tenant: 1, Action: audit.EventView}))
}

// Many readers at once each find their row committed when they are told so.
func TestViewsTogether(t *testing.T) { eachStore(t, testViewsTogether) }

func testViewsTogether(t *testing.T) {
	db := openPast(t)
	const readers, each = 32, 10
	var wg sync.WaitGroup
	errs := make([]error, readers)
	for i := range readers {
		wg.Go(func() {
			for n := range each {
				object := fmt.Sprintf("event/%d-%d", i, n)
				err := db.Note(t.Context(), access.Caller{KeyID: "k"}, audit.Deed{Tenant: 1, Action: audit.EventView, Object: object})
				var there bool
				if err == nil {
					err = db.DB.read.GetContext(t.Context(), &there, "SELECT EXISTS (SELECT 1 FROM audit WHERE object = ?)", object)
				}
				if err == nil && !there {
					err = errors.New("its row is not there")
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	n, err := db.verify(t)
	require.NoError(t, err)
	require.EqualValues(t, readers*each, n)
}

func TestFindAudit(t *testing.T) { eachStore(t, testFindAudit) }

func testFindAudit(t *testing.T) {
	db := openPast(t)
	db.cfg.PageRows = 7 // pages end for want of rows looked at, too
	var all []audit.Row
	db.seed(t, func(tx *sqlx.Tx) {
		head := audit.NewHead()
		for i := range int64(100) {
			r := audit.Row{
				At: 1000 + i/3, Tenant: i % 3, Platform: i%3 == 0 || i%7 == 0, Who: fmt.Sprint("k", i%4),
				Action: fmt.Sprint("a", i%5), Object: fmt.Sprint("o", i%2),
			}
			head = head.Next(db.auditKey(), &r)
			all = append(all, r)
			_, err := tx.Exec(`INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Seq, r.At, r.Tenant, r.Platform,
				r.Who, r.Name, r.IP, r.Action, r.Object, r.Before, r.After, r.Prev, r.Hash)
			require.NoError(t, err)
		}
	})
	for _, f := range []audit.Filter{
		{},
		{Tenant: 1},
		{Tenant: 2, Action: "a1"},
		{Tenant: 1, Object: "o1", Who: "k3"},
		{Action: "a0"},
		{Tenant: 9},
		{Tenant: 1, From: 1010},
		{Tenant: 1, To: 1010},
		{Tenant: 2, From: 1010, To: 1020, Action: "a2"},
		{From: 1033},
		{From: 5000},
		{To: 1},
	} {
		for _, f.Limit = range []int{1, 3, 100} {
			var want, got []int64
			for _, r := range slices.Backward(all) {
				if (r.Tenant == f.Tenant && f.Tenant != 0 || f.Tenant == 0 && r.Platform) && (f.Action == "" || r.Action == f.Action) &&
					(f.Object == "" || r.Object == f.Object) && (f.Who == "" || r.Who == f.Who) && r.At >= f.From && (f.To == 0 || r.At < f.To) {
					want = append(want, r.Seq)
				}
			}
			for f.Before = 0; ; {
				page, next, err := db.FindAudit(t.Context(), f)
				require.NoError(t, err)
				require.LessOrEqual(t, len(page), f.Limit)
				for _, r := range page {
					require.Equal(t, all[r.Seq-1], r)
					got = append(got, r.Seq)
				}
				if f.Before = next; next == 0 {
					break
				}
			}
			require.Equal(t, want, got, "%+v", f)
		}
	}
}

// BenchmarkNote is what looking at a body costs the one who looks, alone and
// in company.
func BenchmarkNote(b *testing.B) {
	deed := audit.Deed{Tenant: 1, Action: audit.EventView, Object: "event/01934a5e-0000-7000-8000-000000000000"}
	b.Run("alone", func(b *testing.B) {
		db := openPast(b)
		for b.Loop() {
			require.NoError(b, db.Note(context.Background(), someone, deed))
		}
	})
	b.Run("64 readers", func(b *testing.B) {
		db := openPast(b)
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := db.Note(context.Background(), someone, deed); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// Only what the hub does by itself all day long may go past the audit log. A
// new caller of admin gets its reason here.
func TestWhoChangesWithoutARow(t *testing.T) {
	allowed := []string{
		"admin", "act", "Note", "CreateFirst", // they hand on, or write the rows
		"RecordKeyUse", "SetHold", "writeRejected", // what happened, and what was refused, not what somebody set
		"UseSign", "Once", "NoteBlob", "ForgetBlobs", "FetchedRecording", // what the hub itself must remember
		"SeeSession", "CreateCode", "TakeCode", // when a session was seen; a link that is printed where the hub starts
		"workOnTrack", "clearJob", "replayInputs", // parts of a job that has its rows
		"runDelete", "chunk", "dropDay", "closeDays", "RecountBytes", // chunks of a deletion that has its row; retention, which follows from settings that have theirs
		"AddInputs", "trimSome", // what platforms sent, and what is kept no longer
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var found []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if sel, ok := call.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "admin" || sel.Sel.Name == "adminFor") {
					found = append(found, f.Name.Name)
				}
				return true
			})
		}
	}
	require.ElementsMatch(t, allowed, found)
}
