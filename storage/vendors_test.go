package storage

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hookline/hookline/hub/access"
	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/hub/directory"
	"github.com/hookline/hookline/hub/recording"
	"github.com/hookline/hookline/storage/internal/sqldb"
)

func TestApps(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		ctx := t.Context()
		made := access.App{ID: "a-1", Tenant: 1, CompanyID: "company-1", Kind: access.SobotApp, Name: "crm", Secret: "very secret", Role: access.Query, CreatedAt: time.UnixMilli(1_700_000_000_000).UTC()}
		require.NoError(t, db.CreateApp(ctx, bob, made, 2))
		theirs := made
		theirs.ID, theirs.Tenant, theirs.CompanyID = "a-2", 2, "company-2"
		require.NoError(t, db.CreateApp(ctx, bob, theirs, 2))
		second := made
		second.ID = "a-3"
		require.NoError(t, db.CreateApp(ctx, bob, second, 2))
		second.ID = "a-4"
		require.ErrorIs(t, db.CreateApp(ctx, bob, second, 2), api.ErrLimit)

		var sealed []byte
		require.NoError(t, db.raw.Get(&sealed, `SELECT secret FROM apps WHERE id = 'a-1'`))
		require.NotContains(t, string(sealed), "secret")
		loaded, err := db.LoadApps(ctx)
		require.NoError(t, err)
		require.Len(t, loaded, 3)
		require.Contains(t, loaded, made)
		found, err := db.FindApps(ctx, 1, "", 10)
		require.NoError(t, err)
		require.Equal(t, []string{"a-3", "a-1"}, []string{found[0].ID, found[1].ID})
		require.Empty(t, found[1].Secret)
		found, err = db.FindApps(ctx, 1, "a-3", 10)
		require.NoError(t, err)
		require.Len(t, found, 1)

		require.ErrorIs(t, db.DeleteApp(ctx, bob, 2, "a-1", time.Now()), api.ErrNotFound)
		require.NoError(t, db.DeleteApp(ctx, bob, 1, "a-1", time.Now()))
		require.ErrorIs(t, db.DeleteApp(ctx, bob, 1, "a-1", time.Now()), api.ErrNotFound)
		loaded, err = db.LoadApps(ctx)
		require.NoError(t, err)
		require.Len(t, loaded, 2)
		require.NoError(t, db.CreateApp(ctx, bob, second, 2), "a deleted one does not count")
	})
}

// A sign is taken once, whoever asks at the same time, and is remembered as long
// as it could be taken.
func TestSigns(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		soon := time.Now().Add(time.Minute)
		sign := func(n int) [md5.Size]byte { return md5.Sum(fmt.Append(nil, n)) }
		var taken, used atomic.Int32
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				switch err := db.UseSign(context.Background(), 1, "a-1", sign(0), soon, 100); err {
				case nil:
					taken.Add(1)
				case access.ErrSignUsed: //nolint:errorlint // exactly this one is promised
					used.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, taken.Load())
		require.EqualValues(t, 19, used.Load())
		require.NoError(t, db.UseSign(t.Context(), 1, "a-2", sign(0), soon, 100), "another app's")

		for n := 1; n < 5; n++ {
			require.NoError(t, db.UseSign(t.Context(), 1, "a-1", sign(n), soon, 5))
		}
		require.ErrorIs(t, db.UseSign(t.Context(), 1, "a-1", sign(5), soon, 5), access.ErrSignLimit)
		require.NoError(t, db.UseSign(t.Context(), 1, "a-2", sign(5), soon, 5), "another app's limit")
		_, err := db.raw.ExecContext(t.Context(), `UPDATE used_signs SET until_at = 1`)
		require.NoError(t, err)
		require.NoError(t, db.UseSign(t.Context(), 1, "a-1", sign(5), soon, 5), "old ones are forgotten")
		var left int
		require.NoError(t, db.raw.Get(&left, `SELECT count(*) FROM used_signs`))
		require.Equal(t, 1, left)
	})
}

func agentNamed(uuid, name string) directory.Object {
	a := directory.New(directory.Agents).(*directory.Agent)
	a.AgentUUID, a.AgentName = uuid, name
	return a
}

// What one store commits, another that follows has, also what was deleted.
func TestDirectoryIsFollowed(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		place := newPlace(t)
		db := openPastIn(t, place)
		ctx := t.Context()
		many := make([]directory.Object, 300)
		for i := range many {
			many[i] = agentNamed(fmt.Sprint("u-", i), "first")
		}
		require.NoError(t, db.PutObjects(ctx, bob, 1, many, 1000))
		require.NoError(t, db.PutObjects(ctx, bob, 2, many[:1], 1000))
		follower := db.DB
		if sqldb.IsURL(place) { // another process
			other := openPastIn(t, place)
			require.Len(t, other.Directory().Of(1).Agents(), 300, "as it starts")
			follower = other.DB
		}
		require.NoError(t, db.PutObjects(ctx, bob, 1, []directory.Object{agentNamed("u-7", "second")}, 1000))
		require.NoError(t, db.DeleteObject(ctx, bob, 1, directory.Agents, "u-8"))
		require.ErrorIs(t, db.DeleteObject(ctx, bob, 1, directory.Agents, "u-8"), api.ErrNotFound)
		require.ErrorIs(t, db.PutObjects(ctx, bob, 1, []directory.Object{agentNamed("u-8", "back"), agentNamed("u-300", "too many")}, 300), api.ErrLimit)
		require.NoError(t, follower.FollowDirectory(ctx))
		for _, s := range []*DB{db.DB, follower} {
			d := s.Directory().Of(1)
			require.Len(t, d.Agents(), 299)
			require.Equal(t, "second", d.Agent("u-7").AgentName)
			require.Nil(t, d.Agent("u-8"))
			require.Len(t, s.Directory().Of(2).Agents(), 1)
			o, err := s.FindObject(ctx, 1, directory.Agents, "u-7")
			require.NoError(t, err)
			require.Equal(t, d.Agent("u-7"), o)
		}
		page, err := db.FindObjects(ctx, 1, directory.Agents, "u-297", 10)
		require.NoError(t, err)
		require.Equal(t, "u-298", page[0].Key())

		// A tombstone that everybody has heard of goes with a later change.
		_, err = db.raw.ExecContext(ctx, `UPDATE directory SET deleted_at = 1 WHERE deleted_at IS NOT NULL`)
		require.NoError(t, err)
		require.NoError(t, db.PutObjects(ctx, bob, 1, []directory.Object{agentNamed("u-9", "third")}, 1000))
		var gone int
		require.NoError(t, db.raw.Get(&gone, `SELECT count(*) FROM directory WHERE deleted_at IS NOT NULL`))
		require.Zero(t, gone)
	})
}

// Who puts the same objects again writes none of them, apart from those that changed or had
// been deleted.
func TestDirectoryPutAgain(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		ctx := t.Context()
		put := func(names ...string) {
			var objects []directory.Object
			for i, n := range names {
				objects = append(objects, agentNamed(fmt.Sprint("u-", i), n))
			}
			require.NoError(t, db.PutObjects(ctx, bob, 1, objects, 100))
		}
		above := func(version int64) (ids []string) {
			require.NoError(t, db.raw.Select(&ids, fmt.Sprintf(`SELECT id FROM directory WHERE version > %d ORDER BY id`, version)))
			return ids
		}
		var version int64
		put("a", "b", "c", "d")
		require.Len(t, above(0), 4)
		require.NoError(t, db.DeleteObject(ctx, bob, 1, directory.Agents, "u-3"))
		require.NoError(t, db.raw.Get(&version, `SELECT version FROM directory_head`))

		put("a", "new", "c", "d")
		require.Equal(t, []string{"u-1", "u-3"}, above(version))
		require.Equal(t, "new", db.Directory().Of(1).Agent("u-1").AgentName)
		require.Equal(t, "d", db.Directory().Of(1).Agent("u-3").AgentName)
		require.Len(t, db.Directory().Of(1).Agents(), 4)
	})
}

// Changes made at the same time, on several processes, all come to be followed:
// no version becomes visible behind one that was read.
func TestDirectoryVersionsAreInOrder(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		place := newPlace(t)
		stores := []*DB{openPastIn(t, place).DB}
		if sqldb.IsURL(place) {
			stores = append(stores, openPastIn(t, place).DB)
		}
		const writers, changes = 4, 10
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range changes {
					if err := stores[w%len(stores)].PutObjects(context.Background(), bob, 1, []directory.Object{agentNamed(fmt.Sprint(w, "-", i), "")}, 1000); err != nil {
						t.Error(err)
					}
				}
			})
		}
		stop := make(chan struct{})
		var watch sync.WaitGroup
		watch.Go(func() { // reads while they commit
			for {
				select {
				case <-stop:
					return
				default:
					if err := stores[len(stores)-1].FollowDirectory(context.Background()); err != nil {
						t.Error(err)
					}
				}
			}
		})
		all.Wait()
		close(stop)
		watch.Wait()
		for _, s := range stores {
			require.NoError(t, s.FollowDirectory(t.Context()))
			require.Len(t, s.Directory().Of(1).Agents(), writers*changes)
		}
	})
}

func TestRecordingRows(t *testing.T) {
	eachStore(t, func(t *testing.T) {
		db := withTenants(t)
		ctx := t.Context()
		loose := func() []string {
			t.Helper()
			blobs, err := db.LooseBlobs(ctx, time.Now().Add(time.Hour), 10)
			require.NoError(t, err)
			return blobs
		}
		require.NoError(t, db.NoteBlob(ctx, "b-1"))
		require.Equal(t, []string{"b-1"}, loose())
		first := &recording.Recording{Tenant: 1, ID: "r", Blob: "b-1", Size: 5, Hash: sha256.Sum256([]byte("sound"))}
		before, err := db.PutRecording(ctx, bob, first, 0)
		require.NoError(t, err)
		require.Empty(t, before)
		require.Empty(t, loose())
		got, err := db.FindRecording(ctx, 1, "r")
		require.NoError(t, err)
		require.Equal(t, first, got)
		_, err = db.FindRecording(ctx, 2, "r")
		require.ErrorIs(t, err, recording.ErrNotFound)

		source := &recording.Recording{Tenant: 1, ID: "r", Source: "https://x.example/r.mp3?secret=geheim"}
		before, err = db.PutRecording(ctx, bob, source, 0)
		require.NoError(t, err)
		require.Equal(t, "b-1", before)
		require.Equal(t, []string{"b-1"}, loose())
		require.True(t, source.UpdatedAt.After(first.UpdatedAt), "each put has a time of its own")
		require.Equal(t, first.CreatedAt, source.CreatedAt)
		got, err = db.FindRecording(ctx, 1, "r")
		require.NoError(t, err)
		require.Equal(t, source, got)
		var sealed []byte
		require.NoError(t, db.raw.Get(&sealed, `SELECT source FROM recordings WHERE id = 'r'`))
		require.NotContains(t, string(sealed), "geheim")

		// Only the fetch of what is registered now counts, and only the first.
		fetched := *source
		fetched.Blob, fetched.Size = "b-2", 7
		stale := fetched
		stale.UpdatedAt = first.UpdatedAt
		require.NoError(t, db.NoteBlob(ctx, "b-2"))
		kept, err := db.FetchedRecording(ctx, &stale, 0)
		require.NoError(t, err)
		require.False(t, kept)
		kept, err = db.FetchedRecording(ctx, &fetched, 0)
		require.NoError(t, err)
		require.True(t, kept)
		require.Equal(t, []string{"b-1"}, loose())
		kept, err = db.FetchedRecording(ctx, &fetched, 0)
		require.NoError(t, err)
		require.False(t, kept)

		_, err = db.DeleteRecording(ctx, bob, 2, "r")
		require.ErrorIs(t, err, recording.ErrNotFound)
		blob, err := db.DeleteRecording(ctx, bob, 1, "r")
		require.NoError(t, err)
		require.Equal(t, "b-2", blob)
		require.Equal(t, []string{"b-1", "b-2"}, loose())
		require.NoError(t, db.ForgetBlobs(ctx, []string{"b-1", "b-2"}))
		require.Empty(t, loose())
	})
}
